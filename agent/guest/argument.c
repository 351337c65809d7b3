#include "guest/argument.h"

#include <string.h>

#define SHOWN 100 /* bytes of what was given */

bool argument_names(const char *argument, const char *name, const char **value)
{
    const size_t length = strlen(name);

    if (strncmp(argument, name, length) != 0 || (argument[length] != '\0' && argument[length] != '='))
        return false;
    *value = argument[length] == '=' ? argument + length + 1 : NULL;
    return true;
}

static void quote(struct text *complaint, const char *what, const char *value)
{
    text_add(complaint, what);
    if (value == NULL)
        return;
    text_add(complaint, " '");
    text_add_bytes(complaint, value, strnlen(value, SHOWN));
    text_add(complaint, "'");
}

bool argument_refuse(struct text *complaint, const char *subject, const char *what, const char *value,
                     const char *accepted)
{
    text_add(complaint, subject);
    text_add(complaint, ": ");
    quote(complaint, what, value);
    text_add(complaint, "; accepted: ");
    text_add(complaint, accepted);
    return false;
}

bool argument_unknown(struct text *complaint, const char *argument)
{
    quote(complaint, "unknown argument", argument);
    text_add(complaint, "; accepted:");
    return false;
}
