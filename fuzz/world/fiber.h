/* Threads that take turns in one: a fiber runs until it yields to whoever resumed it. (Switching costs a tenth of a
 * microsecond; swapcontext() makes a system call and, under ASan, forty.) */
#ifndef FUZZ_FIBER_H
#define FUZZ_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <ucontext.h>

#define FIBER_STACK (512 * 1024)

struct fiber {
    bool live; /* has work that is not done */
    void *(*work)(void *);
    void *argument;

    bool made;          /* its stack has been entered, for good */
    void *here[5];      /* where it goes on */
    void *resumer[5];   /* where whoever resumed it goes on */
    void *shadow;       /* the sanitizer's, these four: of this stack, */
    void *outer_shadow; /* of the resumer's, */
    const void *outer;  /* and where that one is */
    size_t outer_size;
    ucontext_t start;
    char *stack;
};

/* Give work to a fiber (zeroed at first) that has none; it begins at the next fiber_resume(). */
void fiber_start(struct fiber *fiber, void *(*work)(void *), void *argument);

/* Run it until it yields or its work is done. */
void fiber_resume(struct fiber *fiber);

/* In the fiber: go back to who resumed it. */
void fiber_yield(struct fiber *fiber);

#endif
