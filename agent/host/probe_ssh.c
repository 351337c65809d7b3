#include "host/probe_ssh.h"

#include <string.h>

#define OPENING "SSH-"

static enum verdict refuse(struct text *why, const char *reason)
{
    text_add(why, reason);
    return VERDICT_REFUSED;
}

static enum verdict take_before(struct ssh_greeting *greeting, char byte, struct text *why)
{
    if (byte == '\n') {
        greeting->lines++;
        greeting->length = 0;
        greeting->line = SSH_LINE_OPEN;
    } else if (greeting->length == SSH_LONGEST_LINE) {
        return refuse(why, "a line of more than " TEXT_OF(SSH_LONGEST_LINE) " bytes before the identification string");
    }
    return VERDICT_MORE;
}

static enum verdict take_open(struct ssh_greeting *greeting, char byte, struct text *why)
{
    if (byte == OPENING[greeting->length - 1]) {
        if (greeting->length == strlen(OPENING))
            greeting->line = SSH_LINE_STRING;
        return VERDICT_MORE;
    }
    if (greeting->lines == SSH_MOST_LINES)
        return refuse(why, "more than " TEXT_OF(SSH_MOST_LINES) " lines before the identification string");
    greeting->line = SSH_LINE_BEFORE;
    return take_before(greeting, byte, why);
}

static enum verdict take_string(struct ssh_greeting *greeting, char byte, struct text *why)
{
    if (greeting->version == NULL)
        greeting->version = byte == '1' ? "1.99-" : "2.0-";
    if (*greeting->version != '\0') {
        if (byte != *greeting->version++)
            return refuse(why, "another SSH version than 2.0 or 1.99");
        return VERDICT_MORE;
    }
    if (byte == '\n')
        return VERDICT_ACCEPTED;
    if (greeting->length == SSH_LONGEST_STRING)
        return refuse(why, "an identification string of more than " TEXT_OF(SSH_LONGEST_STRING) " bytes");
    return VERDICT_MORE;
}

static enum verdict take(struct ssh_greeting *greeting, char byte, struct text *why)
{
    greeting->length++;
    if (byte == '\0')
        return refuse(why, "a NUL byte before the end of the identification string");
    switch (greeting->line) {
    case SSH_LINE_OPEN:
        return take_open(greeting, byte, why);
    case SSH_LINE_BEFORE:
        return take_before(greeting, byte, why);
    case SSH_LINE_STRING:
        break;
    }
    return take_string(greeting, byte, why);
}

enum verdict ssh_greeting_take(struct ssh_greeting *greeting, const char *bytes, size_t length, struct text *why)
{
    for (size_t i = 0; i < length && greeting->verdict == VERDICT_MORE; i++)
        greeting->verdict = take(greeting, bytes[i], why);
    return greeting->verdict;
}
