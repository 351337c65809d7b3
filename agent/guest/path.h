/* Paths as text: lexical resolution, and the choice of an upload's target (PUT-PATH, PUT-DIR). No system calls. */
#ifndef GUEST_PATH_H
#define GUEST_PATH_H

#include <stdbool.h>

/* Resolve `.`, `..` (of `/`: `/`), repeated and trailing slashes in place. A relative path stays relative and may begin
 * with `..` components: from a working directory, which holds no link, the kernel climbs them as the text would. "." if
 * nothing is left. */
void path_resolve(char *path);

/* Split a resolved path in place. Return: true with *directory and *leaf; false if it can only be a directory (`/`,
 * `.`, `..`). */
bool path_split(char *path, const char **directory, const char **leaf);

/* Return: what follows the last slash of `name`, if a file can be called that; NULL for NULL, "", "." and "..". */
const char *path_base(const char *name);

#endif
