/* Decimal text to the nearest double, as RUN-TIMEOUT asks. Stands in for libc's strtod() when cJSON is compiled: that
 * one reads hexadecimal, long doubles and streams too, and is an eighth of the agent. */
#ifndef WIRE_DECIMAL_H
#define WIRE_DECIMAL_H

/* Read a JSON number at the start of `text`. Return: the nearest double (ties to even; infinite beyond DBL_MAX), with
 * *end behind the number; 0 with *end at `text` if there is none. */
double decimal_strtod(const char *restrict text, char **restrict end);

#endif
