/* How fast a target is: a plain main() that runs the files of a directory through it, all of them again and again, for
 * at least `SECONDS`, and prints runs a second.
 *
 *     fuzz_frame SECONDS DIRECTORY */
#include <errno.h>
#include <fts.h>
#include <sys/stat.h>
#include <time.h>

#include "fuzz.h"

struct input {
    struct input *next;
    size_t size;
    uint8_t bytes[];
};

static struct input *read_input(const char *path, size_t size, struct input *next)
{
    struct input *input = fuzz_room(sizeof *input + size);
    FILE *file = fopen(path, "rb");

    if (file == NULL || fread(input->bytes, 1, size, file) != size) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    fclose(file);
    input->next = next;
    input->size = size;
    return input;
}

static struct input *read_all(char *directory)
{
    char *roots[] = {directory, NULL};
    struct input *all = NULL;
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);

    for (FTSENT *entry; tree != NULL && (entry = fts_read(tree)) != NULL;)
        if (entry->fts_info == FTS_F)
            all = read_input(entry->fts_path, (size_t)entry->fts_statp->st_size, all);
    if (tree != NULL)
        fts_close(tree);
    return all;
}

/* CPU time: what else the machine does is not the target's doing. */
static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double measure(const struct input *all, double seconds)
{
    size_t runs = 0;
    double start, spent;

    for (const struct input *input = all; input != NULL; input = input->next)
        LLVMFuzzerTestOneInput(input->bytes, input->size); /* warm */
    start = now();
    do {
        for (const struct input *input = all; input != NULL; input = input->next, runs++)
            LLVMFuzzerTestOneInput(input->bytes, input->size);
        spent = now() - start;
    } while (spent < seconds);
    return (double)runs / spent;
}

int main(int count, char **words)
{
    struct input *all = count == 3 ? read_all(words[2]) : NULL;
    const double seconds = count == 3 ? strtod(words[1], NULL) : 0;

    if (all == NULL) {
        fprintf(stderr, "usage: %s SECONDS DIRECTORY, which holds a file\n", words[0]);
        return 2;
    }
    printf("%.0f\n", measure(all, seconds));
    for (struct input *next; all != NULL; all = next) {
        next = all->next;
        free(all);
    }
    return 0;
}
