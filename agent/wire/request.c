#include "request.h"

#include <float.h>
#include <string.h>

#include "arena.h"
#include "request_field.h"
#include "text.h"

static bool invalid(struct request *request, const char *demand)
{
    return wire_fail(&request->error, WIRE_INVALID_ARGUMENT, demand, NULL);
}

/* JSON-ORDER. */
static bool judge_payload(struct request *request, const char *payload, size_t length)
{
    const struct json_finding finding = json_strict(payload, length);
    char digits[24];
    struct text place = text_in(digits, sizeof digits);

    text_add_int(&place, (int64_t)finding.offset);
    if (finding.verdict == JSON_GOOD)
        return true;
    if (finding.verdict == JSON_TOO_LARGE)
        return wire_fail(&request->error, WIRE_TOO_LARGE, "request too large: ", finding.reason, ", at byte ", digits,
                         NULL);
    return wire_fail(&request->error, WIRE_MALFORMED, "malformed JSON: ", finding.reason, ", at byte ", digits, NULL);
}

/* A refusal that quotes, bounded, what was sent. */
static bool refuse(struct request *request, enum wire_code code, const char *what, struct field field,
                   const char *accepted)
{
    char shown[64];
    struct text text = text_in(shown, sizeof shown);

    if (field.item == NULL)
        text_add(&text, "(none)");
    else
        text_add_bytes(&text, field.raw.start, field.raw.length);
    return wire_fail(&request->error, code, what, " ", shown, text.cut ? "...: " : ": ", accepted, NULL);
}

/* CONV-VERSION. */
static bool judge_version(struct request *request, struct field object)
{
    const struct field version = field_find(object, "v");
    int64_t number;

    if (field_is_none(version) || (field_integer(version, &number) && number == PROTOCOL_VERSION))
        return true;
    return refuse(request, WIRE_UNSUPPORTED_VERSION, "unsupported protocol version", version,
                  "this agent speaks version " TEXT_OF(PROTOCOL_VERSION));
}

/* CONV-OP. */
static bool read_op(struct request *request, struct field object)
{
    static const struct {
        enum request_op op;
        const char *name;
    } operations[] = {
#define X(NAME, text) {REQUEST_##NAME, text},
        WIRE_OPERATIONS(X)
#undef X
    };
    const struct field op = field_find(object, "op");
    const char *name = field_string(op);

    for (size_t i = 0; name != NULL && i < sizeof operations / sizeof *operations; i++) {
        if (strcmp(name, operations[i].name) == 0) {
            request->op = operations[i].op;
            return true;
        }
    }
    return refuse(request, WIRE_UNKNOWN_OP, "unknown op", op,
                  "op is one of"
#define X(NAME, text) " " text
                  WIRE_OPERATIONS(X)
#undef X
    );
}

/* RUN-TIMEOUT. cJSON reads the nearest double. */
static bool read_timeout(struct request *request, struct field timeout)
{
    if (field_is_none(timeout))
        return true;
    if (!cJSON_IsNumber(timeout.item) || timeout.item->valuedouble < 0 || timeout.item->valuedouble > DBL_MAX)
        return invalid(request, "timeout must be a finite number of seconds, not negative (0: no deadline), or null");
    if (timeout.item->valuedouble <= 0)
        return true;
    request->timeout_text = arena_take(timeout.raw.length + 1);
    if (request->timeout_text == NULL)
        return wire_fail(&request->error, WIRE_INTERNAL, "no memory for timeout", NULL);
    memcpy(request->timeout_text, timeout.raw.start, timeout.raw.length);
    request->timeout_text[timeout.raw.length] = '\0';
    request->timeout = timeout.item->valuedouble;
    return true;
}

/* RUN-SHELL. */
static bool read_shell(struct request *request, struct field shell)
{
    const char *name = field_string(shell);

    request->raw = name != NULL && strcmp(name, "raw") == 0;
    if (field_is_none(shell) || request->raw || (name != NULL && strcmp(name, "login") == 0))
        return true;
    return invalid(request, "shell must be \"login\" (the default) or \"raw\", or null");
}

