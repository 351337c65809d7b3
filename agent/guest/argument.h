/* What readers of a command line share: an option's name with its `=VALUE`, and the one line that refuses an argument.
 */
#ifndef GUEST_ARGUMENT_H
#define GUEST_ARGUMENT_H

#include <stdbool.h>

#include "wire/text.h"

/* Return: true if `argument` is `name` (*value is NULL then) or `name` and '=' (*value is what follows). */
bool argument_names(const char *argument, const char *name, const char **value);

/* Add SUBJECT: WHAT 'VALUE'; accepted: ACCEPTED, where `value` may be NULL. Return: false, always. */
bool argument_refuse(struct text *complaint, const char *subject, const char *what, const char *value,
                     const char *accepted);

/* The same for an argument that names no option. Add the names behind it. Return: false, always. */
bool argument_unknown(struct text *complaint, const char *argument);

#endif
