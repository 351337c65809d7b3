#include "guest/path.h"

#include <stddef.h>
#include <string.h>

static bool is_dots(const char *part, size_t length)
{
    return length == 2 && part[0] == '.' && part[1] == '.';
}

/* Drop the last component of the `length` bytes resolved so far. Return: the new length; `length` itself where there is
 * none to drop. */
static size_t climb(const char *path, size_t root, size_t length)
{
    size_t start = length;

    while (start > root && path[start - 1] != '/')
        start--;
    if (start == length || is_dots(path + start, length - start))
        return length;
    return start > root ? start - 1 : start;
}

void path_resolve(char *path)
{
    const size_t root = path[0] == '/' ? 1 : 0;
    size_t length = root; /* resolved so far; never ahead of `at` */

    for (const char *at = path + root; *at != '\0';) {
        const size_t part = strcspn(at, "/");
        const char *next = at + part + (at[part] == '/' ? 1 : 0);

        if (is_dots(at, part)) {
            const size_t shorter = climb(path, root, length);
            const bool climbed = shorter < length;

            length = shorter;
            if (climbed || root == 1) {
                at = next;
                continue;
            }
        }
        if (part > 0 && !(part == 1 && at[0] == '.')) {
            if (length > root)
                path[length++] = '/';
            memmove(path + length, at, part);
            length += part;
        }
        at = next;
    }
    if (length == 0)
        path[length++] = '.';
    path[length] = '\0';
}

bool path_split(char *path, const char **directory, const char **leaf)
{
    char *slash = strrchr(path, '/');
    const char *last = slash != NULL ? slash + 1 : path;

    if (path_base(last) == NULL)
        return false;
    *leaf = last;
    *directory = slash == NULL ? "." : slash == path ? "/" : path;
    if (slash != NULL)
        *slash = '\0';
    return true;
}

const char *path_base(const char *name)
{
    const char *slash;
    const char *base;

    if (name == NULL)
        return NULL;
    slash = strrchr(name, '/');
    base = slash != NULL ? slash + 1 : name;
    return base[0] == '\0' || strcmp(base, ".") == 0 || strcmp(base, "..") == 0 ? NULL : base;
}
