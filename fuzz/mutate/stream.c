#include "mutate.h"

#include <string.h>

#include "fuzz.h"
#include "wire/constants.h"

#define MOST_FRAMES 128

struct span {
    size_t at, payload; /* where the header begins; bytes of the payload that are there */
};

struct frames {
    struct span all[MOST_FRAMES];
    size_t count;
};

static uint32_t declared(const uint8_t *header)
{
    return (uint32_t)header[1] << 24 | (uint32_t)header[2] << 16 | (uint32_t)header[3] << 8 | header[4];
}

static void declare(uint8_t *header, size_t length)
{
    for (unsigned i = 0; i < 4; i++)
        header[1 + i] = (uint8_t)(length >> (24 - 8 * i));
}

/* The last one may lack some of its payload. */
static struct frames find_frames(const uint8_t *stream, size_t size)
{
    struct frames frames = {.count = 0};
    size_t at = 0;

    while (size - at >= LIMIT_FRAME_HEADER && frames.count < MOST_FRAMES) {
        const size_t left = size - at - LIMIT_FRAME_HEADER, wanted = declared(stream + at);
        const struct span span = {.at = at, .payload = wanted < left ? wanted : left};

        frames.all[frames.count++] = span;
        at += LIMIT_FRAME_HEADER + span.payload;
    }
    return frames;
}

static size_t whole(struct span span)
{
    return LIMIT_FRAME_HEADER + span.payload;
}

static bool change_payload(struct mutator *mutator, struct edit *edit, struct span span)
{
    uint8_t *header = edit->bytes + span.at;
    const size_t before = edit->size, room = span.payload + (edit->most - edit->size);
    uint8_t *payload = fuzz_room(room);
    size_t length;
    bool done;

    memcpy(payload, header + LIMIT_FRAME_HEADER, span.payload);
    length = header[0] == FRAME_JSON && room > 0 ? mutate_json(mutator, payload, span.payload, room)
             : room > 0                          ? mutator->bytes(payload, span.payload, room)
                                                 : 0;
    done = length > 0 && mutate_replace(edit, span.at + LIMIT_FRAME_HEADER, span.payload, payload, length);
    free(payload);
    if (done && mutate_random(mutator, 10) > 0)
        declare(header, span.payload + edit->size - before);
    return done;
}

static bool change_length(struct mutator *mutator, struct edit *edit, struct span span)
{
    const size_t lengths[] = {0,
                              span.payload,
                              span.payload + 1,
                              span.payload - 1,
                              LIMIT_CHUNK,
                              LIMIT_CONTROL_PAYLOAD,
                              LIMIT_CONTROL_PAYLOAD + 1,
                              LIMIT_FRAME_PAYLOAD,
                              LIMIT_FRAME_PAYLOAD + 1,
                              UINT32_MAX};

    declare(edit->bytes + span.at, lengths[mutate_random(mutator, sizeof lengths / sizeof *lengths)]);
    return true;
}

/* Return: one of the contract, or one beside them. */
static uint8_t any_type(struct mutator *mutator)
{
    return (uint8_t)mutate_random(mutator, FRAME_EOF + 2);
}

static bool add_frame(struct mutator *mutator, struct edit *edit, size_t at)
{
    uint8_t frame[LIMIT_FRAME_HEADER + 16] = {0};
    const size_t length = mutate_random(mutator, 16);

    frame[0] = any_type(mutator);
    declare(frame, length);
    return mutate_replace(edit, at, 0, frame, LIMIT_FRAME_HEADER + length);
}

/* Two frames that together say what one did. */
static bool split(struct mutator *mutator, struct edit *edit, struct span span)
{
    const size_t first = mutate_random(mutator, span.payload + 1);
    uint8_t header[LIMIT_FRAME_HEADER] = {edit->bytes[span.at]};

    declare(header, span.payload - first);
    if (!mutate_replace(edit, span.at + LIMIT_FRAME_HEADER + first, 0, header, sizeof header))
        return false;
    declare(edit->bytes + span.at, first);
    return true;
}

static bool change_frames(struct mutator *mutator, struct edit *edit, const struct frames *frames)
{
    const struct span span = frames->all[mutate_random(mutator, frames->count)];
    const struct span other = frames->all[mutate_random(mutator, frames->count)];

    switch (mutate_random(mutator, 12)) {
    case 0: /* a target may have types of its own */
        edit->bytes[span.at] = mutate_random(mutator, 2) == 0 ? edit->bytes[other.at] : any_type(mutator);
        return true;
    case 1:
        return change_length(mutator, edit, span);
    case 2:
        return mutate_replace(edit, other.at, 0, edit->bytes + span.at, whole(span));
    case 3:
        return mutate_replace(edit, span.at, whole(span), "", 0);
    case 4:
        return add_frame(mutator, edit, span.at);
    case 5:
        return split(mutator, edit, span);
    default:
        return change_payload(mutator, edit, span);
    }
}

size_t mutate_stream(struct mutator *mutator, uint8_t *stream, size_t size, size_t most)
{
    struct edit edit = {.bytes = stream, .size = size, .most = most};
    const struct frames frames = find_frames(stream, size);

    if (frames.count > 0 && mutate_random(mutator, 10) > 0 && change_frames(mutator, &edit, &frames))
        return edit.size;
    return mutator->bytes(stream, edit.size, most);
}

bool mutate_cross_stream(struct mutator *mutator, struct edit *edit, const uint8_t *other, size_t size)
{
    const struct frames here = find_frames(edit->bytes, edit->size), there = find_frames(other, size);
    struct span from, to;

    if (here.count == 0 || there.count == 0)
        return false;
    to = here.all[mutate_random(mutator, here.count)];
    from = there.all[mutate_random(mutator, there.count)];
    return mutate_replace(edit, to.at, mutate_random(mutator, 2) == 0 ? 0 : whole(to), other + from.at, whole(from));
}
