/* What the tests of the request parser share. */
#ifndef TESTS_REQUEST_PARSE_H
#define TESTS_REQUEST_PARSE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../wire/request.h"

/* Where the request at hand points to; to be freed by request_clear(). */
static void *request_memory;

static inline void request_clear(struct request *request)
{
    free(request_memory);
    request_memory = NULL;
    memset(request, 0, sizeof *request);
}

/* Parse a copy of exactly that length, gone at once: the sanitizer sees one byte too many, and whatever still points
 * into it. */
static inline struct request parse_bytes(const char *json, size_t length)
{
    struct request request;
    char *copy = malloc(length > 0 ? length : 1);

    assert_non_null(copy);
    memcpy(copy, json, length);
    memset(&request, 0xA5, sizeof request);
    free(request_memory);
    request_memory = malloc(request_room(length) + 1);
    assert_non_null(request_memory);
    memset(request_memory, 0xA5, request_room(length));
    request_parse(&request, request_memory, request_room(length), copy, length);
    free(copy);
    return request;
}

static inline struct request parse(const char *json)
{
    return parse_bytes(json, strlen(json));
}

/* The request is served: no error, nothing to drain. */
static inline struct request parse_good(const char *json, enum request_op op)
{
    struct request request = parse(json);

    if (request.error.code != WIRE_OK)
        fail_msg("refused (%s): %.80s", request.error.text, json);
    assert_int_equal(request.op, op);
    assert_false(request.drain);
    return request;
}

/* The request is refused with that code, and a text that has `words` in it. */
static inline void refused(const char *json, enum request_op op, bool drain, enum wire_code code, const char *words)
{
    struct request request = parse(json);

    if (request.error.code != code || strstr(request.error.text, words) == NULL)
        fail_msg("%s (%s), expected %s (%s): %.80s", wire_code_name(request.error.code), request.error.text,
                 wire_code_name(code), words, json);
    if (request.op != op || request.drain != drain)
        fail_msg("op %d drain %d: %.80s", (int)request.op, (int)request.drain, json);
    if (request.cmd != NULL || request.env != NULL || request.timeout_text != NULL || request.path != NULL ||
        request.name != NULL || request.raw || request.mode != 0 || (request.size != 0 && !drain))
        fail_msg("something of a refused request is left: %.80s", json);
    request_clear(&request);
}

#endif
