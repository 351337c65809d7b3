#include "host/probe_http.h"

#include <string.h>

#include "wire/version.h"

bool http_path_good(const char *path)
{
    for (size_t i = 0; path[i] != '\0'; i++)
        if ((unsigned char)path[i] <= ' ' || path[i] == '\x7F')
            return false;
    return path[0] == '/';
}

void http_request(struct text *out, const char *path, const char *host)
{
    text_add(out, "GET ");
    text_add(out, path);
    text_add(out, " HTTP/1.1\r\nHost: ");
    text_add(out, host);
    text_add(out, "\r\nUser-Agent: guestwire/");
    text_add(out, agent_version);
    text_add(out, "\r\nAccept: */*\r\nConnection: close\r\n\r\n");
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Return: whether `byte` may stand in that column of a status line, before its reason. */
static bool fits(size_t column, char byte)
{
    static const char shape[] = "HTTP/1.v ddd"; /* v: 0 or 1, d: a digit */

    switch (shape[column]) {
    case 'v':
        return byte == '0' || byte == '1';
    case 'd':
        return is_digit(byte);
    case '\0':
        return byte == ' ' || byte == '\r' || byte == '\n';
    default:
        return byte == shape[column];
    }
}

#define REASON_COLUMN 13 /* after the status and one byte more */

static enum verdict end_line(struct http_answer *answer, struct text *why)
{
    const unsigned status = answer->status;

    answer->column = 0;
    answer->status = 0;
    answer->in_fields = status / 100 == 1;
    if (answer->in_fields)
        return VERDICT_MORE;
    if (status == answer->expected)
        return VERDICT_ACCEPTED;
    text_add(why, "status ");
    text_add_int(why, status);
    text_add(why, " where ");
    text_add_int(why, answer->expected);
    text_add(why, " was expected");
    return VERDICT_REFUSED;
}

static enum verdict take_status(struct http_answer *answer, char byte, struct text *why)
{
    const size_t column = answer->column++;

    if (column < REASON_COLUMN && !fits(column, byte)) {
        text_add(why, "no HTTP/1 status line");
        return VERDICT_REFUSED;
    }
    if (column < REASON_COLUMN && is_digit(byte) && column > strlen("HTTP/1.1"))
        answer->status = answer->status * 10 + (unsigned)(byte - '0');
    return byte == '\n' ? end_line(answer, why) : VERDICT_MORE;
}

/* An empty line ends the fields. */
static void take_fields(struct http_answer *answer, char byte)
{
    if (byte == '\n') {
        answer->in_fields = answer->column > 0;
        answer->column = 0;
    } else if (byte != '\r') {
        answer->column++;
    }
}

static enum verdict take(struct http_answer *answer, char byte, struct text *why)
{
    enum verdict verdict = VERDICT_MORE;

    if (answer->in_fields)
        take_fields(answer, byte);
    else
        verdict = take_status(answer, byte, why);
    if (++answer->total < HTTP_MOST_BYTES || verdict != VERDICT_MORE)
        return verdict;
    text_add(why, "no whole status line within " TEXT_OF(HTTP_MOST_BYTES) " bytes");
    return VERDICT_REFUSED;
}

enum verdict http_answer_take(struct http_answer *answer, const char *bytes, size_t length, struct text *why)
{
    for (size_t i = 0; i < length && answer->verdict == VERDICT_MORE; i++)
        answer->verdict = take(answer, bytes[i], why);
    return answer->verdict;
}
