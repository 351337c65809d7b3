/* One GET and the status line of its answer (READY-HTTP). No I/O, no allocation. */
#ifndef HOST_PROBE_HTTP_H
#define HOST_PROBE_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "host/verdict.h"
#include "wire/text.h"

#define HTTP_MOST_BYTES 8192 /* until the status line has ended, responses 1xx and their fields included */

/* Return: true if `path` can stand in a request line: it begins with a slash and has no white space or control
 * character, which could end the line and smuggle in another. */
bool http_path_good(const char *path);

/* Add the request: a path as above, and the name of the host as a Host field has it. */
void http_request(struct text *out, const char *path, const char *host);

/* One for each connection; `expected` is set by the caller, all else is zero. */
struct http_answer {
    unsigned expected; /* 200 to 599 */
    enum verdict verdict;
    bool in_fields; /* of a response 1xx */
    size_t column;  /* of the line at hand, carriage returns of fields not counted */
    size_t total;
    unsigned status;
};

/* As ssh_greeting_take(). */
enum verdict http_answer_take(struct http_answer *answer, const char *bytes, size_t length, struct text *why);

#endif
