/* Inside the front desk: its state, and what its parts (desk_*.c) offer one another. */
#ifndef GUEST_DESK_PARTS_H
#define GUEST_DESK_PARTS_H

#include "guest/clock.h"
#include "guest/desk.h"
#include "guest/slots.h"
#include "guest/stream.h"
#include "wire/frame.h"
#include "wire/reply.h"
#include "wire/request.h"

/* Where a connection stands; it is in the list of that stage. Lists are in the order of arrival, which is the order of
 * deadlines. */
enum stage {
    STAGE_INCOMPLETE, /* the request frame is being read; until request_timeout after accept (CONV-IDLE) */
    STAGE_REPLYING,   /* the desk's own reply did not fit into the socket; until io_timeout without a byte */
    STAGE_QUEUED,     /* waits for a slot */
    STAGE_WORKING,    /* a worker has it; the desk touches nothing of it */
    STAGE_LINGERING,  /* CONV-LINGER; until linger_timeout */
    STAGE_CLOSED,     /* its place is free once the current batch of events, which may name it, is through */
    STAGES
};

/* Bytes for a request's payload and for what is made of it, enough as a rule. */
#define CONNECTION_INLINE 512
#define CONNECTION_ROOM   1024

struct connection {
    struct job job; /* first: a job is its connection */
    struct connection *previous;
    struct connection *next;
    struct desk *desk;
    int64_t deadline;
    enum stage stage;
    int fd;
    uint32_t watched; /* epoll events; 0 with `registered` watches hang-ups only */
    bool registered;
    bool paused;        /* INCOMPLETE: no room to read (SRV-CONNS) */
    bool half_closed;   /* QUEUED: the host shut down its sending side, so poll shows a hang-up no more */
    enum ending ending; /* of the work, set by the worker */

    struct frame_decoder decoder;
    uint32_t have;     /* payload bytes held; of a reply: sent */
    uint32_t capacity; /* bytes at payload */
    uint8_t *payload;  /* `small`, or allocated and counted in desk->held */
    uint32_t weight;   /* bytes of its request, counted in desk->queued_bytes while QUEUED */
    void *memory;      /* what the request holds, if `room` is too small; else NULL */
    struct request request;
    uint8_t small[CONNECTION_INLINE];
    uint8_t room[CONNECTION_ROOM] __attribute__((aligned(16)));
};

/* New connections in one turn, so that a flood of them does not keep the others waiting. */
#define ACCEPT_BATCH 64
/* In one turn that many may follow on connections that are closed in it. */
#define DESK_PLACES (LIMIT_CONNECTIONS + ACCEPT_BATCH)

struct list {
    struct connection *first;
    struct connection *last;
    unsigned count;
};

struct desk {
    uint8_t reply[REPLY_ROOM]; /* one thread needs but one; first, so that what every turn touches lies together behind
                                  it */
    const struct desk_setup *setup;
    const struct sys *sys;
    struct slots slots;
    struct list stages[STAGES];
    unsigned connections;    /* all stages but CLOSED */
    struct connection *free; /* places that were used before, by `next` */
    unsigned used;           /* places that were ever used, from the first on */
    int epoll;
    bool stopping;

    int64_t accept_at; /* accepting pauses until then; 0: it does not; CLOCK_NEVER: until a connection closes */
    int64_t work_at;   /* starting a worker is tried again then */
    int64_t idle_at;   /* without a connection until then, the agent is idle; 0 at the start */
    int64_t ask_at;    /* half-closed queued hosts are asked again then */

    size_t held; /* bytes of allocated payload buffers, without the privileged one's */
    struct connection
        *privileged; /* may grow to the limit whatever the others hold, so that they cannot block one another */
    unsigned paused;
    size_t queued_bytes;

    struct connection places[DESK_PLACES];
};

/* desk.c: desk_run() in parts. */
/* Begin with *desk all zero. Return: true, or false with errno. */
bool desk_open(struct desk *desk, const struct desk_setup *setup);
/* Wait for events until the next timer and serve them. */
void desk_turn(struct desk *desk);
/* SRV-STOP */
void desk_stop(struct desk *desk);

/* desk_list.c */
void desk_move(struct connection *connection, enum stage stage);
/* Have epoll report `events` (0: hang-ups only). Return: false if the connection had to be closed for it. */
bool desk_watch(struct connection *connection, uint32_t events);
void desk_unwatch(struct connection *connection);
void desk_close(struct connection *connection);

/* desk_places.c */
/* Return: a place for a connection, its head zeroed; NULL: there is none left. */
struct connection *desk_take_place(struct desk *desk);
/* Free the places of STAGE_CLOSED. */
void desk_free_places(struct desk *desk);

/* desk_accept.c */
void desk_accept(struct desk *desk);
/* Watch the listener again if it is time, or if `closed` says that a connection has gone. */
void desk_accept_resume(struct desk *desk, bool closed);
/* Take one connected socket as a conversation. */
void desk_admit(struct desk *desk, int fd, const struct sockaddr_storage *name);

/* desk_request.c */
void desk_read(struct connection *connection);
void desk_drop_request(struct connection *connection);

/* desk_memory.c: SRV-CONNS' bound on what incomplete requests hold. */
/* Make room for more payload. Return: true; false if the connection is paused (or closed: no memory). */
bool memory_grow(struct connection *connection);
/* Give up the payload buffer; paused connections may go on. */
void memory_release(struct connection *connection);

/* desk_reply.c */
void desk_reply(struct connection *connection, const uint8_t *bytes, size_t length);
void desk_reply_more(struct connection *connection);
/* The terminal frame is sent: shut down the sending side unless done, then CONV-LINGER. */
void desk_linger(struct connection *connection, bool shut_down);
void desk_linger_more(struct connection *connection);

/* desk_work.c */
void desk_queue(struct connection *connection);
/* Hand queued requests to the slots, in order, as far as there are free ones. */
void desk_hand_out(struct desk *desk);
/* Take back what workers have finished. */
void desk_collect(struct desk *desk);
/* A queued connection shows a hang-up or half-close. */
void desk_ask(struct connection *connection);
void desk_ask_all(struct desk *desk);

#endif
