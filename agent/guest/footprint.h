/* What an idle agent keeps in memory. */
#ifndef GUEST_FOOTPRINT_H
#define GUEST_FOOTPRINT_H

/* Have the kernel map the agent's code page by page, as it is used: by default one fault maps the 64 KiB around it,
 * which is nearly all of the agent, also what only its start or its work ever needs. Call once. */
void footprint_prepare(void);

/* Give back the code pages, and the stack below the caller that deeper calls have used. What is needed again comes back
 * from the page cache. To be called by the main thread when it is about to wait with nothing to do. */
void footprint_release(void);

#endif
