#include "words.h"

#include <stdio.h>
#include <string.h>

/* Words stand between single spaces. */
#define STRINGS "\"\" \"/\" \"a/b\" \"..\" \".\" \"/a/../b/\" \"=\" \"raw\" \"\\u0000\" \"\\ud83d\\ude00\" \"\\ud83d\""
#define NUMBERS                                                                                    \
    "0 -0 1 -1 1.0 1e0 0.5 2 4095 4096 9007199254740991 9007199254740992 -9007199254740991 1e308 " \
    "18446744073709551616 0.1e1 12345678 00"

static const char any[] = "null true false {} [] {\"A\":\"b\"} {\"A\":1,\"B\":-0} " STRINGS " " NUMBERS;
static const char fragments[] = "\\u0000 \\u0001 \\ud83d\\ude00 \\ud83d \\ude00 \\ud83d\\ue000 \\ud83d\\u0041 \\u00g0 "
                                "\\u00 \\x \\/ \\t \\\" \\\\ \x01 \x1f \x7f \xc3\xa9 \xc0\x80 \xc3 \xed\xa0\x80 "
                                "\xf4\x8f\xbf\xbf \xf4\x90\x80\x80 \xef\xbb\xbf / = ../ .. .smolvm-put-";
/* The first value of each is what a host would send. `ops`: the initials of the operations that have it. */
static const struct {
    const char *name, *ops, *values;
} fields[] = {
    {"v", "prg", "1 1.0 2 -1 null \"1\" true 9007199254740992"},
    {"op", "", "\"ping\" \"run\" \"put_file\" \"get_file\" \"Ping\" \"p\\u0069ng\" null"},
    {"cmd", "r", "\"true\" null 1 " STRINGS},
    {"shell", "r", "\"raw\" \"login\" \"Raw\" \"\" null 1"},
    {"timeout", "r",
     "1.5 0 -0 0.5 0.000001 1e308 1.7976931348623158e308 1.7976931348623159e308 1e309 5e-324 2e-324 1e-400 "
     "9007199254740993 9007199254740995 12345678 -1 -1e-400 null \"1\""},
    {"env", "r",
     "{\"A\":\"b\"} {} null [] {\"\":1} {\"A=\":1} {\"=A\":\"\"} {\"A\":-9007199254740991} {\"A\":1.0} "
     "{\"A\":9007199254740992} {\"A\":null} {\"A\":1,\"B\":-0}"},
    {"path", "pg", "\"a/b\" null 1 " STRINGS},
    {"name", "p", "\"c\" null 1 " STRINGS},
    {"mode", "p", "384 0 -0 4095 4096 -1 1.0 null \"0\""},
    {"size", "p", "5 0 -0 1 65536 9007199254740991 9007199254740992 -1 1e0 null \"0\""},
};
#define FIELDS (sizeof fields / sizeof *fields)

/* Return: the first of the words, copied. */
static const char *first(const char *words, char out[WORD_ROOM])
{
    const size_t length = strcspn(words, " ");

    memcpy(out, words, length);
    out[length] = '\0';
    return out;
}

/* Return: one of them, copied. */
static const char *pick(struct mutator *mutator, const char *words, char out[WORD_ROOM])
{
    size_t count = 1;

    for (const char *at = words; (at = strchr(at, ' ')) != NULL; at++)
        count++;
    for (size_t skipped = mutate_random(mutator, count); skipped > 0; skipped--)
        words = strchr(words, ' ') + 1;
    return first(words, out);
}

const char *words_value(struct mutator *mutator, const uint8_t *name, size_t length, char out[WORD_ROOM])
{
    for (size_t i = 0; i < FIELDS; i++)
        if (strlen(fields[i].name) == length && memcmp(fields[i].name, name, length) == 0)
            return pick(mutator, fields[i].values, out);
    return pick(mutator, any, out);
}

const char *words_member(struct mutator *mutator, char out[2 * WORD_ROOM])
{
    const size_t field = mutate_random(mutator, FIELDS);
    char value[WORD_ROOM];

    snprintf(out, 2 * WORD_ROOM, "\"%s\":%s,", fields[field].name, pick(mutator, fields[field].values, value));
    return out;
}

const char *words_fragment(struct mutator *mutator, char out[WORD_ROOM])
{
    return pick(mutator, fragments, out);
}

/* Mostly what a host would send, so that most of it is served: an odd value is judged only where those before are good.
 */
const char *words_request(struct mutator *mutator, char out[REQUEST_ROOM])
{
    static const char *const ops[] = {"ping", "run", "put_file", "get_file"};
    const char *op = ops[mutate_random(mutator, sizeof ops / sizeof *ops)];
    int length = snprintf(out, REQUEST_ROOM, "{\"op\":\"%s\"", op);

    for (size_t i = 0; i < FIELDS; i++) {
        char value[WORD_ROOM];

        if (strchr(fields[i].ops, op[0]) == NULL || mutate_random(mutator, 4) == 0)
            continue;
        if (mutate_random(mutator, 4) > 0)
            first(fields[i].values, value);
        else
            pick(mutator, fields[i].values, value);
        length += snprintf(out + length, REQUEST_ROOM - (size_t)length, ",\"%s\":%s", fields[i].name, value);
    }
    snprintf(out + length, REQUEST_ROOM - (size_t)length, "}");
    return out;
}
