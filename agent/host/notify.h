/* BRIDGE-READY: tell whoever started the bridge how far it is. Never waits. */
#ifndef HOST_NOTIFY_H
#define HOST_NOTIFY_H

/* Write READY=1 and a newline to `fd`, and close it. Return: NULL, or why not (static or strerror()'s). */
const char *notify_fd(int fd);

/* Send `message` to NOTIFY_SOCKET, if that is set. Return: NULL, or why not. */
const char *notify_socket(const char *message);

#endif
