#include "place.h"

#include <errno.h>

#include "parts.h"

static struct place nowhere(int err)
{
    return (struct place){.directory = -1, .reason = err};
}

/* Component by component, from the root: `.` is nothing, `..` takes the last one away. */
static void lexical(const char *path, char *out)
{
    size_t length = (size_t)sprintf(out, "%s", path[0] == '/' ? "" : "/w");

    while (*path != '\0') {
        const size_t part = strcspn(path, "/");

        if (part == 2 && strncmp(path, "..", 2) == 0)
            while (length > 0 && out[--length] != '/')
                continue;
        else if (part > 0 && !(part == 1 && path[0] == '.'))
            length += (size_t)sprintf(out + length, "/%.*s", (int)part, path);
        path += part + (path[part] == '/');
    }
    out[length] = '\0';
}

/* Before it is known whether a file can be made there. */
static struct place choose(struct world *world, const char *path, const char *name)
{
    struct place place = {.reason = 0};
    char whole[PLACE_LONGEST + 8];
    char *slash;
    int node;

    lexical(path, whole);
    slash = strrchr(whole, '/');
    node = slash == NULL ? 0 : files_walk(world, 0, whole, true);
    if (node < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
        return nowhere(errno);
    if (node >= 0 && world->node[node].kind == NODE_DIRECTORY) {
        const char *base = strrchr(name, '/') != NULL ? strrchr(name, '/') + 1 : name;

        snprintf(place.leaf, sizeof place.leaf, "%s", base);
        place.directory = node;
        return *base == '\0' || strcmp(base, ".") == 0 || strcmp(base, "..") == 0 ? nowhere(EISDIR) : place;
    }
    snprintf(place.leaf, sizeof place.leaf, "%s", slash != NULL ? slash + 1 : "");
    *(slash != NULL ? slash : whole) = '\0';
    place.directory = whole[0] == '\0' ? 0 : files_walk(world, 0, whole, true);
    if (place.directory < 0)
        return nowhere(errno);
    return world->node[place.directory].kind == NODE_DIRECTORY ? place : nowhere(ENOTDIR);
}

struct place place_of(struct world *world, const char *path, const char *name)
{
    struct place place = choose(world, path, name);
    int old;

    if (place.directory < 0)
        return place;
    old = files_find(world, (unsigned)place.directory, place.leaf);
    if ((world->node[place.directory].mode & 0300) != 0300)
        place.reason = EACCES;
    else if (strlen(place.leaf) > WORLD_NAME)
        place.reason = ENAMETOOLONG;
    else if (old >= 0 && world->node[old].kind == NODE_DIRECTORY)
        place.reason = EISDIR;
    return place;
}
