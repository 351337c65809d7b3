#include <stddef.h>
#include <string.h>

#include "guest/desk_parts.h"
#include "guest/memory.h"

/* Places kept in memory while there is no connection. */
#define PLACES_KEPT 2

struct connection *desk_take_place(struct desk *desk)
{
    struct connection *place = desk->free;

    if (place != NULL)
        desk->free = place->next;
    else if (desk->used < DESK_PLACES)
        place = &desk->places[desk->used++];
    else
        return NULL;
    memset(place, 0, offsetof(struct connection, small));
    return place;
}

void desk_free_places(struct desk *desk)
{
    struct list *closed = &desk->stages[STAGE_CLOSED];

    if (closed->first == NULL)
        return;
    closed->last->next = desk->free;
    desk->free = closed->first;
    *closed = (struct list){.count = 0};
    if (desk->connections > 0)
        return;
    if (desk->used > PLACES_KEPT)
        memory_forget(&desk->places[PLACES_KEPT], (desk->used - PLACES_KEPT) * sizeof *desk->places);
    desk->free = NULL;
    desk->used = 0;
}
