#include <errno.h>
#include <fcntl.h>

#include "parts.h"
#include "wire/constants.h"

#define PROC_FD "/proc/self/fd/"

static unsigned directory_of(int fd)
{
    const struct handle *handle = fd == AT_FDCWD ? NULL : world_handle(fd);

    FUZZ_CHECK(handle == NULL || (handle->kind == HANDLE_FILE && world()->node[handle->index].kind == NODE_DIRECTORY),
               "a path counts from a directory");
    return handle != NULL ? handle->index : 1;
}

/* A name that a rename or a creation is about: PUT-DIR, nothing lands outside its directory. */
static void check_name(const char *name)
{
    FUZZ_CHECK(name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, ".") != 0 && strcmp(name, "..") != 0,
               "a file is made in its directory, not elsewhere");
}

static int create(unsigned directory, const char *path, int flags, mode_t mode)
{
    struct world *w = world();
    int node;

    check_name(path);
    FUZZ_CHECK((flags & O_EXCL) != 0 && (flags & O_NOFOLLOW) != 0, "PUT-ATOMIC: a new file, through no link");
    FUZZ_CHECK(strncmp(path, PUT_PREFIX, strlen(PUT_PREFIX)) == 0, "PUT-ATOMIC: its name says what it is");
    if (files_find(w, directory, path) >= 0)
        return world_blame(EEXIST);
    if ((w->node[directory].mode & 0300) != 0300)
        return world_blame(EACCES);
    node = files_add(w, NODE_FILE, directory, path, NULL);
    if (node < 0)
        return world_blame(ENOSPC);
    w->node[node].mode = mode;
    w->node[node].temporary = true;
    return node;
}

/* Return: the node that a descriptor of that number is open on, or -1. */
static int look_up_fd(const char *number)
{
    const long at = strtol(number, NULL, 10) - WORLD_FIRST_FD;
    const struct handle *handle = at >= 0 && at < WORLD_FDS ? &world()->handles[at] : NULL;

    if (handle != NULL && handle->kind == HANDLE_FILE)
        return (int)handle->index;
    errno = ENOENT;
    return -1;
}

/* Return: the node, or -1. */
static int look_up(unsigned directory, const char *path, int flags)
{
    struct world *w = world();
    int node;

    if (strncmp(path, PROC_FD, strlen(PROC_FD)) == 0)
        node = look_up_fd(path + strlen(PROC_FD));
    else
        node = files_walk(w, directory, path, (flags & O_NOFOLLOW) == 0);
    if (node < 0)
        return -1;
    if ((flags & O_DIRECTORY) != 0 && w->node[node].kind != NODE_DIRECTORY)
        errno = ENOTDIR;
    else if ((flags & O_PATH) == 0 && (w->node[node].mode & 0400) == 0)
        errno = EACCES;
    else
        return node;
    return -1;
}

/* Whether it is a directory is a question, and so is whether there is a /proc: "no" is no failure. */
static bool is_answer(int directory, const char *path, int flags)
{
    const bool asked = directory != AT_FDCWD && (flags & O_DIRECTORY) != 0;

    return asked ? errno == ENOENT || errno == ENOTDIR || errno == ELOOP
                 : errno == ENOENT && strncmp(path, PROC_FD, strlen(PROC_FD)) == 0;
}

int world_open_file(int directory, const char *path, int flags, mode_t mode)
{
    const bool fails = world_fails(CALL_OPEN);
    const unsigned from = directory_of(directory);
    int node = -1;
    int fd;

    if (!fails)
        node = (flags & O_CREAT) != 0 ? create(from, path, flags, mode) : look_up(from, path, flags);
    if (node < 0)
        return is_answer(directory, path, flags) ? -1 : world_blame(errno);
    FUZZ_CHECK((flags & O_PATH) != 0 || world()->node[node].kind == NODE_FILE ||
                   world()->node[node].kind == NODE_SILENT,
               "GET-ERRORS: nothing but a regular file is opened");
    fd = world_handle_new(HANDLE_FILE, (unsigned)node);
    if (fd < 0)
        return world_blame(EMFILE);
    world_handle(fd)->flags = flags;
    world_record()->err = 0;
    world_record()->looked_at = node;
    if ((flags & (O_PATH | O_CREAT)) == 0)
        world_record()->opened = node;
    return fd;
}

