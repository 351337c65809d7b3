/* Property: whatever an error says, a file is called, or a number is, what goes out is one whole frame that obeys the
 * JSON profile (JSON-OUT) and decodes to the same values, bounded as ERR-SHAPE says.
 *
 * Input: one byte chooses the reply, one its code, 8 are a number, the rest is text. */
#include "fuzz.h"
#include "sent_text.h"
#include "wire/arena.h"
#include "wire/frame.h"
#include "wire/json_strict.h"
#include "wire/reply.h"
#include "wire/request.h"

struct input {
    uint8_t kind, code;
    uint64_t number;
    char text[sizeof((struct wire_error *)0)->text];
};

static struct input read_input(const uint8_t *data, size_t size)
{
    struct input input = {0};
    size_t at = 0;

    input.kind = size > at ? data[at++] : 0;
    input.code = size > at ? data[at++] : 0;
    for (int i = 0; i < 8 && size > at; i++)
        input.number = input.number << 8 | data[at++];
    for (size_t i = 0; i < sizeof input.text - 1 && size > at; i++)
        input.text[i] = (char)data[at++];
    return input;
}

/* Return: the payload as cJSON reads it, in *room, as large as a payload of that length needs. */
static const cJSON *decoded(const uint8_t *frame, size_t length, void **room)
{
    struct frame_decoder decoder = {0};
    const char *payload = (const char *)frame + LIMIT_FRAME_HEADER;
    size_t consumed;

    FUZZ_CHECK(frame_decode(&decoder, frame, length, &consumed) == FRAME_HEADER_READY, "a reply is a frame");
    FUZZ_CHECK(decoder.header.type == FRAME_JSON && decoder.header.length == length - consumed, "of the right length");
    FUZZ_CHECK(json_strict(payload, length - consumed).verdict == JSON_GOOD, "what goes out obeys the profile");
    *room = fuzz_room(request_room(length));
    arena_use(*room, request_room(length));
    return cJSON_ParseWithLength(payload, length - consumed);
}

static const cJSON *member(const cJSON *tree, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(tree, name);
}

static void check_error(const struct input *input, uint8_t *out, void **room)
{
    struct wire_error error = {.code = (enum wire_code)(1 + input->code % WIRE_INTERNAL)};
    const cJSON *tree;

    memcpy(error.text, input->text, sizeof error.text);
    tree = decoded(out, reply_error(out, &error), room);
    FUZZ_CHECK(strcmp(member(tree, "code")->valuestring, wire_code_name(error.code)) == 0, "the same code");
    same_text(member(tree, "error"), error.text[0] != '\0' ? error.text : wire_code_name(error.code), LIMIT_ERROR_TEXT);
}

static void check_file(const struct input *input, uint8_t *out, void **room)
{
    const uint64_t most = LIMIT_JSON_INTEGER;
    const cJSON *tree = decoded(out, reply_file(out, input->code * 257U, input->number), room);
    const double sent = member(tree, "size")->valuedouble;

    FUZZ_CHECK((uint64_t)sent == (input->number < most ? input->number : most), "the same size, within JSON-INT");
    FUZZ_CHECK(member(tree, "mode")->valueint == (int)(input->code * 257U & LIMIT_FILE_MODE), "the same mode");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct input input = read_input(data, size);
    void *room = NULL, *out = fuzz_room(REPLY_ROOM);
    const cJSON *tree;

    switch (input.kind % 4) {
    case 0:
        check_error(&input, out, &room);
        break;
    case 1:
        check_file(&input, out, &room);
        break;
    case 2:
        tree = decoded(out, reply_exit(out, (int)input.number), &room);
        FUZZ_CHECK((int)member(tree, "exit_code")->valuedouble == (int)input.number, "the same exit code");
        break;
    default:
        tree = decoded(out, reply_pong(out, input.text, input.text), &room);
        same_text(member(tree, "agent_version"), input.text, 512);
        same_text(member(tree, "instance"), input.text, 512);
    }
    free(room);
    free(out);
    return 0;
}
