#include "reply.h"

#include <string.h>

#include "frame.h"
#include "text.h"
#include "utf8.h"

/* Two of these, escaped, fit a pong into REPLY_ROOM. */
#define PONG_STRING 512

static struct text json_start(uint8_t *out, size_t room)
{
    return text_in((char *)out + LIMIT_FRAME_HEADER, room - LIMIT_FRAME_HEADER);
}

static size_t json_finish(uint8_t *out, const struct text *json)
{
    frame_encode_header(out, (struct frame_header){.type = FRAME_JSON, .length = (uint32_t)json->length});
    return LIMIT_FRAME_HEADER + json->length;
}

static void add_point(struct text *json, const char *bytes, size_t length)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char first = (unsigned char)bytes[0];

    if (first < 0x20) {
        const char escape[] = {'\\', 'u', '0', '0', hex[first >> 4], hex[first & 15U]};

        text_add_bytes(json, escape, sizeof escape);
        return;
    }
    if (first == '"' || first == '\\')
        text_add(json, "\\");
    text_add_bytes(json, bytes, length);
}

/* Add bytes as a JSON string of at most `limit` bytes of valid UTF-8 before escaping (JSON-OUT). */
static void add_string(struct text *json, const char *bytes, size_t length, size_t limit)
{
    static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
    size_t used = 0;

    text_add(json, "\"");
    for (size_t at = 0; at < length;) {
        uint32_t point;
        const size_t good = utf8_decode(bytes + at, length - at, &point);
        const char *from = good > 0 ? bytes + at : replacement;
        const size_t width = good > 0 ? good : sizeof replacement - 1;

        if (limit - used < width)
            break;
        add_point(json, from, width);
        used += width;
        at += good > 0 ? good : 1;
    }
    text_add(json, "\"");
}

size_t reply_pong(uint8_t *out, const char *agent_version, const char *instance)
{
    struct text json = json_start(out, REPLY_ROOM);

    text_add(&json, "{\"ok\":true,\"op\":\"pong\",\"agent_version\":");
    add_string(&json, agent_version, strlen(agent_version), PONG_STRING);
    text_add(&json, ",\"proto\":");
    text_add_int(&json, PROTOCOL_VERSION);
    text_add(&json, ",\"instance\":");
    add_string(&json, instance, strlen(instance), PONG_STRING);
    text_add(&json, "}");
    return json_finish(out, &json);
}

size_t reply_ok(uint8_t *out)
{
    struct text json = json_start(out, REPLY_ROOM);

    text_add(&json, "{\"ok\":true}");
    return json_finish(out, &json);
}

size_t reply_exit(uint8_t *out, int exit_code)
{
    struct text json = json_start(out, REPLY_ROOM);

    text_add(&json, "{\"ok\":true,\"op\":\"exit\",\"exit_code\":");
    text_add_int(&json, exit_code);
    text_add(&json, "}");
    return json_finish(out, &json);
}

size_t reply_file(uint8_t *out, unsigned mode, uint64_t size)
{
    struct text json = json_start(out, REPLY_ROOM);

    text_add(&json, "{\"ok\":true,\"mode\":");
    text_add_int(&json, mode & LIMIT_FILE_MODE);
    text_add(&json, ",\"size\":");
    text_add_int(&json, size < LIMIT_JSON_INTEGER ? (int64_t)size : LIMIT_JSON_INTEGER);
    text_add(&json, "}");
    return json_finish(out, &json);
}

size_t reply_error(uint8_t *out, const struct wire_error *error)
{
    struct text json = json_start(out, REPLY_ROOM);
    const char *code = wire_code_name(error->code == WIRE_OK ? WIRE_INTERNAL : error->code);
    const char *words = error->text[0] == '\0' ? code : error->text;

    text_add(&json, "{\"ok\":false,\"op\":\"error\",\"error\":");
    add_string(&json, words, strlen(words), LIMIT_ERROR_TEXT);
    text_add(&json, ",\"code\":\"");
    text_add(&json, code);
    text_add(&json, "\"}");
    return json_finish(out, &json);
}

size_t reply_eof(uint8_t *out)
{
    frame_encode_header(out, (struct frame_header){.type = FRAME_EOF, .length = 0});
    return LIMIT_FRAME_HEADER;
}

size_t reply_timeout(uint8_t *out, const char *number, size_t length)
{
    struct text json = json_start(out, length + REPLY_ROOM);

    text_add(&json, "{\"ok\":true,\"op\":\"timeout\",\"timeout\":");
    text_add_bytes(&json, number, length);
    text_add(&json, "}");
    return json_finish(out, &json);
}