/* Return: the string, which may not be empty; NULL where it is anything else. */
static const char *filled_string(struct field field)
{
    const char *string = field_string(field);

    return string != NULL && string[0] != '\0' ? string : NULL;
}

static bool read_run(struct request *request, struct field object)
{
    request->cmd = filled_string(field_find(object, "cmd"));
    if (request->cmd == NULL)
        return invalid(request, "cmd must be a string, not empty"); /* RUN-CMD */
    return read_shell(request, field_find(object, "shell")) && read_timeout(request, field_find(object, "timeout")) &&
           request_read_env(request, field_find(object, "env"));
}

/* PUT-PATH, GET-ERRORS. */
static bool read_path(struct request *request, struct field object)
{
    request->path = filled_string(field_find(object, "path"));
    return request->path != NULL || invalid(request, "path must be a string, not empty");
}

static void read_mode(struct request *request, struct field mode)
{
    int64_t bits = LIMIT_FILE_MODE_DEFAULT;

    if (!field_is_none(mode) && (!field_integer(mode, &bits) || bits < 0 || bits > LIMIT_FILE_MODE))
        invalid(request, "mode must be an integer from 0 to 4095 (07777 in octal), or null");
    else
        request->mode = (int)bits;
}

/* Return: false where nobody can tell how much is to come. */
static bool read_size(struct request *request, struct field size)
{
    int64_t bytes = 0;

    if (size.item != NULL && (!field_integer(size, &bytes) || bytes < 0))
        return invalid(request, "size must be an integer from 0 to " TEXT_OF(LIMIT_JSON_INTEGER));
    request->size = (uint64_t)bytes;
    return true;
}

/* PUT-DRAIN: every field is judged, since a good size decides how the first error is answered. */
static void read_put_file(struct request *request, struct field object)
{
    const struct field name = field_find(object, "name");

    read_path(request, object);
    request->name = field_string(name);
    if (request->name == NULL && !field_is_none(name))
        invalid(request, "name must be a string or null");
    read_mode(request, field_find(object, "mode"));
    request->drain = read_size(request, field_find(object, "size")) && request->error.code != WIRE_OK;
}

/* A value takes two bytes of the payload at the least. It has a node, a name and a string or (while it is read) a
 * number, and env a pointer; each of these is rounded up. Strings, the text of `timeout` and env hold no more than the
 * payload does, each. */
size_t request_room(size_t length)
{
    const size_t values = length / 2 < LIMIT_JSON_VALUES ? length / 2 + 1 : LIMIT_JSON_VALUES;
    const size_t rounding = 2 * ARENA_ALIGN;

    if (length > LIMIT_CONTROL_PAYLOAD)
        return 0;
    return values * (sizeof(cJSON) + 2 * rounding + sizeof(char *)) + 3 * length + 4 * rounding;
}

/* Nothing of a refused request is left to be served by mistake. */
static void forget_fields(struct request *request)
{
    const struct request refused = {.op = request->op,
                                    .error = request->error,
                                    .drain = request->drain,
                                    .size = request->drain ? request->size : 0};

    *request = refused;
}

static void read_fields(struct request *request, struct field object)
{
    if (!judge_version(request, object) || !read_op(request, object))
        return;
    if (request->op == REQUEST_RUN)
        read_run(request, object);
    else if (request->op == REQUEST_PUT_FILE)
        read_put_file(request, object);
    else if (request->op == REQUEST_GET_FILE)
        read_path(request, object);
}

void request_parse(struct request *request, void *room, size_t size, const char *payload, size_t length)
{
    struct field object = {.raw = {.start = payload, .length = length}};

    memset(request, 0, sizeof *request);
    if (!judge_payload(request, payload, length))
        return;
    arena_use(room, size);
    object.item = cJSON_ParseWithLength(payload, length);
    if (object.item == NULL) { /* of a payload found good */
        wire_fail(&request->error, WIRE_INTERNAL, "no memory for the request", NULL);
        return;
    }
    read_fields(request, object);
    if (request->error.code != WIRE_OK)
        forget_fields(request);
}
