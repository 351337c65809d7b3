#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../wire/frame.h"

#define TRACE_ROOM 512

/* What a receiver saw, with adjacent payload joined: "H", type, length (4 bytes), payload, "E" for each frame; "!" for
 * an error. */
struct trace {
    uint8_t bytes[TRACE_ROOM];
    size_t length;
    bool failed;
};

static void record(struct trace *trace, const void *bytes, size_t length)
{
    assert_true(length <= TRACE_ROOM - trace->length);
    if (length > 0)
        memcpy(trace->bytes + trace->length, bytes, length);
    trace->length += length;
}

/* Feed one segment, copied to a heap block of its exact size. */
static void feed(struct frame_decoder *decoder, struct trace *trace, const uint8_t *in, size_t length)
{
    uint8_t *copy = malloc(length > 0 ? length : 1);
    uint8_t *const block = copy;

    assert_non_null(block);
    memcpy(block, in, length);
    for (;;) {
        size_t consumed = SIZE_MAX;
        const enum frame_event event = frame_decode(decoder, copy, length, &consumed);

        assert_true(consumed <= length);
        if (event == FRAME_HEADER_READY) {
            record(trace, "H", 1);
            record(trace, &decoder->header.type, 1);
            record(trace, &decoder->header.length, sizeof decoder->header.length);
        } else if (event == FRAME_PAYLOAD) {
            assert_true(consumed > 0);
            record(trace, copy, consumed);
        } else if (event == FRAME_END) {
            assert_int_equal(consumed, 0);
            assert_false(frame_inside(decoder));
            record(trace, "E", 1);
        } else if (event == FRAME_ERROR) {
            if (!trace->failed)
                record(trace, "!", 1);
            trace->failed = true;
            break;
        }
        copy += consumed;
        length -= consumed;
        if (event == FRAME_MORE) {
            assert_int_equal(length, 0);
            break;
        }
    }
    free(block);
}

static size_t put_frame(uint8_t *out, uint8_t type, const char *payload)
{
    const size_t length = strlen(payload);

    frame_encode_header(out, (struct frame_header){.type = type, .length = (uint32_t)length});
    memcpy(out + LIMIT_FRAME_HEADER, payload, length);
    return LIMIT_FRAME_HEADER + length;
}

static size_t sample_stream(uint8_t *out)
{
    size_t length = put_frame(out, FRAME_JSON, "{}");

    length += put_frame(out + length, FRAME_EOF, "");
    length += put_frame(out + length, FRAME_DATA, "hello");
    length += put_frame(out + length, 200, "");
    length += put_frame(out + length, FRAME_STDERR, "x");
    return length;
}

static void encodes_big_endian(void **state)
{
    uint8_t out[LIMIT_FRAME_HEADER];
    static const uint8_t small[] = {2, 0, 1, 2, 3};
    static const uint8_t largest[] = {4, 1, 0, 0, 0};

    (void)state;
    frame_encode_header(out, (struct frame_header){.type = FRAME_STDOUT, .length = 0x010203});
    assert_memory_equal(out, small, sizeof out);
    frame_encode_header(out, (struct frame_header){.type = FRAME_DATA, .length = LIMIT_FRAME_PAYLOAD});
    assert_memory_equal(out, largest, sizeof out);
}

static void events_come_in_order(void **state)
{
    static const uint8_t in[] = {1, 0, 0, 0, 2, '{', '}', 5, 0, 0, 0, 0};
    static const struct {
        size_t consumed, wants;
        enum frame_event event;
        bool inside;
    } expected[] = {
        {5, 2, FRAME_HEADER_READY, true},  {2, 0, FRAME_PAYLOAD, false}, {0, 5, FRAME_END, false},
        {5, 0, FRAME_HEADER_READY, false}, {0, 5, FRAME_END, false},     {0, 5, FRAME_MORE, false},
        {0, 5, FRAME_MORE, false},
    };
    struct frame_decoder decoder = {0};
    size_t at = 0;

    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        size_t consumed;

        assert_int_equal(frame_decode(&decoder, in + at, sizeof in - at, &consumed), expected[i].event);
        assert_int_equal(consumed, expected[i].consumed);
        assert_int_equal(frame_wants(&decoder), expected[i].wants);
        assert_int_equal(frame_inside(&decoder), expected[i].inside);
        at += consumed;
    }
    assert_int_equal(at, sizeof in);
}

