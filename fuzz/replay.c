/* A plain main() for any target: run files, and every file below directories, through it, each REPLAY_TIMES (default 4)
 * times, so that what one run leaves behind shows in the next. For gcc, valgrind and every sanitizer.
 *
 *     fuzz_frame [FILE | DIRECTORY]... */
#include <errno.h>
#include <fts.h>

#include "fuzz.h"

#define TIMES 4

struct bytes {
    uint8_t *start;
    size_t size;
};

static struct bytes read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct bytes bytes = {0};
    size_t got;

    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    do {
        uint8_t *more = realloc(bytes.start, bytes.size + 65536);

        if (more == NULL)
            abort();
        bytes.start = more;
        got = fread(bytes.start + bytes.size, 1, 65536, file);
        bytes.size += got;
    } while (got > 0);
    if (ferror(file)) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(2);
    }
    fclose(file);
    return bytes;
}

static void run_file(const char *path, long times)
{
    struct bytes bytes = read_file(path);

    for (long i = 0; i < times; i++) {
        uint8_t *exact = fuzz_copy(bytes.start, bytes.size);

        LLVMFuzzerTestOneInput(exact, bytes.size);
        free(exact);
    }
    free(bytes.start);
}

int main(int count, char **words)
{
    const char *wanted = getenv("REPLAY_TIMES");
    const long times = wanted != NULL ? strtol(wanted, NULL, 10) : TIMES;
    size_t files = 0;
    FTS *tree;

    if (count < 2 || times < 1) {
        fprintf(stderr, "usage: [REPLAY_TIMES=N] %s FILE|DIRECTORY...\n", words[0]);
        return 2;
    }
    tree = fts_open(words + 1, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (tree == NULL) {
        fprintf(stderr, "%s: %s\n", words[1], strerror(errno));
        return 2;
    }
    for (FTSENT *entry; (entry = fts_read(tree)) != NULL;) {
        if (entry->fts_info == FTS_NS || entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR) {
            fprintf(stderr, "%s: %s\n", entry->fts_path, strerror(entry->fts_errno));
            return 2;
        }
        if (entry->fts_info == FTS_F) {
            fprintf(stderr, "%s\n", entry->fts_path); /* the last one named is the one that failed */
            run_file(entry->fts_path, times);
            files++;
        }
    }
    fts_close(tree);
    printf("%zu passed, 0 failed, 0 skipped\n", files);
    return files > 0 ? 0 : 2;
}
