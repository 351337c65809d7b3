/* Memory in whole pages, straight from the kernel: what a request takes is given back to the last byte with it, so an
 * idle agent holds none. (There is no malloc() in the agent.) */
#ifndef GUEST_MEMORY_H
#define GUEST_MEMORY_H

#include <stddef.h>

#define MEMORY_PAGE 4096

/* Return: `size` bytes, over 0, all zero, to be given back by memory_unmap(); NULL: there are none. */
void *memory_map(size_t size);

/* Return: the memory, moved perhaps, with `to` bytes; NULL: it stays as it is. */
void *memory_resize(void *start, size_t from, size_t to);

/* `size` as it was last asked for. `start` may be NULL. */
void memory_unmap(void *start, size_t size);

/* Give back the whole pages in `size` bytes of static memory, which are zero from now on. */
void memory_forget(void *start, size_t size);

#endif
