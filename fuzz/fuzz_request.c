/* Property: a request that is served, written down again and parsed, is an equal request; one that is refused has a
 * code of the contract and a text, and holds nothing that could be served by mistake. Parsing never needs more than
 * request_room(), and nothing of the request points into the payload.
 *
 * Input: one control payload. */
#include "fuzz.h"

#include "encode.h"
#include "wire/request.h"

struct parsed {
    struct request request;
    void *room;
};

static struct parsed parse(const char *payload, size_t length)
{
    const size_t size = request_room(length);
    struct parsed parsed = {.room = fuzz_room(size)};
    char *copy = fuzz_copy(payload, length);

    memset(&parsed.request, 0xA5, sizeof parsed.request);
    request_parse(&parsed.request, parsed.room, size, copy, length);
    free(copy);
    return parsed;
}

static bool same_text(const char *left, const char *right)
{
    return left == NULL || right == NULL ? left == right : strcmp(left, right) == 0;
}

static bool same_env(char *const *left, char *const *right)
{
    size_t i = 0;

    if (left == NULL || right == NULL)
        return left == right;
    while (left[i] != NULL && right[i] != NULL && strcmp(left[i], right[i]) == 0)
        i++;
    return left[i] == NULL && right[i] == NULL;
}

static void check_refused(const struct request *request)
{
    const bool put = request->op == REQUEST_PUT_FILE;

    FUZZ_CHECK(wire_code_name(request->error.code)[0] != '\0', "the code is one of the contract");
    FUZZ_CHECK(request->error.code != WIRE_INTERNAL || fuzz_was_starved(), "there is room for every request");
    FUZZ_CHECK(memchr(request->error.text, '\0', sizeof request->error.text) > (void *)request->error.text,
               "an error has a text, and that has an end");
    FUZZ_CHECK(put || (!request->drain && request->size == 0), "only an upload is drained");
    FUZZ_CHECK(request->cmd == NULL && request->env == NULL && request->timeout_text == NULL && !request->raw,
               "nothing of a refused run is left");
    FUZZ_CHECK(request->path == NULL && request->name == NULL && request->mode == 0,
               "nothing of a refused path is left");
    FUZZ_CHECK(request->drain || request->size == 0, "without draining there is no size");
}

static void check_served(const struct request *request)
{
    size_t length;
    char *payload = encode_request(request, &length);
    struct parsed again = parse(payload, length);
    const struct request *second = &again.request;

    if (second->error.code == WIRE_INTERNAL) {
        check_refused(second);
        goto out;
    }
    FUZZ_CHECK(request->op != REQUEST_NONE && !request->drain, "what is served has an operation");
    FUZZ_CHECK(second->error.code == WIRE_OK && second->op == request->op, "what was served is served again");
    FUZZ_CHECK(same_text(request->cmd, second->cmd) && request->raw == second->raw, "the same command");
    FUZZ_CHECK(same_text(request->timeout_text, second->timeout_text), "the same timeout, as it was written");
    FUZZ_CHECK(!(request->timeout < second->timeout || request->timeout > second->timeout), "the same timeout");
    FUZZ_CHECK(same_env(request->env, second->env), "the same environment");
    FUZZ_CHECK(same_text(request->path, second->path) && same_text(request->name, second->name), "the same path");
    FUZZ_CHECK(request->mode == second->mode && request->size == second->size, "the same mode and size");
out:
    free(again.room);
    free(payload);
}

const struct fuzz_input fuzz_input = {.form = FUZZ_PAYLOAD};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parsed parsed = parse((const char *)data, size);

    if (parsed.request.error.code != WIRE_OK)
        check_refused(&parsed.request);
    else
        check_served(&parsed.request);
    free(parsed.room);
    return 0;
}
