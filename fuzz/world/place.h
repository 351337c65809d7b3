/* PUT-PATH and PUT-DIR, said a second time and otherwise than the agent says them. */
#ifndef FUZZ_PLACE_H
#define FUZZ_PLACE_H

#include "world.h"

#define PLACE_LONGEST 2000 /* bytes of a path, so that no limit of the system is met on one way only */

struct place {
    int directory; /* the node; -1: there is no place */
    int reason;    /* 0, or the errno that says why nothing can land there */
    char leaf[PLACE_LONGEST + 1];
};

/* Return: where an upload to `path` and `name` (neither longer than PLACE_LONGEST) has to land. */
struct place place_of(struct world *world, const char *path, const char *name);

#endif