static struct node *node_of(int fd)
{
    const struct handle *handle = world_handle(fd);

    FUZZ_CHECK(handle->kind == HANDLE_FILE, "a file is asked for what files have");
    return &world()->node[handle->index];
}

int world_stat(int fd, struct stat *status)
{
    static const mode_t kinds[] = {S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFREG};
    const struct node *node = node_of(fd);

    if (world_fails(CALL_STAT))
        return world_blame(errno);
    *status = (struct stat){.st_dev = 1,
                            .st_ino = (ino_t)(node - world()->node) + 1,
                            .st_mode = kinds[node->kind] | node->mode,
                            .st_size = (off_t)(node->content.size + node->zeros)};
    return 0;
}

int world_chmod(int fd, mode_t mode)
{
    struct node *node = node_of(fd);

    if (world_fails(CALL_CHMOD))
        return world_blame(errno);
    node->mode = mode;
    return 0;
}

int world_rename(int directory, const char *from, const char *to)
{
    const bool fails = world_fails(CALL_RENAME);
    struct world *w = world();
    const unsigned parent = directory_of(directory);
    const int node = files_find(w, parent, from);
    const int old = files_find(w, parent, to);

    check_name(to);
    FUZZ_CHECK(node >= 0, "what is renamed is there");
    if (fails)
        return world_blame(errno);
    if (strlen(to) > WORLD_NAME)
        return world_blame(ENAMETOOLONG);
    if (old >= 0 && w->node[old].kind == NODE_DIRECTORY)
        return world_blame(EISDIR);
    if (old >= 0 && old != node) /* a file that replaces itself stays */
        w->node[old].standing = false;
    memcpy(w->node[node].name, to, strlen(to) + 1);
    w->node[node].temporary = false;
    world_record()->landed = node;
    return 0;
}

int world_unlink(int directory, const char *name)
{
    struct world *w = world();
    int node;

    world_fails(CALL_SAFE);
    node = files_find(w, directory_of(directory), name);
    FUZZ_CHECK(node >= 0, "what is removed is there");
    FUZZ_CHECK(w->node[node].temporary, "nothing but a temporary file is ever removed");
    w->node[node].standing = false;
    return 0;
}

ssize_t file_read(struct handle *handle, void *buffer, size_t size)
{
    const struct node *node = &world()->node[handle->index];
    const size_t whole = node->content.size + node->zeros;
    size_t length;

    if (node->kind == NODE_SILENT) {
        errno = EAGAIN;
        return -1;
    }
    if (handle->value >= whole)
        return 0;
    size = world_piece(size < whole - handle->value ? size : whole - (size_t)handle->value);
    length = handle->value < node->content.size ? node->content.size - (size_t)handle->value : 0;
    length = length < size ? length : size;
    if (length > 0)
        memcpy(buffer, node->content.bytes + handle->value, length);
    memset((uint8_t *)buffer + length, 0, size - length);
    handle->value += size;
    return (ssize_t)size;
}

ssize_t file_write(struct handle *handle, const void *bytes, size_t size)
{
    struct world *w = world();

    FUZZ_CHECK((handle->flags & (O_WRONLY | O_RDWR)) != 0, "a file is written that was opened for it");
    if (w->disk == 0)
        return world_blame(ENOSPC);
    size = world_piece(size < w->disk ? size : w->disk);
    w->disk -= size;
    buffer_add(&w->node[handle->index].content, bytes, size);
    return (ssize_t)size;
}
