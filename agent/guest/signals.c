#include "guest/signals.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIGNALS       64
#define KERNEL_SIGSET sizeof(uint64_t)

/* The kernel's struct sigaction, generously: the handler comes first, and all else is zero for SIG_DFL and SIG_IGN. */
struct kernel_action {
    uintptr_t handler;
    uintptr_t rest[7];
};

static void set(int number, void (*handler)(int))
{
    const struct kernel_action action = {.handler = (uintptr_t)handler};

    syscall(SYS_rt_sigaction, number, &action, NULL, KERNEL_SIGSET);
}

/* At start a signal is ignored or at its default, nothing else: what is left alone are a sanitizer's handlers. */
__attribute__((no_sanitize("address", "undefined"))) void signals_unignore(void)
{
    for (int number = 1; number <= SIGNALS; number++) {
        struct kernel_action action = {0};

        if (syscall(SYS_rt_sigaction, number, NULL, &action, KERNEL_SIGSET) == 0 &&
            action.handler == (uintptr_t)SIG_IGN)
            set(number, SIG_DFL);
    }
}

void signals_ignore(int number)
{
    set(number, SIG_IGN);
}

static void set_mask(uint64_t mask)
{
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, KERNEL_SIGSET);
}

void signals_unblock(void)
{
    set_mask(0);
}

void signals_block(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    uint64_t mask = UINT64_MAX;

    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        mask &= ~(UINT64_C(1) << (faults[i] - 1));
    set_mask(mask);
}
