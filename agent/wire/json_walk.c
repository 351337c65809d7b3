#include "json_walk.h"

#include "json_strict.h"

bool json_is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

const char *json_skip_space(const char *at, const char *end)
{
    while (at < end && json_is_space(*at))
        at++;
    return at;
}

const char *json_skip_string(const char *at, const char *end)
{
    at++;
    while (at < end && *at != '"')
        at += *at == '\\' && end - at > 1 ? 2 : 1;
    return at < end ? at + 1 : end;
}

int json_hex(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

struct json_members json_members_of(struct json_slice object)
{
    const char *end = object.start + object.length;
    const char *at = json_skip_space(object.start, end);

    return (struct json_members){.at = at < end && *at == '{' ? at + 1 : end, .end = end};
}

/* Return: the comma or closing bracket behind the value at `at`. */
static const char *skip_value(const char *at, const char *end)
{
    size_t depth = 0;

    while (at < end) {
        if (*at == '"') {
            at = json_skip_string(at, end);
            continue;
        }
        if (*at == '{' || *at == '[')
            depth++;
        else if (depth == 0 && (*at == ',' || *at == '}' || *at == ']'))
            break;
        else if (*at == '}' || *at == ']')
            depth--;
        at++;
    }
    return at;
}

bool json_members_next(struct json_members *members, struct json_slice *value)
{
    const char *at = json_skip_space(members->at, members->end);
    const char *after;

    if (at < members->end && *at == ',')
        at = json_skip_space(at + 1, members->end);
    if (at == members->end || *at != '"') {
        members->at = members->end;
        return false;
    }
    at = json_skip_space(json_skip_string(at, members->end), members->end);
    if (at < members->end)
        at = json_skip_space(at + 1, members->end); /* the colon */
    after = skip_value(at, members->end);
    members->at = after;
    while (after > at && json_is_space(after[-1]))
        after--;
    *value = (struct json_slice){.start = at, .length = (size_t)(after - at)};
    return true;
}
