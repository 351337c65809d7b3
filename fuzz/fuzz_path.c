/* Property: an upload lands where PUT-PATH and PUT-DIR say, said here a second time and otherwise: in that directory,
 * under that name, and nowhere else; or it is refused with the code for the reason, and nothing is changed. Doing it
 * twice is doing it once, and so is resolving a path twice.
 *
 * Input: path, NUL, name, NUL, and the files there are, as directions (world/script.h). */
#include "fuzz.h"
#include "guest/path.h"
#include "guest/target.h"
#include "world/judge.h"
#include "world/parts.h"
#include "world/place.h"

static bool stands(const struct world *world, unsigned node)
{
    return world->node[node].standing;
}

/* Return: true if it was done. */
static bool put(struct world *world, const char *path, const char *name)
{
    const struct request request = {.op = REQUEST_PUT_FILE, .path = path, .name = name};
    const struct place place = place_of(world, path, name);
    const int old = place.directory >= 0 ? files_find(world, (unsigned)place.directory, place.leaf) : -1;
    const unsigned before = world->nodes;
    struct wire_error error = {.code = WIRE_OK};
    struct target target;
    bool stood[WORLD_NODES];
    bool done;

    for (unsigned i = 0; i < before; i++)
        stood[i] = stands(world, i);
    done = target_open(&target, &world_sys, &request, &error) && target_commit(&target, 0640, &error);
    target_discard(&target);
    FUZZ_CHECK(done == (place.reason == 0), "it lands if the contract has a place for it");
    FUZZ_CHECK(done || error.code == judge_code(place.reason), "the code for the reason");
    for (unsigned i = 0; i < before; i++)
        FUZZ_CHECK(stands(world, i) == (stood[i] && !(done && (int)i == old)), "nothing else goes");
    for (unsigned i = before; i < world->nodes; i++)
        FUZZ_CHECK(stands(world, i) == done, "nothing else comes");
    if (done) {
        const struct node *file = &world->node[world->nodes - 1];

        FUZZ_CHECK((int)file->parent == place.directory && strcmp(file->name, place.leaf) == 0, "where it lands");
    }
    return done;
}

static void resolve_twice(const char *path)
{
    char *once = fuzz_room(strlen(path) + 2);
    char *twice = fuzz_room(strlen(path) + 2);

    memcpy(once, path, strlen(path) + 1);
    path_resolve(once);
    memcpy(twice, once, strlen(once) + 1);
    path_resolve(twice);
    FUZZ_CHECK(strcmp(once, twice) == 0, "what is resolved stays as it is");
    free(once);
    free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t path = strnlen((const char *)data, size);
    const size_t name = path < size ? strnlen((const char *)data + path + 1, size - path - 1) : 0;
    struct world *world;

    if (path == 0 || path > PLACE_LONGEST || name > PLACE_LONGEST || path + 1 + name >= size)
        return 0;
    world = world_open(data + path + name + 2, size - path - name - 2);
    while (world_script_step(world))
        continue;
    world->faults = 0;
    resolve_twice((const char *)data);
    if (world->nodes < WORLD_NODES - 1) {
        const bool first = put(world, (const char *)data, (const char *)data + path + 1);
        const bool second = put(world, (const char *)data, (const char *)data + path + 1);

        FUZZ_CHECK(first == second, "twice is as once");
    }
    world_check_clean(world, 0);
    return 0;
}
