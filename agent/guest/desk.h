/* The front desk: one thread that owns the listening socket and every connection whose request is not complete, waits
 * for a slot or lingers. It answers ping and errors itself and hands the rest to the slots. */
#ifndef GUEST_DESK_H
#define GUEST_DESK_H

#include "guest/listen.h"
#include "guest/log.h"
#include "guest/options.h"
#include "guest/start.h"
#include "guest/sys.h"

struct desk_setup {
    const struct sys *sys;
    const struct options *options;
    const struct origin *origin;
    struct log *log;
    struct listener *listener;
    const char *instance; /* PING-INSTANCE */
    int signals;          /* start_signals() */
    int stop;             /* eventfd; made readable here when the agent stops */
};

/* Serve until a stop signal, or until the one connected conversation is over; then stop everything (SRV-STOP).
 * Return: true, or false with the reason in *complaint if it could not begin. `ready` is called once connections are
 * accepted. */
bool desk_run(const struct desk_setup *setup, void (*ready)(const struct desk_setup *setup), struct text *complaint);

#endif
