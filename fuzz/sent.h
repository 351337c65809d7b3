/* A reply, read by whoever gets it. */
#ifndef FUZZ_SENT_H
#define FUZZ_SENT_H

#include <cJSON.h>

#include "fuzz.h"
#include "wire/arena.h"
#include "wire/frame.h"
#include "wire/json_strict.h"
#include "wire/request.h"

/* One whole control frame that obeys the profile. Return: its payload as cJSON reads it, in *room (the caller's to
 * free), as large as a payload of that length needs. */
static inline const cJSON *sent_tree(const uint8_t *frame, size_t length, void **room)
{
    struct frame_decoder decoder = {0};
    const char *payload = (const char *)frame + LIMIT_FRAME_HEADER;
    size_t consumed;

    FUZZ_CHECK(frame_decode(&decoder, frame, length, &consumed) == FRAME_HEADER_READY, "a reply is a frame");
    FUZZ_CHECK(decoder.header.type == FRAME_JSON && decoder.header.length == length - consumed, "of the right length");
    FUZZ_CHECK(json_strict(payload, length - consumed).verdict == JSON_GOOD, "what goes out obeys the profile");
    *room = fuzz_room(request_room(length));
    arena_use(*room, request_room(length));
    return cJSON_ParseWithLength(payload, length - consumed);
}

static inline const cJSON *sent_member(const cJSON *tree, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(tree, name);
}

#endif
