/* Frames (contract, section 1): `type:u8 length:u32 big-endian payload`. No I/O, no allocation. */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "constants.h"

struct frame_header {
    uint8_t type;
    uint32_t length;
};

/* Write the 5 header bytes. length must be at most LIMIT_FRAME_PAYLOAD. */
void frame_encode_header(uint8_t out[LIMIT_FRAME_HEADER], struct frame_header header);

/* Incremental decoder: one per stream, zero-initialised. It holds no payload; it says which input bytes are payload. */
struct frame_decoder {
    uint8_t have; /* header bytes gathered, 0 to 5 */
    bool failed;  /* sticky */
    uint8_t bytes[LIMIT_FRAME_HEADER];
    struct frame_header header; /* valid once have == 5 */
    uint32_t left;              /* payload bytes of the frame in progress still to come */
};

enum frame_event {
    FRAME_MORE,         /* all input is consumed, more is needed */
    FRAME_HEADER_READY, /* the header is whole: decoder->header is valid until FRAME_END is followed by another call */
    FRAME_PAYLOAD,      /* the *consumed bytes at `in`, one or more, are payload */
    FRAME_END,          /* the frame is whole; the next call starts a new one. Consumes nothing */
    FRAME_ERROR         /* length above FRAME-CAP; every later call says so too and consumes nothing */
};

/* Take bytes from the `available` at `in` up to the next event; *consumed says how many. Call again with the rest, even
 * when nothing is left of it, until FRAME_MORE or FRAME_ERROR. The events of one frame are HEADER_READY, PAYLOAD (none
 * for an empty frame, else one or more), END, whatever the segmentation (FRAME-SEGMENT). Return: the event. */
enum frame_event frame_decode(struct frame_decoder *decoder, const uint8_t *in, size_t available, size_t *consumed);

/* Return: how many bytes the frame still needs of what it is at (its header, else its payload), so that a reader never
 * takes bytes beyond the frame: ask after FRAME_MORE, or before the first call. 0 where FRAME_END is due, and after
 * FRAME_ERROR. */
size_t frame_wants(const struct frame_decoder *decoder);

/* Return: true while a frame has begun and is not whole, so that end of stream here is FRAME-TRUNC. */
bool frame_inside(const struct frame_decoder *decoder);

#endif
