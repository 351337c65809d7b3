/* The socket that the bridge listens on (BRIDGE-LISTENS to BRIDGE-TAKEN). */
#ifndef HOST_BRIDGE_LISTEN_H
#define HOST_BRIDGE_LISTEN_H

#include <stdbool.h>

#include "host/bridge_options.h"
#include "host/socket_file.h"
#include "wire/text.h"

struct bridge_listener {
    int fd; /* non-blocking, close-on-exec; -1: none */
    struct socket_file file;
};

enum listen_verdict { LISTEN_OK, LISTEN_FAILED, LISTEN_REMOTE /* refused without --allow-remote */ };

/* Make or take over the socket. A name is looked up for --connect-timeout at the longest, or until `stop` is readable.
 * Call before any thread is started but for that look-up's. Return: the verdict, with a one-line reason in *complaint
 * if it is not LISTEN_OK. */
enum listen_verdict bridge_listen(struct bridge_listener *listener, const struct bridge_options *options, int stop,
                                  struct text *complaint);

/* Close it, and remove its file if it is still the one made here. */
void bridge_listen_close(struct bridge_listener *listener);

/* Where names resolve to. Return: true if the address is loopback. */
struct sockaddr;
bool address_is_loopback(const struct sockaddr *name);

#endif
