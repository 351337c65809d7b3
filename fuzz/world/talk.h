/* A conversation as judge.c reads it. */
#ifndef FUZZ_TALK_H
#define FUZZ_TALK_H

#include "wire/request.h"
#include "world.h"

#define TALK_CODE 32 /* bytes that hold any code, NUL included */

struct talk {
    const struct world *world;
    const struct host *host;
    const struct record *record;
    struct request request;
    size_t upload; /* where it begins in what the host sent; once read, where it ends */
    bool complete; /* the host sent all that an answer takes */
    size_t streams[2], data;
    bool header, ended;
    const char *code; /* of the error that ended it, NULL: none */
};

/* Return: true if the host sent a whole first frame, of *length bytes. */
bool talk_has_request(const struct host *host, size_t *length);

/* CONV-FIRST. Return: true if there is a whole first frame, judged into talk->request, which points into *room (to be
 * freed). */
bool talk_read_request(struct talk *talk, void **room);

/* Read what the host got, frame by frame, as far as it goes; die where no such frame may come, or nothing any more. An
 * error's code is put into `room`. Return: true if the last frame is whole. */
bool talk_read(struct talk *talk, char room[TALK_CODE]);

#endif
