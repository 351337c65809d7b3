#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "text.h"

const char *wire_code_name(enum wire_code code)
{
    switch (code) {
    case WIRE_OK:
        break;
#define X(name, text) \
    case WIRE_##name: \
        return text;
        WIRE_CODES(X)
#undef X
    }
    return "";
}

enum wire_code wire_code_from_errno(int err)
{
    switch (err) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
        return WIRE_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return WIRE_PERMISSION_DENIED;
    case EISDIR:
        return WIRE_IS_DIRECTORY;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return WIRE_NO_SPACE;
    case ENAMETOOLONG:
        return WIRE_INVALID_ARGUMENT;
    default:
        return WIRE_IO_ERROR;
    }
}

bool wire_fail(struct wire_error *error, enum wire_code code, ...)
{
    struct text text;
    va_list strings;

    if (error->code != WIRE_OK)
        return false;
    error->code = code;
    text = text_in(error->text, sizeof error->text);
    va_start(strings, code);
    for (const char *string = va_arg(strings, const char *); string != NULL; string = va_arg(strings, const char *))
        text_add(&text, string);
    va_end(strings);
    return false;
}

bool wire_fail_errno(struct wire_error *error, int err, const char *subject)
{
    const char *reason = strerror(err);
    const size_t tail = strlen("...: ") + strlen(reason);
    char shown[sizeof error->text];
    /* A long path must not hide the reason. */
    struct text text = text_in(shown, tail < sizeof shown ? sizeof shown - tail : 1);

    text_add(&text, subject);
    return wire_fail(error, wire_code_from_errno(err), shown, text.cut ? "...: " : ": ", reason, NULL);
}
