/* Property: the agent's parser and the Python oracle make the same of any payload: served or refused, the same code,
 * the same operation with the same fields, the same upload to be drained. Codes are compared, never texts (ERR-CODE).
 *
 * Input: one control payload. */
#include "fuzz.h"

#include "oracle.h"
#include "wire/request.h"

static const char *op_name(enum request_op op)
{
    static const char *const names[] = {"",
#define X(NAME, text) text,
                                        WIRE_OPERATIONS(X)
#undef X
    };

    return names[op];
}

/* The oracle's next text is this one. */
static void take_text(struct oracle_answer *oracle, const char *text, const char *words)
{
    const size_t size = strlen(text) + 1;

    FUZZ_CHECK(oracle->length >= size && memcmp(oracle->texts, text, size) == 0, words);
    oracle->texts += size;
    oracle->length -= size;
}

static void same_run(const struct request *request, struct oracle_answer *oracle)
{
    FUZZ_CHECK(request->raw == (oracle->mode == 1), "the same shell");
    FUZZ_CHECK(!(request->timeout < oracle->timeout || request->timeout > oracle->timeout), "the same timeout");
    FUZZ_CHECK((request->timeout_text != NULL) == (oracle->timeout > 0), "both with a timeout or without");
    take_text(oracle, request->cmd, "the same command");
    if (request->timeout_text != NULL)
        take_text(oracle, request->timeout_text, "the same timeout, as it was written");
    for (size_t i = 0; request->env != NULL && request->env[i] != NULL; i++)
        take_text(oracle, request->env[i], "the same variables");
}

static void same_put_file(const struct request *request, struct oracle_answer *oracle)
{
    FUZZ_CHECK(request->mode == oracle->mode, "the same mode");
    FUZZ_CHECK(request->size == oracle->size, "the same size");
    take_text(oracle, request->path, "the same path");
    if (request->name != NULL)
        take_text(oracle, request->name, "the same name");
}

static void same_fields(const struct request *request, struct oracle_answer *oracle)
{
    FUZZ_CHECK(strcmp(op_name(request->op), oracle->op) == 0, "the same operation");
    if (request->op == REQUEST_RUN)
        same_run(request, oracle);
    else if (request->op == REQUEST_PUT_FILE)
        same_put_file(request, oracle);
    else if (request->op == REQUEST_GET_FILE)
        take_text(oracle, request->path, "the same path");
    FUZZ_CHECK(oracle->length == 0, "nothing that only the oracle has");
}

static void same_answer(const struct request *request, struct oracle_answer *oracle)
{
    const char *code = wire_code_name(request->error.code);

    if (strcmp(code, oracle->code) != 0)
        fprintf(stderr, "agent: %s (%s), oracle: %s\n", code, request->error.text, oracle->code);
    FUZZ_CHECK(strcmp(code, oracle->code) == 0, "the same code");
    FUZZ_CHECK(request->drain == oracle->drain, "an upload is drained by both or by neither");
    if (request->error.code == WIRE_OK)
        same_fields(request, oracle);
    else
        FUZZ_CHECK(!request->drain || request->size == oracle->size, "as much is drained");
}

const struct fuzz_input fuzz_input = {.form = FUZZ_PAYLOAD};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t length = size, enough = request_room(length);
    void *room = fuzz_room(enough), *payload = fuzz_copy(data, length);
    struct oracle_answer oracle = oracle_judge(data, length);
    struct request request;

    request_parse(&request, room, enough, payload, length);
    free(payload);
    same_answer(&request, &oracle);
    oracle_forget(&oracle);
    free(room);
    return 0;
}
