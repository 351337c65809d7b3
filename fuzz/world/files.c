#include <errno.h>

#include "parts.h"

#define LINKS 8 /* followed at the most, as where Linux says ELOOP */

int files_find(const struct world *world, unsigned directory, const char *name)
{
    for (unsigned i = 0; i < world->nodes; i++) {
        const struct node *node = &world->node[i];

        if (node->standing && node->parent == directory && i != 0 && strcmp(node->name, name) == 0)
            return (int)i;
    }
    return -1;
}

int files_add(struct world *world, enum node_kind kind, unsigned parent, const char *name, const char *content)
{
    struct node *node = &world->node[world->nodes];

    if (world->nodes == WORLD_NODES || strlen(name) > WORLD_NAME || files_find(world, parent, name) >= 0)
        return -1;
    node->kind = kind;
    node->standing = true;
    node->parent = parent;
    node->mode = kind == NODE_DIRECTORY ? 0755 : 0644;
    memcpy(node->name, name, strlen(name) + 1);
    buffer_clear(&node->content);
    node->zeros = 0;
    node->temporary = false;
    if (content != NULL)
        buffer_add(&node->content, content, strlen(content));
    return (int)world->nodes++;
}

void files_reset(struct world *world)
{
    static const struct {
        const char *name;
        const char *content;
        enum node_kind kind;
        unsigned parent;
        mode_t mode;
        size_t zeros;
    } usual[] = {
        {"", NULL, NODE_DIRECTORY, 0, 0755, 0},       {"w", NULL, NODE_DIRECTORY, 0, 0755, 0},
        {"tmp", NULL, NODE_DIRECTORY, 0, 0777, 0},    {"file", "hello, guest\n", NODE_FILE, 1, 0644, 0},
        {"dir", NULL, NODE_DIRECTORY, 1, 0755, 0},    {"inner", "of dir\n", NODE_FILE, 4, 04755, 0},
        {"link", "file", NODE_LINK, 1, 0777, 0},      {"dirlink", "/w/dir", NODE_LINK, 1, 0777, 0},
        {"loop", "loop", NODE_LINK, 1, 0777, 0},      {"fifo", NULL, NODE_FIFO, 1, 0644, 0},
        {"silent", NULL, NODE_SILENT, 1, 0444, 0},    {"secret", "s", NODE_FILE, 1, 0, 0},
        {"locked", NULL, NODE_DIRECTORY, 1, 0500, 0}, {"big", "big", NODE_FILE, 1, 0600, 70000},
    };

    world->nodes = 0;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        struct node *node =
            &world->node[files_add(world, usual[i].kind, usual[i].parent, usual[i].name, usual[i].content)];

        node->mode = usual[i].mode;
        node->zeros = usual[i].zeros;
    }
}

uint64_t files_hash(const struct world *world)
{
    uint64_t hash = FUZZ_HASH_START;

    for (unsigned i = 0; i < world->nodes; i++) {
        const struct node *node = &world->node[i];
        const unsigned words[] = {i, node->kind, node->parent, node->mode};
        uint8_t bytes[sizeof words];

        if (!node->standing)
            continue;
        memcpy(bytes, words, sizeof words);
        hash = fuzz_hash(hash, bytes, sizeof bytes);
        hash = fuzz_hash(hash, (const uint8_t *)node->name, strlen(node->name) + 1);
    }
    return hash;
}

static int fail(int err)
{
    errno = err;
    return -1;
}

/* One component. Return: its node, or -1 with errno. */
static int step(struct world *world, unsigned directory, const char *part, size_t length)
{
    const struct node *node = &world->node[directory];
    char name[WORLD_NAME + 1];
    int found;

    if (node->kind != NODE_DIRECTORY)
        return fail(ENOTDIR);
    if ((node->mode & 0100) == 0)
        return fail(EACCES);
    if (length > WORLD_NAME)
        return fail(ENAMETOOLONG);
    memcpy(name, part, length);
    name[length] = '\0';
    if (strcmp(name, ".") == 0)
        return (int)directory;
    if (strcmp(name, "..") == 0)
        return (int)node->parent;
    found = files_find(world, directory, name);
    return found >= 0 ? found : fail(ENOENT);
}

static int walk(struct world *world, unsigned directory, const char *path, bool follow, int links)
{
    int at = path[0] == '/' ? 0 : (int)directory;

    if (path[0] == '\0')
        return fail(ENOENT);
    while (*path != '\0' && at >= 0) {
        const size_t slashes = strspn(path, "/");
        const size_t length = strcspn(path += slashes, "/");
        const bool last = path[length] == '\0';
        const unsigned before = (unsigned)at;
        struct node *node;

        if (length == 0)
            return world->node[at].kind == NODE_DIRECTORY ? at : fail(ENOTDIR); /* slashes at the end */
        at = step(world, before, path, length);
        path += length;
        if (at < 0)
            return -1;
        node = &world->node[at];
        if (node->kind != NODE_LINK || (last && !follow))
            continue;
        if (links == LINKS)
            return fail(ELOOP);
        char where[WORLD_PATH + 1];
        const size_t size = node->content.size < WORLD_PATH ? node->content.size : WORLD_PATH;

        memcpy(where, node->content.bytes, size);
        where[size] = '\0';
        at = walk(world, before, where, true, links + 1);
    }
    return at;
}

int files_walk(struct world *world, unsigned directory, const char *path, bool follow)
{
    return strlen(path) > WORLD_PATH ? fail(ENAMETOOLONG) : walk(world, directory, path, follow, 0);
}
