#include "host/status.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "wire/utf8.h"

#define ROOM 8192 /* the longest strings, escaped, fit */

void status_open(struct status *status, const char *path, const char *address, const char *target)
{
    *status = (struct status){.path = path, .address = address, .target = target, .spare = -1};
    if (path != NULL)
        status->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void status_error(struct status *status, const char *error)
{
    struct text text = text_in(status->last_error, sizeof status->last_error);

    text_add(&text, error);
    status->last_error_time = time(NULL);
}

void status_add_string(struct text *text, const char *string)
{
    static const char hex[] = "0123456789abcdef";
    size_t left = strlen(string);

    text_add(text, "\"");
    while (left > 0) {
        const unsigned char byte = (unsigned char)*string;
        const char escaped[] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15U]};
        uint32_t point;
        const size_t length = utf8_decode(string, left, &point);

        if (length == 0)
            text_add(text, "?");
        else if (byte < ' ' || byte == '"' || byte == '\\' || byte == 0x7F)
            text_add_bytes(text, escaped, sizeof escaped);
        else
            text_add_bytes(text, string, length);
        string += length > 0 ? length : 1;
        left -= length > 0 ? length : 1;
    }
    text_add(text, "\"");
}

static void add_number(struct text *text, const char *name, uint64_t number)
{
    text_add(text, ", \"");
    text_add(text, name);
    text_add(text, "\": ");
    text_add_int(text, (int64_t)number);
}

static void print(const struct status *status, struct text *text)
{
    text_add(text, "{\"listening\": ");
    text_add(text, status->listening ? "true" : "false");
    text_add(text, ", \"address\": ");
    status_add_string(text, status->address);
    text_add(text, ", \"target\": ");
    status_add_string(text, status->target);
    add_number(text, "pid", (uint64_t)getpid());
    add_number(text, "connections", status->connections);
    add_number(text, "waiting", status->waiting);
    add_number(text, "accepted", status->accepted);
    add_number(text, "bytes_to_guest", status->bytes_to_guest);
    add_number(text, "bytes_to_client", status->bytes_to_client);
    text_add(text, ", \"last_error\": ");
    if (status->last_error_time == 0) {
        text_add(text, "null, \"last_error_time\": null}\n");
        return;
    }
    status_add_string(text, status->last_error);
    add_number(text, "last_error_time", (uint64_t)status->last_error_time);
    text_add(text, "}\n");
}

/* Return: 0 or errno. */
static int write_new(struct status *status, const char *name)
{
    char shown[ROOM];
    struct text text = text_in(shown, sizeof shown);
    struct stat made = {.st_ino = 0};
    int fd;
    int err = 0;

    print(status, &text);
    unlink(name); /* of an earlier process with this number */
    fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    if (fchmod(fd, 0600) != 0 || write(fd, shown, text.length) != (ssize_t)text.length || fstat(fd, &made) != 0 ||
        rename(name, status->path) != 0)
        err = errno != 0 ? errno : ENOSPC;
    close(fd);
    if (err != 0) {
        unlink(name);
        return err;
    }
    status->made = true;
    status->device = made.st_dev;
    status->inode = made.st_ino;
    return 0;
}

int status_write(struct status *status)
{
    char name[PATH_MAX];
    int err;

    if (status->path == NULL)
        return 0;
    if (snprintf(name, sizeof name, "%s.%ld", status->path, (long)getpid()) >= (int)sizeof name)
        return ENAMETOOLONG;
    if (status->spare >= 0)
        close(status->spare);
    errno = 0;
    err = write_new(status, name);
    status->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return err;
}

void status_remove(struct status *status)
{
    struct stat now;

    if (status->made && lstat(status->path, &now) == 0 && now.st_dev == status->device && now.st_ino == status->inode)
        unlink(status->path);
    status->made = false;
    if (status->spare >= 0)
        close(status->spare);
    status->spare = -1;
}
