/* Where the Python oracle puts an upload: its own rule, on the guest in memory. */
#ifndef FUZZ_ORACLE_PLACE_H
#define FUZZ_ORACLE_PLACE_H

#include <sys/types.h>

#define ORACLE_CODE 32 /* bytes of the longest code, and its NUL */

/* Let the oracle (oracle.h) make an empty file of that mode where an upload to `path` and `name` lands, by calls on the
 * world there is (world/world.h). `code` becomes that of its refusal, "" where there was none. Not linked in where
 * there is no Python: then it is NULL. */
void oracle_put(const char *path, const char *name, mode_t mode, char code[ORACLE_CODE]) __attribute__((weak));

#endif
