#include "guest/number.h"

#include <string.h>

#include "guest/clock.h"

bool number_read_part(const char *text, size_t length, uint64_t least, uint64_t most, uint64_t *number)
{
    uint64_t value = 0;

    if (length == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
        if (value > most)
            return false;
    }
    *number = value;
    return value >= least;
}

bool number_read(const char *text, uint64_t least, uint64_t most, uint64_t *number)
{
    return number_read_part(text, strlen(text), least, most, number);
}

bool number_read_seconds(const char *text, uint64_t most, int64_t *nanoseconds)
{
    const size_t whole = strcspn(text, ".");
    uint64_t seconds;
    int64_t total;
    bool rest = false;

    if (!number_read_part(text, whole, 0, most, &seconds))
        return false;
    total = (int64_t)seconds * CLOCK_SECOND;
    if (text[whole] == '.') {
        int64_t unit = CLOCK_SECOND / 10;

        if (text[whole + 1] == '\0')
            return false;
        for (const char *digit = text + whole + 1; *digit != '\0'; digit++, unit /= 10) {
            if (*digit < '0' || *digit > '9')
                return false;
            total += unit * (*digit - '0');
            rest = rest || (unit == 0 && *digit != '0');
        }
    }
    *nanoseconds = total + (rest ? 1 : 0); /* what is over 0 stays so */
    return *nanoseconds > 0 && *nanoseconds <= (int64_t)most * CLOCK_SECOND;
}
