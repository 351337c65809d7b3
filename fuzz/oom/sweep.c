/* A main() for a fuzz target whose code under test allocates: every file of the folders is run with its first
 * allocation failing, then with its second one, and so on until a run passes untouched; once with that one alone, once
 * with all after it failing too. The target's property has to hold each time, with fuzz_starved() where it makes a
 * difference. Files that allocate little come first, for OOM_SECONDS (default: no end) may cut a sweep short.
 * Exit status 1 where no allocation was there to fail, for then nothing was tried.
 *
 *     [OOM_SECONDS=N] fuzz_request [FILE | DIRECTORY]... */
#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <time.h>

#include "fuzz.h"
#include "oom/fail.h"

struct file {
    uint8_t *start;
    size_t size;
    uint32_t calls; /* allocations of an untouched run */
    char *path;
};

struct files {
    struct file *all;
    size_t count;
};

bool fuzz_starved(void)
{
    return atomic_load(&fail_plan()->failed) > 0;
}

/* Return: how many allocations failed. */
static uint32_t run(const struct file *file, uint32_t at, bool after)
{
    struct fail_plan *plan = fail_plan();
    uint8_t *exact = fuzz_copy(file->start, file->size);

    atomic_store(&plan->calls, 0);
    atomic_store(&plan->failed, 0);
    atomic_store(&plan->after, after);
    atomic_store(&plan->at, at);
    LLVMFuzzerTestOneInput(exact, file->size);
    atomic_store(&plan->at, 0);
    free(exact);
    return atomic_load(&plan->failed);
}

static void read_file(struct files *files, const FTSENT *entry)
{
    struct file file = {.size = (size_t)entry->fts_statp->st_size, .path = strdup(entry->fts_path)};
    FILE *stream = fopen(entry->fts_path, "rb");

    files->all = realloc(files->all, (files->count + 1) * sizeof file);
    file.start = fuzz_room(file.size + 1);
    if (stream == NULL || files->all == NULL || file.path == NULL ||
        fread(file.start, 1, file.size, stream) != file.size) {
        fprintf(stderr, "%s: cannot be read: %s\n", entry->fts_path, strerror(errno));
        exit(2);
    }
    fclose(stream);
    fprintf(stderr, "%s\n", file.path); /* the last one named is the one that failed */
    run(&file, 0, false);
    file.calls = atomic_load(&fail_plan()->calls);
    files->all[files->count++] = file;
}

static struct files read_all(char **paths)
{
    struct files files = {0};
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);

    for (FTSENT *entry; tree != NULL && (entry = fts_read(tree)) != NULL;)
        if (entry->fts_info == FTS_F)
            read_file(&files, entry);
    if (tree == NULL || files.count == 0) {
        fprintf(stderr, "%s: no files\n", paths[0]);
        exit(2);
    }
    fts_close(tree);
    return files;
}

static int by_calls(const void *left, const void *right)
{
    const uint32_t one = ((const struct file *)left)->calls, other = ((const struct file *)right)->calls;

    return (one > other) - (one < other);
}

/* Both ways, adding to *made what failed. Return: false if `end` (0: none) came first. */
static bool sweep(const struct file *file, time_t end, uint64_t *made)
{
    for (int after = 0; after < 2; after++)
        for (uint32_t at = 1; run(file, at, after != 0) > 0; at++) {
            ++*made;
            if (end != 0 && time(NULL) >= end)
                return false;
        }
    return true;
}

int main(int count, char **words)
{
    const char *wanted = getenv("OOM_SECONDS");
    const long seconds = wanted != NULL && wanted[0] != '\0' ? strtol(wanted, NULL, 10) : 0;
    struct files files;
    uint64_t of = 0, made = 0;
    size_t swept = 0;

    if (count < 2 || seconds < 0) {
        fprintf(stderr, "usage: [OOM_SECONDS=N] %s FILE|DIRECTORY...\n", words[0]);
        return 2;
    }
    files = read_all(words + 1);
    qsort(files.all, files.count, sizeof *files.all, by_calls);
    for (size_t i = 0; i < files.count; i++)
        of += 2 * (uint64_t)files.all[i].calls;
    for (const time_t end = time(NULL) + seconds; swept < files.count; swept++) {
        fprintf(stderr, "%s\n", files.all[swept].path);
        if (!sweep(&files.all[swept], seconds > 0 ? end : 0, &made))
            break;
    }
    for (size_t i = 0; i < files.count; i++) {
        free(files.all[i].start);
        free(files.all[i].path);
    }
    free(files.all);
    printf("%zu of %zu files swept, %" PRIu64 " of %" PRIu64 " allocations failed\n", swept, files.count, made, of);
    if (made == 0)
        fprintf(stderr, "no allocation failed: nothing in these files takes memory, or the program is not wrapped\n");
    printf("%zu passed, %d failed, 0 skipped\n", made > 0 ? swept : 0, made == 0);
    return made == 0;
}
