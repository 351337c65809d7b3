#include "request_field.h"

#include <string.h>

#include "arena.h"
#include "text.h"

/* Enough for any integer of JSON-INT and its NUL. */
#define INTEGER_ROOM 24

/* Return: the value as the environment holds it, kept in `room` if it is an integer; NULL where it is neither. */
static const char *env_value(struct field field, char room[INTEGER_ROOM])
{
    struct text text = text_in(room, INTEGER_ROOM);
    int64_t number;

    if (!field_integer(field, &number))
        return field_string(field);
    text_add_int(&text, number);
    return room;
}

static bool refuse(struct request *request, const char *name, const char *demand)
{
    char shown[64];
    struct text text = text_in(shown, sizeof shown);

    text_add(&text, name);
    return wire_fail(&request->error, WIRE_INVALID_ARGUMENT, "env: \"", shown, text.cut ? "...\" " : "\" ", demand,
                     NULL);
}

/* Judge every member. Return: true with *count of them, and *bytes that their "NAME=VALUE" strings take. */
static bool measure(struct request *request, struct field env, size_t *count, size_t *bytes)
{
    struct field_walk walk = field_walk_of(env);

    *count = 0;
    *bytes = 0;
    for (struct field field = field_walk_next(&walk); field.item != NULL; field = field_walk_next(&walk)) {
        const char *name = field.item->string;
        char room[INTEGER_ROOM];
        const char *value = env_value(field, room);

        if (name[0] == '\0' || strchr(name, '=') != NULL)
            return refuse(request, name, "is not a variable's name: it must not be empty nor hold '='");
        if (value == NULL)
            return refuse(request, name, "must be a string or an integer");
        *count += 1;
        *bytes += strlen(name) + strlen(value) + 2;
    }
    return true;
}

static void fill(char **strings, struct field env, size_t count, size_t bytes)
{
    struct field_walk walk = field_walk_of(env);
    struct text block = text_in((char *)(strings + count + 1), bytes + 1);

    for (size_t i = 0; i < count; i++) {
        const struct field field = field_walk_next(&walk);
        char room[INTEGER_ROOM];

        strings[i] = block.start + block.length;
        text_add(&block, field.item->string);
        text_add(&block, "=");
        text_add(&block, env_value(field, room));
        text_add_bytes(&block, "", 1);
    }
    strings[count] = NULL;
}

bool request_read_env(struct request *request, struct field env)
{
    size_t count, bytes;

    if (field_is_none(env))
        return true;
    if (!cJSON_IsObject(env.item))
        return wire_fail(&request->error, WIRE_INVALID_ARGUMENT, "env must be an object or null", NULL);
    if (!measure(request, env, &count, &bytes))
        return false;
    request->env = arena_take((count + 1) * sizeof *request->env + bytes + 1);
    if (request->env == NULL)
        return wire_fail(&request->error, WIRE_INTERNAL, "no memory for env", NULL);
    fill(request->env, env, count, bytes);
    return true;
}
