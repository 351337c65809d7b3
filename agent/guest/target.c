#include "guest/target.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "guest/memory.h"
#include "guest/path.h"

#define NAME_TRIES 8

static bool fail(const struct target *target, struct wire_error *error)
{
    return wire_fail_errno(error, errno, target->path);
}

/* PUT-DIR: it is, or links to, a directory. */
static bool choose_inside(struct target *target, const char *name, struct wire_error *error)
{
    target->name = path_base(name);
    return target->name != NULL || wire_fail(error, WIRE_IS_DIRECTORY, target->path,
                                             ": is a directory, and there is no name for a file in it", NULL);
}

static bool open_directory(struct target *target, const char *path, struct wire_error *error)
{
    target->directory = target->sys->open(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
    return target->directory >= 0 || fail(target, error);
}

static bool choose(struct target *target, const char *name, struct wire_error *error)
{
    const char *directory;
    const char *leaf;
    int inside;

    if (!path_split(target->resolved, &directory, &leaf))
        return open_directory(target, target->resolved, error) && choose_inside(target, name, error);
    if (!open_directory(target, directory, error))
        return false;

    inside = target->sys->open(target->directory, leaf, O_PATH | O_DIRECTORY, 0);
    if (inside >= 0) {
        target->sys->close(target->directory);
        target->directory = inside;
        return choose_inside(target, name, error);
    }
    if (errno != ENOENT && errno != ENOTDIR &&
        errno != ELOOP) /* a file, nothing, or a link to either: it is replaced */
        return fail(target, error);
    target->name = leaf;
    return true;
}

static void draw_name(struct target *target)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t bytes[8];
    char *at = target->temporary + strlen(PUT_PREFIX);

    memcpy(target->temporary, PUT_PREFIX, strlen(PUT_PREFIX));
    target->sys->random(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        *at++ = hex[bytes[i] >> 4];
        *at++ = hex[bytes[i] & 15U];
    }
    *at = '\0';
}

static bool create(struct target *target, struct wire_error *error)
{
    for (int i = 0; i < NAME_TRIES; i++) {
        draw_name(target);
        target->file =
            target->sys->open(target->directory, target->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (target->file >= 0)
            return true;
        if (errno != EEXIST)
            break;
    }
    target->temporary[0] = '\0';
    return fail(target, error);
}

bool target_open(struct target *target, const struct sys *sys, const struct request *request, struct wire_error *error)
{
    *target = (struct target){.sys = sys, .path = request->path, .directory = -1, .file = -1};
    target->room = strlen(request->path) + 2; /* path_resolve() may write "." */
    target->resolved = memory_map(target->room);
    if (target->resolved == NULL)
        return wire_fail(error, WIRE_INTERNAL, "no memory", NULL);
    memcpy(target->resolved, request->path, target->room - 1);
    path_resolve(target->resolved);
    return choose(target, request->name, error) && create(target, error);
}

bool target_commit(struct target *target, mode_t mode, struct wire_error *error)
{
    const int file = target->file;

    /* After the last write: writing takes setuid away. */
    if (target->sys->chmod(file, mode) != 0)
        return fail(target, error);
    target->file = -1;
    if (target->sys->close(file) != 0 && errno != EINTR)
        return fail(target, error);
    if (target->sys->rename(target->directory, target->temporary, target->name) != 0)
        return fail(target, error);
    target->temporary[0] = '\0';
    return true;
}

void target_discard(struct target *target)
{
    if (target->file >= 0)
        target->sys->close(target->file);
    if (target->temporary[0] != '\0')
        target->sys->unlink(target->directory, target->temporary);
    if (target->directory >= 0)
        target->sys->close(target->directory);
    memory_unmap(target->resolved, target->room);
    target->resolved = NULL;
    target->temporary[0] = '\0';
    target->directory = target->file = -1;
}
