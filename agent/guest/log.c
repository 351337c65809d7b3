#include "guest/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "wire/text.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x8
#endif

#define LINE_ROOM 1024 /* below PIPE_BUF: whole or not at all */

/* O_NONBLOCK would change the description that others share, so the call itself must not wait: RWF_NOWAIT where the
 * file knows it, else a look before the write. */
bool write_at_once(int fd, const char *bytes, size_t length)
{
    const struct iovec vector = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    ssize_t written = syscall(SYS_pwritev2, fd, &vector, 1, -1L, -1L, RWF_NOWAIT);

    if (written < 0 && poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0)
        written = write(fd, bytes, length);
    return written == (ssize_t)length;
}

static void write_line(struct log *log, va_list strings)
{
    char line[LINE_ROOM];
    struct text text = text_in(line, sizeof line - 1);

    text_add(&text, LOG_NAME ": ");
    for (const char *string = va_arg(strings, const char *); string != NULL; string = va_arg(strings, const char *))
        text_add(&text, string);
    for (size_t i = 0; i < text.length; i++)
        if (line[i] < ' ' || line[i] > '~')
            line[i] = '?';
    line[text.length] = '\n';

    lock_take(&log->lock); /* between the look and the write no other thread may take the room */
    write_at_once(STDERR_FILENO, line, text.length + 1);
    lock_release(&log->lock);
}

void log_event(struct log *log, ...)
{
    va_list strings;

    if (log->quiet)
        return;
    va_start(strings, log);
    write_line(log, strings);
    va_end(strings);
}

void log_fatal(struct log *log, ...)
{
    va_list strings;

    va_start(strings, log);
    write_line(log, strings);
    va_end(strings);
}
