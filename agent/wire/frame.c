#include "frame.h"

#include <string.h>

void frame_encode_header(uint8_t out[LIMIT_FRAME_HEADER], struct frame_header header)
{
    out[0] = header.type;
    out[1] = (uint8_t)(header.length >> 24);
    out[2] = (uint8_t)(header.length >> 16);
    out[3] = (uint8_t)(header.length >> 8);
    out[4] = (uint8_t)header.length;
}

static struct frame_header decode_header(const uint8_t in[LIMIT_FRAME_HEADER])
{
    return (struct frame_header){
        .type = in[0],
        .length = (uint32_t)in[1] << 24 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 8 | (uint32_t)in[4],
    };
}

static enum frame_event take_header(struct frame_decoder *decoder, const uint8_t *in, size_t available,
                                    size_t *consumed)
{
    size_t missing = LIMIT_FRAME_HEADER - (size_t)decoder->have;
    size_t taken = available < missing ? available : missing;

    if (taken > 0)
        memcpy(decoder->bytes + decoder->have, in, taken);
    decoder->have = (uint8_t)(decoder->have + taken);
    *consumed = taken;
    if (taken < missing)
        return FRAME_MORE;

    decoder->header = decode_header(decoder->bytes);
    if (decoder->header.length > LIMIT_FRAME_PAYLOAD) {
        decoder->failed = true; /* FRAME-CAP */
        return FRAME_ERROR;
    }
    decoder->left = decoder->header.length;
    return FRAME_HEADER_READY;
}

enum frame_event frame_decode(struct frame_decoder *decoder, const uint8_t *in, size_t available, size_t *consumed)
{
    *consumed = 0;
    if (decoder->failed)
        return FRAME_ERROR;
    if (decoder->have < LIMIT_FRAME_HEADER)
        return take_header(decoder, in, available, consumed);
    if (decoder->left == 0) {
        decoder->have = 0;
        return FRAME_END;
    }
    if (available == 0)
        return FRAME_MORE;
    *consumed = available < decoder->left ? available : decoder->left;
    decoder->left -= (uint32_t)*consumed;
    return FRAME_PAYLOAD;
}

size_t frame_wants(const struct frame_decoder *decoder)
{
    if (decoder->failed)
        return 0;
    if (decoder->have < LIMIT_FRAME_HEADER)
        return LIMIT_FRAME_HEADER - (size_t)decoder->have;
    return decoder->left;
}

bool frame_inside(const struct frame_decoder *decoder)
{
    return decoder->failed || (decoder->have > 0 && frame_wants(decoder) > 0);
}
