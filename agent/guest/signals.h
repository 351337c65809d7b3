/* Dispositions of all signals, also of those that a libc keeps for itself and refuses to touch (32 to 34). */
#ifndef GUEST_SIGNALS_H
#define GUEST_SIGNALS_H

/* Set every ignored signal to its default. System calls only: a child may call it before its exec. */
void signals_unignore(void);

void signals_ignore(int number);

/* Empty the calling thread's mask. System calls only. */
void signals_unblock(void);

/* Block everything but the signals of a fault: the kernel's own word on those is worth more than surviving them. */
void signals_block(void);

#endif
