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
    uint8_t have;             /* header bytes gathered, 0 to 5 */
    bool failed;              /* sticky */
    uint8_t bytes[LIMIT_FRAME_HEADER];
    struct frame_header header; /* valid once have == 5 */
    uint32_t left;            /* payload bytes of the frame in progress still to come */
};

enum frame_event {
    FRAME_MORE,    /* all input consumed, the header is not whole yet */
    FRAME_HEADER_READY, /* header is whole: decoder->header is valid */
    FRAME_PAYLOAD, /* the last *consumed bytes of input at `in` are payload */
    FRAME_END,     /* the frame is whole (right after its header when it is empty); the next call starts a new one */
    FRAME_ERROR    /* length above FRAME-CAP; every later call says so too */
};

/* Feed `available` bytes at `in`; *consumed says how many were taken. Call again with the rest until FRAME_MORE, or until
 * *consumed is 0 and the event is FRAME_PAYLOAD-less (nothing left). Events of one frame come in the order HEADER_READY,
 * PAYLOAD*, END, whatever the segmentation (FRAME-SEGMENT). Return: the event. */
enum frame_event frame_decode(struct frame_decoder *decoder, const uint8_t *in, size_t available, size_t *consumed);

/* Return: how many bytes may be read before the next event at the latest (rest of the header, else rest of the payload),
 * so that a reader never takes bytes beyond the frame. 0 only after FRAME_ERROR. */
size_t frame_wants(const struct frame_decoder *decoder);

/* Return: true while a frame has begun and is not whole, so that end of stream here is FRAME-TRUNC. */
bool frame_inside(const struct frame_decoder *decoder);

#endif
