/* decimal_strtod() against libc's strtod(), bit by bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/decimal.h"

static uint64_t bits(double value)
{
    uint64_t pattern;

    memcpy(&pattern, &value, sizeof pattern);
    return pattern;
}

static void assert_like_libc(const char *text)
{
    char *our_end;
    char *libc_end;
    const double ours = decimal_strtod(text, &our_end);
    const double libc = strtod(text, &libc_end);

    if (bits(ours) != bits(libc) || our_end != libc_end)
        fail_msg("%.100s: %a, libc %a", text, ours, libc);
}

static void named_cases(void **state)
{
    static const char *const cases[] = {
        "0",
        "-0",
        "0.0",
        "1",
        "-1",
        "1.5",
        "0.1",
        "0.3",
        "1e0",
        "1E+2",
        "1e-2",
        "0e999999999",
        "10000000000000000000000",
        "9007199254740993",
        "9007199254740992.5",
        "9007199254740993.0000000000000000000000000000000000000001",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1e309",
        "-1e309",
        "1e1000000000000000",
        "2.2250738585072014e-308",
        "2.2250738585072011e-308",
        "4.9e-324",
        "5e-324",
        "3e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1e-400",
        "1e-1000000000000000",
        "0.0000000000000000000000000001",
        "1e",
        "1e+",
        "1.5e-x",
        "",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_like_libc(cases[i]);
}

/* Doubles of any size, shortened, in full, and the exact middle between two neighbours. */
static void random_doubles(void **state)
{
    uint64_t random = 1;
    char text[1600];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        double value;
        double next;

        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        if (((random + 1) >> 52) % 2048 == 2047 || (random >> 52) % 2048 == 2047)
            continue; /* it or its neighbour is not finite */
        const uint64_t pattern = random;
        const uint64_t neighbour = pattern + 1;
        memcpy(&value, &pattern, sizeof value);
        memcpy(&next, &neighbour, sizeof next);

        snprintf(text, sizeof text, "%.*e", i % 20, value);
        assert_like_libc(text);
        if (i % 20 != 0)
            continue;
        snprintf(text, sizeof text, "%.1100g", value);
        assert_like_libc(text);
        snprintf(text, sizeof text, "%.1200Lg", ((long double)value + (long double)next) / 2);
        assert_like_libc(text);
        if (strchr(text, 'e') == NULL && strchr(text, '.') != NULL) {
            strcat(text, "1");
            assert_like_libc(text);
        }
    }
}

static void a_long_number(void **state)
{
    const size_t length = 1000000;
    char *text = malloc(length + 20);

    (void)state;
    assert_non_null(text);
    memset(text, '0', length);
    text[1] = '.';
    strcpy(text + length, "125e1000001");
    assert_like_libc(text);
    memset(text, '9', length);
    strcpy(text + length, "e-999990");
    assert_like_libc(text);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(named_cases),
        cmocka_unit_test(random_doubles),
        cmocka_unit_test(a_long_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
