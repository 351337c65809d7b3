/* Under ASan freed memory is kept back, by default for longer than the suite looks at what a tool holds. A little is
 * enough to catch who still uses it. */
#if defined(__SANITIZE_ADDRESS__)
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "quarantine_size_mb=1:thread_local_quarantine_size_kb=64";
}
#else
typedef int no_quarantine; /* a file has to hold something */
#endif
