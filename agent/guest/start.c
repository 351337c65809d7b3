#include "guest/start.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/close_range.h>

#include "guest/number.h"
#include "guest/signals.h"
#include "wire/text.h"

#define OOM_PATH  "/proc/self/oom_score_adj"
#define OOM_LEAST (-1000)
#define OOM_STEP  100

static void set_signals(void)
{
    signals_unignore();
    signals_ignore(SIGPIPE);
    signals_ignore(SIGXFSZ); /* PUT-FULL */
    signals_block();
}

/* Descriptors 0 to 2 stay open for good, so that no other descriptor of the agent's ever gets such a number. */
static void open_standard(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) < 0)
            open("/", O_RDONLY | O_DIRECTORY); /* no /dev yet */
}

static void mark_close_on_exec(void)
{
    struct rlimit limit;

    if (syscall(SYS_close_range, 3, UINT_MAX, CLOSE_RANGE_CLOEXEC) == 0 || prlimit(0, RLIMIT_NOFILE, NULL, &limit) != 0)
        return;
    for (rlim_t fd = 3; fd < limit.rlim_cur && fd < 65536; fd++) /* Linux before 5.11 */
        fcntl((int)fd, F_SETFD, FD_CLOEXEC);
}

static void raise_files(struct origin *origin)
{
    struct rlimit raised;

    /* prlimit() is the bare call, where musl's setrlimit() brings along code to stop all threads. */
    if (prlimit(0, RLIMIT_NOFILE, NULL, &origin->files) != 0 || origin->files.rlim_cur == origin->files.rlim_max)
        return;
    raised = (struct rlimit){.rlim_cur = origin->files.rlim_max, .rlim_max = origin->files.rlim_max};
    origin->files_raised = prlimit(0, RLIMIT_NOFILE, &raised, NULL) == 0;
}

/* Return: the number in the kernel's text; OOM_LEAST if it is none. */
static int read_score(const char *text)
{
    const size_t sign = text[0] == '-' ? 1 : 0;
    uint64_t number;

    if (!number_read_part(text + sign, strspn(text + sign, "0123456789"), 0, -OOM_LEAST, &number))
        return OOM_LEAST;
    return sign == 1 ? -(int)number : (int)number;
}

/* Without the capability only a part of the way down is allowed, and the kernel does not say how far. */
static void lower_oom_score(struct origin *origin)
{
    const int fd = open(OOM_PATH, O_RDWR | O_CLOEXEC);
    ssize_t length;
    int now;

    if (fd < 0)
        return;
    length = read(fd, origin->oom_score, sizeof origin->oom_score - 1);
    now = length > 0 ? read_score(origin->oom_score) : OOM_LEAST;
    for (int score = OOM_LEAST; score < now && !origin->oom_lowered; score += OOM_STEP) {
        char digits[16];
        struct text text = text_in(digits, sizeof digits);

        text_add_int(&text, score);
        origin->oom_lowered = pwrite(fd, digits, text.length, 0) > 0;
    }
    close(fd);
}

void start_common(struct origin *origin)
{
    *origin = (struct origin){.files_raised = false};
    set_signals();
    open_standard();
    mark_close_on_exec();
    raise_files(origin);
}

void start_process(struct origin *origin)
{
    start_common(origin);
    lower_oom_score(origin);
}

int start_signals(void)
{
    sigset_t watched;

    sigemptyset(&watched);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGCHLD);
    return signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}
