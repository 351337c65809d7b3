#include "decimal.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* A tie between two doubles has at most 767 significant digits; what is beyond only breaks it. */
#define DIGITS 800
/* A digit, shifted, and a carry fit 64 bits. */
#define MOST_SHIFT 59
/* Powers of ten beyond every double, and a bound that keeps sums of exponents small. */
#define HIGHEST_POINT  310
#define LOWEST_POINT   (-330)
#define EXPONENT_BOUND 100000000

#define MANTISSA_BITS  53
#define LEAST_EXPONENT (-1074) /* of the lowest bit of a denormal */

/* 0.DIGITS times ten to the power of `point`. No leading and no trailing zeros. */
struct decimal {
    int count;
    int point;
    bool more; /* digits other than 0 follow */
    uint8_t digits[DIGITS];
};

/* Leading zeros are not kept; the caller moves the point. */
static void add_digit(struct decimal *decimal, uint8_t digit)
{
    if (decimal->count == 0 && digit == 0)
        return;
    if (decimal->count < DIGITS)
        decimal->digits[decimal->count++] = digit;
    else if (digit != 0)
        decimal->more = true;
}

static void trim(struct decimal *decimal)
{
    int zeros = 0;

    while (decimal->count > 0 && decimal->digits[decimal->count - 1] == 0)
        decimal->count--;
    while (zeros < decimal->count && decimal->digits[zeros] == 0)
        zeros++;
    memmove(decimal->digits, decimal->digits + zeros, (size_t)(decimal->count - zeros));
    decimal->count -= zeros;
    decimal->point -= zeros;
}

/* Times two to the power of `shift`. */
static void shift_left(struct decimal *decimal, int shift)
{
    const int extra = shift * 30103 / 100000 + 1; /* digits of the factor, at most */
    int from = decimal->count - 1;
    uint64_t carry = 0;

    decimal->point += extra;
    decimal->count += extra;
    for (int to = decimal->count - 1; to >= 0; to--, from--) {
        if (from >= 0)
            carry += (uint64_t)decimal->digits[from] << shift;
        if (to < DIGITS)
            decimal->digits[to] = (uint8_t)(carry % 10);
        else if (carry % 10 != 0)
            decimal->more = true;
        carry /= 10;
    }
    if (decimal->count > DIGITS)
        decimal->count = DIGITS;
    trim(decimal);
}

/* Divided by two to the power of `shift`. */
static void shift_right(struct decimal *decimal, int shift)
{
    const uint64_t mask = (UINT64_C(1) << shift) - 1;
    const int count = decimal->count;
    uint64_t rest = 0;

    decimal->count = 0;
    for (int from = 0; from < count || rest != 0; from++) {
        rest = rest * 10 + (from < count ? decimal->digits[from] : 0);
        add_digit(decimal, (uint8_t)(rest >> shift)); /* never ahead of `from` */
        decimal->point -= decimal->count > 0 ? 0 : 1;
        rest &= mask;
    }
    trim(decimal);
}

/* The integer part, rounded; the value is below 2 to the power of 54. */
static uint64_t round_to_integer(const struct decimal *decimal)
{
    uint64_t integer = 0;
    int at = 0;
    bool up;

    for (; at < decimal->point; at++)
        integer = integer * 10 + (at < decimal->count ? decimal->digits[at] : 0);
    if (decimal->point < 0 || at >= decimal->count)
        return integer;
    up = decimal->digits[at] > 5 ||
         (decimal->digits[at] == 5 && (at + 1 < decimal->count || decimal->more || integer % 2 == 1));
    return integer + (up ? 1 : 0);
}

static int bits_of(int point)
{
    return point * 3 < MOST_SHIFT ? point * 3 : MOST_SHIFT; /* 8 is less than 10: one step never goes too far */
}

static double to_double(struct decimal *decimal)
{
    int exponent = 0; /* the number is the decimal times two to this power */

    trim(decimal);
    if (decimal->count == 0 || decimal->point < LOWEST_POINT)
        return 0;
    if (decimal->point > HIGHEST_POINT)
        return HUGE_VAL;
    while (decimal->point > 0) {
        const int shift = bits_of(decimal->point);

        shift_right(decimal, shift);
        exponent += shift;
    }
    while (decimal->point < 0 || decimal->digits[0] < 5) {
        const int shift = decimal->point < 0 ? bits_of(-decimal->point) : 1;

        shift_left(decimal, shift);
        exponent -= shift;
    }
    /* From one half up to one: the first bit of the mantissa is the first behind the point, unless the double is a
     * denormal. */
    exponent -= MANTISSA_BITS;
    shift_left(decimal, MANTISSA_BITS);
    while (exponent < LEAST_EXPONENT) {
        const int missing = LEAST_EXPONENT - exponent;
        const int shift = missing < MOST_SHIFT ? missing : MOST_SHIFT;

        shift_right(decimal, shift);
        exponent += shift;
    }
    return ldexp((double)round_to_integer(decimal), exponent);
}

static bool is_digit(char letter)
{
    return letter >= '0' && letter <= '9';
}

/* Return: where the exponent at `at` ends; `at` if there is none. */
static const char *read_exponent(const char *at, int *exponent)
{
    const char *next = at;
    bool minus;
    int value = 0;

    if (*next != 'e' && *next != 'E')
        return at;
    next++;
    minus = *next == '-';
    if (minus || *next == '+')
        next++;
    if (!is_digit(*next))
        return at;
    for (; is_digit(*next); next++)
        value = value < EXPONENT_BOUND ? value * 10 + (*next - '0') : value;
    *exponent = minus ? -value : value;
    return next;
}

double decimal_strtod(const char *restrict text, char **restrict end)
{
    struct decimal decimal = {.count = 0};
    const bool minus = text[0] == '-';
    const char *at = text + (minus ? 1 : 0);
    const char *const first = at;
    int exponent = 0;
    double value;

    for (; is_digit(*at); at++) {
        add_digit(&decimal, (uint8_t)(*at - '0'));
        decimal.point += decimal.count > 0 ? 1 : 0;
    }
    if (at > first && *at == '.' && is_digit(at[1]))
        for (at++; is_digit(*at); at++) {
            add_digit(&decimal, (uint8_t)(*at - '0'));
            decimal.point -= decimal.count > 0 ? 0 : 1;
        }
    *end = (char *)(uintptr_t)(at > first ? read_exponent(at, &exponent) : text);
    decimal.point = decimal.point + exponent;
    value = to_double(&decimal);
    return minus ? -value : value;
}
