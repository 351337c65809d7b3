/* Property: a stream of frames decodes to the same frames, the same error at the same byte and the same rest however it
 * is cut into pieces (FRAME-SEGMENT); an error is sticky and consumes nothing (FRAME-CAP); a whole frame's header
 * encodes to the bytes that it came from; what the decoder asks for is never more than a frame may hold.
 *
 * Input: a stream; its last 8 bytes say how it is cut. */
#include "fuzz.h"
#include "wire/frame.h"

/* What has come out of a stream so far, and of the frame in progress. */
struct found {
    uint64_t hash;       /* of all whole frames */
    size_t consumed, at; /* at: where the payload of the frame in progress begins */
    uint32_t length;
    bool failed, inside;
};

static void header_ready(const struct found *found, const struct frame_decoder *decoder, const uint8_t *stream)
{
    uint8_t header[LIMIT_FRAME_HEADER];

    FUZZ_CHECK(decoder->header.length <= LIMIT_FRAME_PAYLOAD, "a header above the cap is an error");
    frame_encode_header(header, decoder->header);
    for (int i = 0; i < LIMIT_FRAME_HEADER; i++)
        FUZZ_CHECK(header[i] == stream[found->at - LIMIT_FRAME_HEADER + i], "a header encodes to its own bytes");
}

static void frame_whole(struct found *found, const struct frame_decoder *decoder)
{
    FUZZ_CHECK(found->length == decoder->header.length, "a frame has as many bytes as its header says");
    found->hash = fuzz_hash(found->hash, decoder->bytes, LIMIT_FRAME_HEADER);
    found->at += LIMIT_FRAME_HEADER + found->length;
    found->length = 0;
}

/* Feed one piece, which begins at found->consumed of the stream, from where no byte follows: an allocation's end. */
static void feed(struct found *found, struct frame_decoder *decoder, const uint8_t *stream, size_t size, uint8_t *end)
{
    uint8_t *piece = memcpy(end - size, stream + found->consumed, size);
    size_t done = 0, consumed, wanted;
    enum frame_event event;

    do {
        event = frame_decode(decoder, piece + done, size - done, &consumed);
        FUZZ_CHECK(consumed <= size - done, "no more is consumed than there is");
        if (event == FRAME_HEADER_READY)
            header_ready(found, decoder, stream);
        if (event == FRAME_PAYLOAD) {
            FUZZ_CHECK(consumed > 0, "a piece of payload is not empty");
            FUZZ_CHECK(found->consumed + done == found->at + found->length, "nothing is skipped");
            found->length += (uint32_t)consumed;
        }
        if (event == FRAME_END)
            frame_whole(found, decoder);
        done += consumed;
    } while (event != FRAME_MORE && event != FRAME_ERROR);
    found->failed = event == FRAME_ERROR;
    found->consumed += done;
    FUZZ_CHECK(found->failed || done == size, "without an error all is consumed");
    wanted = frame_wants(decoder);
    FUZZ_CHECK(wanted <= LIMIT_FRAME_PAYLOAD && found->failed == (wanted == 0), "more is wanted, within the cap");
    if (found->failed)
        FUZZ_CHECK(frame_decode(decoder, piece, size, &consumed) == FRAME_ERROR && consumed == 0, "errors are sticky");
}

static struct found decode(const uint8_t *stream, size_t size, uint64_t cuts)
{
    struct frame_decoder decoder = {0};
    struct found found = {.hash = FUZZ_HASH_START, .at = LIMIT_FRAME_HEADER};
    const size_t most = cuts == 0 ? size : 64;
    uint8_t *room = fuzz_room(most);

    while (found.consumed < size && !found.failed) {
        const size_t left = size - found.consumed, piece = cuts == 0 ? left : fuzz_cut(&cuts, most);

        feed(&found, &decoder, stream, piece < left ? piece : left, room + most);
    }
    found.inside = frame_inside(&decoder);
    free(room);
    return found;
}

const struct fuzz_input fuzz_input = {.form = FUZZ_STREAM, .tail = sizeof(uint64_t)};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct found whole, pieces;
    uint64_t cuts = 0;

    if (size >= sizeof cuts) {
        size -= sizeof cuts;
        memcpy(&cuts, data + size, sizeof cuts);
    }
    whole = decode(data, size, 0);
    pieces = decode(data, size, cuts | 1);
    FUZZ_CHECK(whole.hash == pieces.hash && whole.length == pieces.length, "the same frames however a stream is cut");
    FUZZ_CHECK(whole.failed == pieces.failed && whole.inside == pieces.inside, "the same end however a stream is cut");
    FUZZ_CHECK(whole.consumed == pieces.consumed, "at the same byte");
    return 0;
}
