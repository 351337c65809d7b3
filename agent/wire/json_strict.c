#include "json_strict.h"

#include <string.h>

#include "constants.h"
#include "json_walk.h"
#include "text.h"
#include "utf8.h"

struct reader {
    const char *text;
    size_t length;
    size_t at;
    size_t values;
    size_t depth;
    bool is_object[LIMIT_JSON_DEPTH]; /* of each open level */
    struct json_finding finding;
};

/* Return: the byte at hand; -1 at the end. */
static int peek(const struct reader *reader)
{
    return reader->at < reader->length ? (unsigned char)reader->text[reader->at] : -1;
}

static bool offend(struct reader *reader, enum json_verdict verdict, size_t offset, const char *reason)
{
    reader->finding = (struct json_finding){.verdict = verdict, .offset = offset, .reason = reason};
    return false;
}

/* The byte at hand does not belong; nor does an end. */
static bool malformed(struct reader *reader, const char *reason)
{
    return offend(reader, JSON_MALFORMED, reader->at, peek(reader) < 0 ? "the payload ends too early" : reason);
}

static bool too_large(struct reader *reader, const char *reason)
{
    return offend(reader, JSON_TOO_LARGE, reader->at, reason);
}

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->length && json_is_space(reader->text[reader->at]))
        reader->at++;
}

static bool expect(struct reader *reader, int byte, const char *reason)
{
    if (peek(reader) != byte)
        return malformed(reader, reason);
    reader->at++;
    return true;
}

static bool code_unit(struct reader *reader, unsigned *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        const int digit = peek(reader) < 0 ? -1 : json_hex(reader->text[reader->at]);

        if (digit < 0)
            return malformed(reader, "four hexadecimal digits must follow \\u");
        *unit = *unit << 4 | (unsigned)digit;
        reader->at++;
    }
    return true;
}

static bool escape(struct reader *reader)
{
    const size_t start = reader->at++;
    const int letter = peek(reader);
    unsigned unit;

    if (letter < 0 || strchr("\"\\/bfnrtu", letter) == NULL || letter == '\0')
        return malformed(reader, "unknown escape in a string");
    reader->at++;
    if (letter != 'u')
        return true;
    if (!code_unit(reader, &unit))
        return false;
    if (unit == 0)
        return offend(reader, JSON_MALFORMED, start, "U+0000 in a string");
    if (unit < 0xD800 || unit > 0xDFFF)
        return true;
    if (unit > 0xDBFF)
        return offend(reader, JSON_MALFORMED, start, "lone surrogate in a string");
    for (const char *pair = "\\u"; *pair != '\0'; pair++) {
        if (peek(reader) >= 0 && peek(reader) != *pair)
            return offend(reader, JSON_MALFORMED, start, "lone surrogate in a string");
        if (!expect(reader, *pair, ""))
            return false;
    }
    if (!code_unit(reader, &unit))
        return false;
    if (unit < 0xDC00 || unit > 0xDFFF)
        return offend(reader, JSON_MALFORMED, start, "lone surrogate in a string");
    return true;
}

/* From the opening quote to behind the closing one. */
static bool string(struct reader *reader)
{
    reader->at++;
    for (;;) {
        const int byte = peek(reader);
        uint32_t point;
        size_t length;

        if (byte == '"') {
            reader->at++;
            return true;
        }
        if (byte == '\\') {
            if (!escape(reader))
                return false;
            continue;
        }
        if (byte < 0x20)
            return malformed(reader, byte == 0 ? "U+0000 in a string" : "raw control character in a string");
        length = utf8_decode(reader->text + reader->at, reader->length - reader->at, &point);
        if (length == 0)
            return malformed(reader, "invalid UTF-8");
        reader->at += length;
    }
}

static bool is_digit(int byte)
{
    return byte >= '0' && byte <= '9';
}

