/* musl's start-up of a static-pie leaves the RELRO segment writable: do what a dynamic loader would, before main().
 * Where the loader has done it already (glibc) nothing changes. Hardening only: a refusal is no reason not to serve. */
#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

__attribute__((constructor)) static void protect_relro(void)
{
    const ElfW(Phdr) *headers = (const ElfW(Phdr) *)getauxval(AT_PHDR);
    const uintptr_t page = (uintptr_t)getauxval(AT_PAGESZ);
    const ElfW(Phdr) *relro = NULL;
    uintptr_t base = 0;

    if (headers == NULL)
        return;
    for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++) {
        if (headers[i].p_type == PT_PHDR)
            base = (uintptr_t)headers - headers[i].p_vaddr;
        else if (headers[i].p_type == PT_GNU_RELRO)
            relro = &headers[i];
    }
    if (relro != NULL) {
        const uintptr_t start = (base + relro->p_vaddr) & ~(page - 1);
        const uintptr_t end = (base + relro->p_vaddr + relro->p_memsz) & ~(page - 1);

        mprotect((void *)start, end - start, PROT_READ);
    }
}
