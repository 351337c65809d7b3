#include "guest/footprint.h"

#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#define PAGE        4096
#define STACK_DEPTH (128 * 1024) /* more than any call of the main thread uses */

/* The linker's: the start of this file as it is mapped. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

static void advise(uintptr_t start, uintptr_t end, int advice)
{
    /* Advice is all it is: where the kernel refuses it, memory stays as it was. */
    madvise((void *)start, end - start, advice);
}

/* Do it for every segment that is never written: its pages are the file's. */
static void each_constant_segment(void (*act)(uintptr_t start, uintptr_t end))
{
    const uintptr_t base = (uintptr_t)&__ehdr_start;
    const ElfW(Phdr) *headers = (const ElfW(Phdr) *)(base + __ehdr_start.e_phoff);

    for (unsigned i = 0; i < __ehdr_start.e_phnum; i++) {
        const ElfW(Phdr) *segment = &headers[i];
        const uintptr_t shift = __ehdr_start.e_type == ET_DYN ? base : 0;

        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W) == 0)
            act((shift + segment->p_vaddr) & ~(uintptr_t)(PAGE - 1), shift + segment->p_vaddr + segment->p_memsz);
    }
}

/* A fault maps its surroundings within one mapping only, and neighbours whose advice differs are mappings of their own.
 */
static void split(uintptr_t start, uintptr_t end)
{
    for (uintptr_t page = start; page < end; page += (uintptr_t)2 * PAGE)
        advise(page, page + PAGE, MADV_RANDOM);
}

static void give_back(uintptr_t start, uintptr_t end)
{
    advise(start, end, MADV_DONTNEED);
}

void footprint_prepare(void)
{
    each_constant_segment(split);
}

void footprint_release(void)
{
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)(PAGE - 1);

    advise(here - STACK_DEPTH, here - PAGE, MADV_DONTNEED); /* the page between is in use by the call itself */
    each_constant_segment(give_back);
}
