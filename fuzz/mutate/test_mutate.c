/* The mutator keeps to its room, to its seed, and near what the protocol means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fuzz.h"
#include "mutate.h"
#include "wire/frame.h"
#include "wire/json_strict.h"
#include "wire/request.h"
#include "words.h"

#define TIMES 4000
#define MOST  160
static const char payload[] = "{\"op\":\"run\",\"cmd\":\"true \\u00e9\",\"env\":{\"A\":\"b\",\"C\":[1,2.5]},\"v\":1}";

/* Stands in for an engine: the size changes by at most one. */
static size_t turn_a_byte(uint8_t *data, size_t size, size_t most)
{
    if (size == 0)
        return 0;
    data[size / 2] ^= 1;
    if (size < most)
        data[size] = 'x';
    return size < most ? size + 1 : size;
}

struct made {
    uint8_t bytes[MOST];
    size_t size;
};

/* In a room of exactly `most` bytes, so that the sanitizer sees one too many. */
static struct made mutated(size_t (*mutate)(struct mutator *, uint8_t *, size_t, size_t), const void *input,
                           size_t size, size_t most, uint64_t seed)
{
    struct mutator mutator = {.random = seed, .bytes = turn_a_byte};
    uint8_t *room = fuzz_room(most);
    struct made made = {.size = 0};

    memcpy(room, input, size);
    made.size = mutate(&mutator, room, size, most);
    assert_in_range(made.size, 0, most);
    memcpy(made.bytes, room, made.size);
    free(room);
    return made;
}

static size_t put_frame(uint8_t *out, uint8_t type, const void *bytes, size_t length)
{
    frame_encode_header(out, (struct frame_header){.type = type, .length = (uint32_t)length});
    memcpy(out + LIMIT_FRAME_HEADER, bytes, length);
    return LIMIT_FRAME_HEADER + length;
}

static bool is_whole(const struct made *made)
{
    struct frame_decoder decoder = {0};
    enum frame_event event;
    size_t at = 0, consumed;

    do {
        event = frame_decode(&decoder, made->bytes + at, made->size - at, &consumed);
        at += consumed;
    } while (event != FRAME_MORE && event != FRAME_ERROR);
    return !frame_inside(&decoder);
}

static void lengths_are_repaired(void **state)
{
    uint8_t stream[MOST];
    size_t size = put_frame(stream, FRAME_JSON, payload, strlen(payload)), whole = 0, same = 0;

    (void)state;
    size += put_frame(stream + size, FRAME_DATA, "hello", 5);
    for (uint64_t seed = 0; seed < TIMES; seed++) {
        const struct made made = mutated(mutate_stream, stream, size, MOST, seed);
        const struct made again = mutated(mutate_stream, stream, size, MOST, seed);

        assert_true(made.size == again.size && memcmp(made.bytes, again.bytes, made.size) == 0);
        whole += is_whole(&made) ? 1 : 0;
        same += made.size == size && memcmp(made.bytes, stream, size) == 0 ? 1 : 0;
    }
    assert_in_range(whole, TIMES * 6 / 10, TIMES * 9 / 10);
    assert_in_range(same, 0, TIMES / 10);
}

static void json_often_stays_json(void **state)
{
    size_t good = 0;

    (void)state;
    for (uint64_t seed = 0; seed < TIMES; seed++) {
        const struct made made = mutated(mutate_json, payload, strlen(payload), MOST, seed);

        good += json_strict((const char *)made.bytes, made.size).verdict == JSON_GOOD ? 1 : 0;
    }
    assert_in_range(good, TIMES / 4, TIMES * 9 / 10);
}

static void without_room_nothing_grows(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < TIMES; seed++) {
        mutated(mutate_json, payload, strlen(payload), strlen(payload), seed);
        mutated(mutate_json, payload, seed % strlen(payload), strlen(payload), seed);
        mutated(mutate_stream, payload, seed % 8, 8, seed);
    }
}

static void crossing_takes_from_both(void **state)
{
    static const char other[] = "{\"path\":\"/other\"}";
    size_t taken = 0;

    (void)state;
    for (uint64_t seed = 0; seed < TIMES; seed++) {
        struct mutator mutator = {.random = seed, .bytes = turn_a_byte};
        uint8_t room[MOST];
        struct edit edit = {.bytes = room, .size = strlen(payload), .most = MOST};

        memcpy(room, payload, edit.size);
        if (mutate_cross_json(&mutator, &edit, (const uint8_t *)other, strlen(other)))
            taken += memmem(room, edit.size, "/other", 6) != NULL && json_strict((char *)room, edit.size).verdict == 0;
    }
    assert_in_range(taken, TIMES / 2, TIMES);
}

static void requests_are_often_served(void **state)
{
    size_t served[REQUEST_GET_FILE + 1] = {0};
    size_t refused = 0;

    (void)state;
    for (uint64_t seed = 0; seed < TIMES; seed++) {
        struct mutator mutator = {.random = seed, .bytes = turn_a_byte};
        char text[REQUEST_ROOM];
        const size_t length = strlen(words_request(&mutator, text));
        void *room = fuzz_room(request_room(length));
        struct request request;

        request_parse(&request, room, request_room(length), text, length);
        served[request.op] += request.error.code == WIRE_OK ? 1 : 0;
        refused += request.error.code != WIRE_OK ? 1 : 0;
        free(room);
    }
    for (int op = REQUEST_PING; op <= REQUEST_GET_FILE; op++)
        assert_in_range(served[op], TIMES / 20, TIMES / 4 + TIMES / 20);
    assert_in_range(refused, TIMES / 8, TIMES / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_are_repaired),       cmocka_unit_test(json_often_stays_json),
        cmocka_unit_test(without_room_nothing_grows), cmocka_unit_test(crossing_takes_from_both),
        cmocka_unit_test(requests_are_often_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
