/* SRV-INIT: as PID 1 or child subreaper the agent inherits processes that others left behind. */
#ifndef GUEST_ORPHANS_H
#define GUEST_ORPHANS_H

/* Reap the orphans that have exited. To be called in the main thread, and only there. */
void orphans_reap(void);

#endif
