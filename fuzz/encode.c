#include "encode.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct growing {
    char *bytes;
    size_t length;
    size_t room;
};

static void add(struct growing *out, const char *bytes, size_t length)
{
    if (out->room - out->length < length) {
        out->room = 2 * (out->room + length);
        out->bytes = realloc(out->bytes, out->room);
        if (out->bytes == NULL)
            abort();
    }
    memcpy(out->bytes + out->length, bytes, length);
    out->length += length;
}

static void add_text(struct growing *out, const char *text)
{
    add(out, text, strlen(text));
}

static void add_string(struct growing *out, const char *string, size_t length)
{
    add_text(out, "\"");
    for (size_t i = 0; i < length; i++) {
        char escape[8];

        if ((unsigned char)string[i] >= 0x20 && string[i] != '"' && string[i] != '\\') {
            add(out, string + i, 1);
            continue;
        }
        snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)string[i]);
        add_text(out, escape);
    }
    add_text(out, "\"");
}

static void add_member(struct growing *out, const char *name, const char *string)
{
    if (string == NULL)
        return;
    add_text(out, ",\"");
    add_text(out, name);
    add_text(out, "\":");
    add_string(out, string, strlen(string));
}

static void add_raw(struct growing *out, const char *name, const char *value)
{
    add_text(out, ",\"");
    add_text(out, name);
    add_text(out, "\":");
    add_text(out, value);
}

static void add_env(struct growing *out, char *const *env)
{
    if (env == NULL)
        return;
    add_text(out, ",\"env\":{");
    for (size_t i = 0; env[i] != NULL; i++) {
        const char *equals = strchr(env[i], '=');

        add_text(out, i > 0 ? "," : "");
        add_string(out, env[i], (size_t)(equals - env[i]));
        add_text(out, ":");
        add_string(out, equals + 1, strlen(equals + 1));
    }
    add_text(out, "}");
}

char *encode_request(const struct request *request, size_t *length)
{
    static const char *const names[] = {"none",
#define X(NAME, text) text,
                                        WIRE_OPERATIONS(X)
#undef X
    };
    struct growing out = {.bytes = NULL};
    char number[32];

    add_text(&out, "{\"op\":\"");
    add_text(&out, names[request->op]);
    add_text(&out, "\"");
    add_member(&out, "cmd", request->cmd);
    add_member(&out, "path", request->path);
    add_member(&out, "name", request->name);
    add_member(&out, "shell", request->raw ? "raw" : NULL);
    if (request->timeout_text != NULL)
        add_raw(&out, "timeout", request->timeout_text);
    add_env(&out, request->env);
    if (request->op == REQUEST_PUT_FILE) {
        snprintf(number, sizeof number, "%d", request->mode);
        add_raw(&out, "mode", number);
        snprintf(number, sizeof number, "%llu", (unsigned long long)request->size);
        add_raw(&out, "size", number);
    }
    add_text(&out, "}");
    *length = out.length;
    return out.bytes;
}
