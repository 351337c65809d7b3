#include "fiber.h"

#include <stdint.h>
#include <stdlib.h>

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/common_interface_defs.h>
#else
#define __sanitizer_start_switch_fiber(save, bottom, size)   ((void)(save), (void)(bottom), (void)(size))
#define __sanitizer_finish_switch_fiber(saved, bottom, size) ((void)(saved), (void)(bottom), (void)(size))
#endif

/* Each in a function of its own, as the compilers demand. */
#define RAW __attribute__((noinline, no_sanitize("address", "undefined")))

RAW static void jump(void **to)
{
    __builtin_longjmp(to, 1);
}

RAW static void change(void **from, void **to)
{
    if (__builtin_setjmp(from) == 0)
        jump(to);
}

RAW static void enter(void **from, const ucontext_t *start)
{
    if (__builtin_setjmp(from) == 0)
        setcontext(start);
}

/* makecontext() passes numbers only. */
static void run(unsigned high, unsigned low)
{
    struct fiber *fiber = (struct fiber *)((uintptr_t)high << 32 | low);

    __sanitizer_finish_switch_fiber(NULL, &fiber->outer, &fiber->outer_size);
    for (;;) {
        fiber->work(fiber->argument);
        fiber->live = false;
        fiber_yield(fiber);
    }
}

void fiber_start(struct fiber *fiber, void *(*work)(void *), void *argument)
{
    fiber->work = work;
    fiber->argument = argument;
    fiber->live = true;
}

/* For good: the stack is entered once. */
static void make(struct fiber *fiber)
{
    const uintptr_t number = (uintptr_t)fiber;

    fiber->stack = malloc(FIBER_STACK);
    /* cppcheck-suppress getcontextCalled ; POSIX threads are what is to be avoided */
    if (fiber->stack == NULL || getcontext(&fiber->start) != 0)
        abort();
    fiber->start.uc_stack = (stack_t){.ss_sp = fiber->stack, .ss_size = FIBER_STACK};
    makecontext(&fiber->start, (void (*)(void))run, 2, (unsigned)(number >> 32), (unsigned)number);
    fiber->made = true;
}

void fiber_resume(struct fiber *fiber)
{
    const bool first = !fiber->made;

    if (first)
        make(fiber);
    __sanitizer_start_switch_fiber(&fiber->outer_shadow, fiber->stack, FIBER_STACK);
    if (first)
        enter(fiber->resumer, &fiber->start);
    else
        change(fiber->resumer, fiber->here);
    __sanitizer_finish_switch_fiber(fiber->outer_shadow, NULL, NULL);
}

void fiber_yield(struct fiber *fiber)
{
    __sanitizer_start_switch_fiber(&fiber->shadow, fiber->outer, fiber->outer_size);
    change(fiber->here, fiber->resumer);
    __sanitizer_finish_switch_fiber(fiber->shadow, &fiber->outer, &fiber->outer_size);
}
