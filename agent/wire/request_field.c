#include "request_field.h"

#include <string.h>

#include "text.h"

struct field_walk field_walk_of(struct field object)
{
    return (struct field_walk){.next = object.item->child, .members = json_members_of(object.raw)};
}

struct field field_walk_next(struct field_walk *walk)
{
    struct field field = {.item = walk->next};

    if (field.item == NULL || !json_members_next(&walk->members, &field.raw))
        return (struct field){.item = NULL};
    walk->next = field.item->next;
    return field;
}

struct field field_find(struct field object, const char *name)
{
    struct field_walk walk = field_walk_of(object);
    struct field field;

    do {
        field = field_walk_next(&walk);
    } while (field.item != NULL && strcmp(field.item->string, name) != 0);
    return field;
}

bool field_is_none(struct field field)
{
    return field.item == NULL || cJSON_IsNull(field.item);
}

const char *field_string(struct field field)
{
    return cJSON_IsString(field.item) ? field.item->valuestring : NULL;
}

bool field_integer(struct field field, int64_t *number)
{
    const size_t longest = sizeof TEXT_OF(LIMIT_JSON_INTEGER) - 1; /* no leading zeros: more digits are too many */
    const char *digits = field.raw.start;
    size_t length = field.raw.length;
    bool negative;
    int64_t value = 0;

    if (!cJSON_IsNumber(field.item))
        return false;
    negative = *digits == '-';
    digits += negative;
    length -= negative;
    if (length > longest)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        value = value * 10 + (digits[i] - '0');
    }
    if (value > LIMIT_JSON_INTEGER)
        return false;
    *number = negative ? -value : value;
    return true;
}
