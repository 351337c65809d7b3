/* Lines for a person on stderr, as agent/guest/log.h writes them: bytes that are not printable ASCII are shown as '?',
 * and a line that cannot be written at once is lost. */
#ifndef HOST_SAY_H
#define HOST_SAY_H

/* Write "guestwire NAME: " (without NAME: "guestwire: ") and the strings, up to a NULL, as one line. */
void say(const char *name, ...) __attribute__((sentinel));

/* Write it all to stdout. Return: 0, or 1 if that failed: an exit status. */
int say_out(const char *text);

/* Write "guestwire VERSION" to stdout. Return: as say_out(). */
int say_version(void);

#endif
