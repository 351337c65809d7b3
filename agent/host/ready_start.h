/* What `guestwire ready` makes of its process before anything else, whatever it was started with (READY-CLEAN). */
#ifndef HOST_READY_START_H
#define HOST_READY_START_H

/* Open closed descriptors 0 to 2 on /dev/null, ignore SIGPIPE, and block SIGINT and SIGTERM (SIGHUP too, unless nohup
 * has it ignored), also where they were ignored, to be read from a signalfd. Every other signal is unblocked.
 * Single-threaded. Return: that descriptor, non-blocking; -1 with errno. */
int ready_start(void);

/* Return: the exit status that a signal asks for, 128 and its number as a shell has it; 0 if none has come. */
int ready_stopped(int signals);

#endif
