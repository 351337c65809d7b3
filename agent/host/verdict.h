/* What a parser of a service's first bytes makes of them so far. The last two are for good. */
#ifndef HOST_VERDICT_H
#define HOST_VERDICT_H

enum verdict {
    VERDICT_MORE,     /* all bytes are taken, more are needed */
    VERDICT_ACCEPTED, /* the service has answered as it should */
    VERDICT_REFUSED   /* it cannot become the expected answer any more */
};

#endif
