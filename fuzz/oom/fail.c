#include "oom/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

/* The linker's names: __real_X is what would be called without --wrap=X. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *start, size_t size);
char *__real_strdup(const char *text);
void *__real_mmap(void *start, size_t size, int protection, int flags, int fd, off_t offset);
void *__real_mremap(void *start, size_t from, size_t to, int flags);
void *__real_arena_take(size_t size) __attribute__((weak)); /* not everybody wraps it */
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*work)(void *), void *argument);
int __real_clone(int (*work)(void *), void *stack, int flags, void *argument, ...);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *start, size_t size);
char *__wrap_strdup(const char *text);
void *__wrap_mmap(void *start, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mremap(void *start, size_t from, size_t to, int flags);
void *__wrap_arena_take(size_t size);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*work)(void *), void *argument);
int __wrap_clone(int (*work)(void *), void *stack, int flags, void *argument, ...);

static struct fail_plan *current = &(struct fail_plan){0};

/* Before main(), so before the first call that counts. */
__attribute__((constructor)) static void map_plan(void)
{
    const char *path = getenv("GUESTWIRE_OOM");
    int fd;
    void *mapped;

    if (path == NULL)
        return;
    fd = open(path, O_RDWR | O_CLOEXEC);
    mapped = fd < 0 ? MAP_FAILED : __real_mmap(NULL, sizeof *current, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED)
        abort();
    close(fd);
    current = mapped;
}

struct fail_plan *fail_plan(void)
{
    return current;
}

static bool fails(enum fail_kind kind)
{
    const uint32_t only = atomic_load(&current->only);
    uint32_t call, at;

    if (only != 0 && (only & kind) == 0)
        return false;
    call = atomic_fetch_add(&current->calls, 1) + 1;
    at = atomic_load(&current->at);

    if (at == 0 || call < at || (call > at && atomic_load(&current->after) == 0))
        return false;
    atomic_fetch_or(&current->kinds, kind);
    atomic_fetch_add(&current->failed, 1);
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails(FAIL_MEMORY) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(FAIL_MEMORY) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *start, size_t size)
{
    return fails(FAIL_MEMORY) ? NULL : __real_realloc(start, size);
}

char *__wrap_strdup(const char *text)
{
    return fails(FAIL_MEMORY) ? NULL : __real_strdup(text);
}

void *__wrap_mmap(void *start, size_t size, int protection, int flags, int fd, off_t offset)
{
    return fails(FAIL_MEMORY) ? MAP_FAILED : __real_mmap(start, size, protection, flags, fd, offset);
}

void *__wrap_mremap(void *start, size_t from, size_t to, int flags)
{
    return fails(FAIL_MEMORY) ? MAP_FAILED : __real_mremap(start, from, to, flags);
}

void *__wrap_arena_take(size_t size)
{
    return fails(FAIL_ARENA) ? NULL : __real_arena_take(size);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*work)(void *), void *argument)
{
    return fails(FAIL_THREAD) ? EAGAIN : __real_pthread_create(thread, attributes, work, argument);
}

/* With the one more argument that the agent gives it. */
int __wrap_clone(int (*work)(void *), void *stack, int flags, void *argument, ...)
{
    va_list more;
    pid_t *pidfd;

    if (fails(FAIL_PROCESS))
        return -1;
    va_start(more, argument);
    pidfd = va_arg(more, pid_t *);
    va_end(more);
    return __real_clone(work, stack, flags, argument, pidfd);
}