static bool digits(struct reader *reader)
{
    if (!is_digit(peek(reader)))
        return malformed(reader, "a digit is expected in a number");
    while (is_digit(peek(reader)))
        reader->at++;
    return true;
}

static bool number(struct reader *reader)
{
    if (peek(reader) == '-')
        reader->at++;
    if (peek(reader) == '0')
        reader->at++; /* no leading zeros: a digit behind it belongs to nothing */
    else if (!digits(reader))
        return false;
    if (peek(reader) == '.') {
        reader->at++;
        if (!digits(reader))
            return false;
    }
    if (peek(reader) == 'e' || peek(reader) == 'E') {
        reader->at++;
        if (peek(reader) == '+' || peek(reader) == '-')
            reader->at++;
        return digits(reader);
    }
    return true;
}

static bool literal(struct reader *reader, const char *word)
{
    for (; *word != '\0'; word++)
        if (!expect(reader, *word, "neither true, false nor null"))
            return false;
    return true;
}

/* Set *opened: the value is an object or array, so that it ends at a bracket to come. */
static bool value(struct reader *reader, bool *opened)
{
    const int byte = peek(reader);

    *opened = byte == '{' || byte == '[';
    if (byte <= 0 || (strchr("{[\"-tfn", byte) == NULL && !is_digit(byte)))
        return malformed(reader, "a value is expected");
    if (reader->values == LIMIT_JSON_VALUES)
        return too_large(reader, "more than " TEXT_OF(LIMIT_JSON_VALUES) " values");
    reader->values++;
    if (byte == '"')
        return string(reader);
    if (byte == 't' || byte == 'f' || byte == 'n')
        return literal(reader, byte == 't' ? "true" : byte == 'f' ? "false" : "null");
    if (!*opened)
        return number(reader);
    if (reader->depth == LIMIT_JSON_DEPTH)
        return too_large(reader, "nested more than " TEXT_OF(LIMIT_JSON_DEPTH) " levels deep");
    reader->is_object[reader->depth++] = byte == '{';
    reader->at++;
    return true;
}

/* A closing bracket; or the next value with the comma and the name before it. *opened, in: no comma comes before the
 * first. */
static bool next(struct reader *reader, bool *opened)
{
    const bool in_object = reader->is_object[reader->depth - 1];

    skip_space(reader);
    if (peek(reader) == (in_object ? '}' : ']')) {
        reader->at++;
        reader->depth--;
        *opened = false;
        return true;
    }
    if (!*opened && !expect(reader, ',', "a comma or a closing bracket is expected"))
        return false;
    skip_space(reader);
    if (in_object) {
        if (peek(reader) != '"')
            return malformed(reader, "a name in quotes is expected");
        if (!string(reader))
            return false;
        skip_space(reader);
        if (!expect(reader, ':', "a colon is expected"))
            return false;
        skip_space(reader);
    }
    return value(reader, opened);
}

static bool document(struct reader *reader)
{
    bool opened;

    if (reader->length > LIMIT_CONTROL_PAYLOAD)
        return offend(reader, JSON_TOO_LARGE, LIMIT_CONTROL_PAYLOAD,
                      "longer than " TEXT_OF(LIMIT_CONTROL_PAYLOAD) " bytes");
    skip_space(reader);
    if (peek(reader) != '{')
        return malformed(reader, "an object is expected");
    if (!value(reader, &opened))
        return false;
    while (reader->depth > 0)
        if (!next(reader, &opened))
            return false;
    skip_space(reader);
    if (reader->at < reader->length)
        return malformed(reader, "something follows the object");
    if (json_find_duplicate(reader->text, reader->length, &reader->at))
        return malformed(reader, "duplicate name in an object");
    return true;
}

struct json_finding json_strict(const char *text, size_t length)
{
    struct reader reader = {.text = text, .length = length, .finding = {.verdict = JSON_GOOD, .reason = ""}};

    document(&reader);
    return reader.finding;
}
