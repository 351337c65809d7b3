#include "host/say.h"

#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "guest/log.h"
#include "wire/text.h"
#include "wire/version.h"

#define LINE_ROOM 1024 /* below PIPE_BUF: whole or not at all */

void say(const char *name, ...)
{
    char line[LINE_ROOM];
    struct text text = text_in(line, sizeof line - 1);
    va_list strings;

    text_add(&text, "guestwire");
    if (name != NULL) {
        text_add(&text, " ");
        text_add(&text, name);
    }
    text_add(&text, ": ");
    va_start(strings, name);
    for (const char *string = va_arg(strings, const char *); string != NULL; string = va_arg(strings, const char *))
        text_add(&text, string);
    va_end(strings);
    for (size_t i = 0; i < text.length; i++)
        if (line[i] < ' ' || line[i] > '~')
            line[i] = '?';
    line[text.length] = '\n';
    write_at_once(STDERR_FILENO, line, text.length + 1);
}

int say_out(const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        const ssize_t written = write(STDOUT_FILENO, text, left);

        if (written < 0)
            return 1;
        text += written;
        left -= (size_t)written;
    }
    return 0;
}

int say_version(void)
{
    char line[LINE_ROOM];
    struct text text = text_in(line, sizeof line);

    text_add(&text, "guestwire ");
    text_add(&text, agent_version);
    text_add(&text, "\n");
    return say_out(line);
}
