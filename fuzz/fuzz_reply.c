/* Property: whatever an error says, a file is called, or a number is, what goes out is one whole frame that obeys the
 * JSON profile (JSON-OUT) and decodes to the same values, bounded as ERR-SHAPE says; a timeout as the request wrote it.
 *
 * Input: one byte chooses the reply, one its code, 8 are a number, the rest is text: a timeout's, as in a request. */
#include "fuzz.h"
#include "sent.h"
#include "sent_text.h"
#include "wire/reply.h"

struct input {
    uint8_t kind, code;
    uint64_t number;
    char text[sizeof((struct wire_error *)0)->text];
};

static struct input read_input(const uint8_t *data, size_t size)
{
    struct input input = {.kind = size > 0 ? data[0] : 0, .code = size > 1 ? data[1] : 0};

    for (size_t i = 2; i < 10 && i < size; i++)
        input.number = input.number << 8 | data[i];
    for (size_t i = 10; i < 10 + sizeof input.text - 1 && i < size; i++)
        input.text[i - 10] = (char)data[i];
    return input;
}

static void check_error(const struct input *input, uint8_t *out, void **room)
{
    struct wire_error error = {.code = (enum wire_code)(1 + input->code % WIRE_INTERNAL)};

    memcpy(error.text, input->text, sizeof error.text);
    const cJSON *tree = sent_tree(out, reply_error(out, &error), room);
    FUZZ_CHECK(strcmp(sent_member(tree, "code")->valuestring, wire_code_name(error.code)) == 0, "the same code");
    same_text(sent_member(tree, "error"), *error.text ? error.text : wire_code_name(error.code), LIMIT_ERROR_TEXT);
}

static void check_file(const struct input *input, uint8_t *out, void **room)
{
    const uint64_t most = LIMIT_JSON_INTEGER;
    const cJSON *tree = sent_tree(out, reply_file(out, input->code * 257U, input->number), room);
    const double sent = sent_member(tree, "size")->valuedouble;

    FUZZ_CHECK((uint64_t)sent == (input->number < most ? input->number : most), "the same size, within JSON-INT");
    FUZZ_CHECK(sent_member(tree, "mode")->valueint == (int)(input->code * 257U & LIMIT_FILE_MODE), "the same mode");
}

/* Where a request may have that timeout. */
static void check_timeout(const struct input *input, uint8_t *out, void **room)
{
    char line[sizeof input->text + 64];
    const size_t length = (size_t)sprintf(line, "{\"op\":\"run\",\"cmd\":\"x\",\"timeout\":%s}", input->text);
    void *memory = fuzz_room(request_room(length));
    struct request request;

    request_parse(&request, memory, request_room(length), line, length);
    if (request.error.code == WIRE_OK && request.timeout_text != NULL) {
        const size_t size = reply_timeout(out, request.timeout_text, strlen(request.timeout_text));
        const double sent = sent_member(sent_tree(out, size, room), "timeout")->valuedouble;

        FUZZ_CHECK(sent >= request.timeout && sent <= request.timeout, "the same timeout");
        FUZZ_CHECK(memmem(out, size, request.timeout_text, strlen(request.timeout_text)) != NULL, "as it was written");
    }
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct input input = read_input(data, size);
    void *room = NULL, *out = fuzz_room(REPLY_ROOM + (input.kind % 6 == 4 ? strlen(input.text) : 0));
    const cJSON *tree;

    switch (input.kind % 6) {
    case 0:
        check_error(&input, out, &room);
        break;
    case 1:
        check_file(&input, out, &room);
        break;
    case 2:
        tree = sent_tree(out, reply_exit(out, (int)input.number), &room);
        FUZZ_CHECK((int)sent_member(tree, "exit_code")->valuedouble == (int)input.number, "the same exit code");
        break;
    case 3:
        tree = sent_tree(out, reply_pong(out, input.text, input.text), &room);
        same_text(sent_member(tree, "agent_version"), input.text, 512);
        same_text(sent_member(tree, "instance"), input.text, 512);
        break;
    case 4:
        check_timeout(&input, out, &room);
        break;
    default:
        tree = sent_tree(out, reply_ok(out), &room);
        FUZZ_CHECK(cJSON_IsTrue(sent_member(tree, "ok")) && cJSON_GetArraySize(tree) == 1, "ok, and no more");
        FUZZ_CHECK(reply_eof(out) == 5 && memcmp(out, (uint8_t[]){FRAME_EOF, 0, 0, 0, 0}, 5) == 0, "an empty EOF");
    }
    free(room);
    free(out);
    return 0;
}
