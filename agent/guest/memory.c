#include "guest/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
/* From malloc(), so that a byte too many, a use too late and a leak are found. */

void *memory_map(size_t size)
{
    return calloc(1, size);
}

void *memory_resize(void *start, size_t from, size_t to)
{
    (void)from;
    return realloc(start, to);
}

void memory_unmap(void *start, size_t size)
{
    (void)size;
    free(start);
}

#else

void *memory_map(size_t size)
{
    void *start = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (start == MAP_FAILED)
        return NULL;
    return start;
}

void *memory_resize(void *start, size_t from, size_t to)
{
    void *moved = mremap(start, from, to, MREMAP_MAYMOVE);

    if (moved == MAP_FAILED)
        return NULL;
    return moved;
}

void memory_unmap(void *start, size_t size)
{
    if (start != NULL)
        munmap(start, size);
}

#endif

void memory_forget(void *start, size_t size)
{
    const uintptr_t page = getauxval(AT_PAGESZ);
    const uintptr_t first = ((uintptr_t)start + page - 1) & ~(page - 1);
    const uintptr_t end = ((uintptr_t)start + size) & ~(page - 1);

    if (first < end)
        madvise((void *)first, end - first, MADV_DONTNEED);
}
