/* Why a probe has not answered: the words of READY-REASON, and what to look at (READY-HINT). */
#ifndef HOST_READY_REASON_H
#define HOST_READY_REASON_H

#include "host/dial.h"

enum ready_reason {
    READY_REFUSED,     /* nothing listens */
    READY_ABSENT,      /* nothing is there that could listen */
    READY_UNRESOLVED,  /* no such name */
    READY_UNREACHABLE, /* nobody answers at that address */
    READY_CLOSED,      /* accepted, then closed or reset */
    READY_SILENT,      /* accepted, and nothing came */
    READY_INCOMPLETE,  /* something came, not enough of it */
    READY_UNEXPECTED,  /* the wrong service */
    READY_WAITING,     /* nobody has notified */
    READY_FAILED       /* anything else */
};

/* Return: the word, as the contract has it. */
const char *ready_reason_word(enum ready_reason reason);

/* Return: what to look at, in one line. */
const char *ready_reason_hint(enum ready_reason reason);

/* Return: the reason for a connection that could not be made. */
enum ready_reason ready_reason_of_dial(enum dial_failure failure);

#endif