/* FRAME-SEGMENT: whole, and split in three at every pair of places, the trace is the same. */
static void any_two_splits_read_the_same(void **state)
{
    uint8_t in[128];
    const size_t length = sample_stream(in);
    struct frame_decoder decoder = {0};
    struct trace whole = {.length = 0};

    (void)state;
    feed(&decoder, &whole, in, length);
    assert_int_equal(whole.length, 5 * 7 + 8);
    for (size_t first = 0; first <= length; first++) {
        for (size_t second = first; second <= length; second++) {
            struct trace trace = {.length = 0};

            decoder = (struct frame_decoder){0};
            feed(&decoder, &trace, in, first);
            feed(&decoder, &trace, in + first, second - first);
            feed(&decoder, &trace, in + second, length - second);
            assert_int_equal(trace.length, whole.length);
            assert_memory_equal(trace.bytes, whole.bytes, whole.length);
        }
    }
}

static void any_step_reads_the_same(void **state)
{
    uint8_t in[128];
    const size_t length = sample_stream(in);
    struct frame_decoder decoder = {0};
    struct trace whole = {.length = 0};

    (void)state;
    feed(&decoder, &whole, in, length);
    for (size_t step = 1; step <= length; step++) {
        struct trace trace = {.length = 0};

        decoder = (struct frame_decoder){0};
        for (size_t at = 0; at < length; at += step)
            feed(&decoder, &trace, in + at, step < length - at ? step : length - at);
        assert_int_equal(trace.length, whole.length);
        assert_memory_equal(trace.bytes, whole.bytes, whole.length);
    }
}

static void the_cap_is_judged_at_the_header(void **state)
{
    static const struct {
        uint8_t bytes[LIMIT_FRAME_HEADER];
        bool good;
    } table[] = {
        {{4, 1, 0, 0, 0}, true}, /* 16,777,216 */
        {{4, 1, 0, 0, 1}, false},    {{4, 1, 0, 1, 0}, false},
        {{4, 2, 0, 0, 0}, false},    {{1, 0xFF, 0xFF, 0xFF, 0xFF}, false},
        {{0, 0x80, 0, 0, 0}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (size_t split = 0; split < LIMIT_FRAME_HEADER; split++) {
            struct frame_decoder decoder = {0};
            size_t consumed;

            assert_int_equal(frame_decode(&decoder, table[i].bytes, split, &consumed), FRAME_MORE);
            assert_int_equal(consumed, split);
            assert_int_equal(frame_decode(&decoder, table[i].bytes + split, LIMIT_FRAME_HEADER - split, &consumed),
                             table[i].good ? FRAME_HEADER_READY : FRAME_ERROR);
            assert_int_equal(consumed, LIMIT_FRAME_HEADER - split);
            assert_true(frame_inside(&decoder));
            assert_int_equal(frame_wants(&decoder), table[i].good ? LIMIT_FRAME_PAYLOAD : 0);
        }
    }
}

static void an_error_is_sticky(void **state)
{
    static const uint8_t bad[] = {1, 0xFF, 0, 0, 0};
    static const uint8_t good[] = {1, 0, 0, 0, 0};
    struct frame_decoder decoder = {0};
    size_t consumed;

    (void)state;
    assert_int_equal(frame_decode(&decoder, bad, sizeof bad, &consumed), FRAME_ERROR);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(frame_decode(&decoder, good, sizeof good, &consumed), FRAME_ERROR);
        assert_int_equal(consumed, 0);
        assert_int_equal(frame_wants(&decoder), 0);
    }
}

/* FRAME-TRUNC, and a reader that asks frame_wants() never takes a byte beyond the frame. */
static void wants_exactly_the_frame(void **state)
{
    uint8_t in[128];
    struct frame_decoder decoder = {0};
    struct trace trace = {.length = 0};
    const size_t length = sample_stream(in);
    size_t at = 0;

    (void)state;
    assert_false(frame_inside(&decoder));
    assert_int_equal(frame_wants(&decoder), LIMIT_FRAME_HEADER);
    feed(&decoder, &trace, in, 0);
    assert_false(frame_inside(&decoder));
    while (at < length) {
        const size_t wants = frame_wants(&decoder);

        assert_true(wants > 0 && wants <= length - at);
        for (size_t taken = 1; taken < wants; taken++) {
            struct frame_decoder copy = decoder;
            struct trace part = {.length = 0};

            feed(&copy, &part, in + at, taken);
            assert_true(frame_inside(&copy));
            assert_int_equal(frame_wants(&copy), wants - taken);
        }
        feed(&decoder, &trace, in + at, wants);
        at += wants;
    }
    assert_int_equal(at, length);
    assert_false(frame_inside(&decoder));
    assert_int_equal(trace.length, 5 * 7 + 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_big_endian),
        cmocka_unit_test(events_come_in_order),
        cmocka_unit_test(any_two_splits_read_the_same),
        cmocka_unit_test(any_step_reads_the_same),
        cmocka_unit_test(the_cap_is_judged_at_the_header),
        cmocka_unit_test(an_error_is_sticky),
        cmocka_unit_test(wants_exactly_the_frame),
    };

    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
