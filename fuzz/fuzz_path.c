/* Property: an upload lands where PUT-PATH and PUT-DIR say, said here a second time and otherwise: in that directory,
 * under that name, and nowhere else; or it is refused with the code for the reason, and nothing is changed. Doing it
 * twice is doing it once, and so is resolving a path twice. The oracle (oracle_place.h) does the same on these files.
 *
 * Input: path, NUL, name, NUL, and the files there are, as directions (world/script.h). */
#include "fuzz.h"
#include "guest/path.h"
#include "guest/target.h"
#include "oracle_place.h"
#include "world/judge.h"
#include "world/parts.h"
#include "world/place.h"

#define MODE 0640

/* Return: its code; WIRE_OK: it was done. */
static enum wire_code put(struct world *world, const char *path, const char *name)
{
    const struct request request = {.op = REQUEST_PUT_FILE, .path = path, .name = name};
    const struct place place = place_of(world, path, name);
    const int old = place.directory >= 0 ? files_find(world, (unsigned)place.directory, place.leaf) : -1;
    const unsigned before = world->nodes;
    struct wire_error error = {.code = WIRE_OK};
    struct target target;
    bool stood[WORLD_NODES], done;

    for (unsigned i = 0; i < before; i++)
        stood[i] = world->node[i].standing;
    done = target_open(&target, &world_sys, &request, &error) && target_commit(&target, MODE, &error);
    target_discard(&target);
    FUZZ_CHECK(done == (place.reason == 0), "it lands if the contract has a place for it");
    FUZZ_CHECK(done || error.code == judge_code(place.reason), "the code for the reason");
    for (unsigned i = 0; i < before; i++)
        FUZZ_CHECK(world->node[i].standing == (stood[i] && !(done && (int)i == old)), "nothing else goes");
    for (unsigned i = before; i < world->nodes; i++)
        FUZZ_CHECK(world->node[i].standing == done, "nothing else comes");
    FUZZ_CHECK(!done || files_find(world, (unsigned)place.directory, place.leaf) == (int)world->nodes - 1,
               "where it lands");
    return done ? WIRE_OK : error.code;
}

static struct world *prepared(const uint8_t *script, size_t size)
{
    struct world *world = world_open(script, size);

    while (world_script_step(world))
        continue;
    world->faults = 0;
    return world;
}

static void put_as_the_oracle(struct world *world, const char *path, const char *name, const char *code, uint64_t after)
{
    char told[ORACLE_CODE];

    oracle_put(path, name, MODE, told);
    FUZZ_CHECK(strcmp(told, code) == 0, "the oracle's code");
    FUZZ_CHECK(files_hash(world) == after, "the oracle's place");
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
    const char *path = (const char *)data, *name = path + strnlen(path, size) + 1;
    const size_t length = (size_t)(name - path) - 1;
    const size_t more = length < size ? strnlen(name, size - length - 1) : 0, script = length + more + 2;
    struct world *world;

    if (length == 0 || length > PLACE_LONGEST || more > PLACE_LONGEST || script > size)
        return 0;
    resolve_twice(path);
    world = prepared(data + script, size - script);
    if (world->nodes < WORLD_NODES - 1) {
        const enum wire_code code = put(world, path, name);
        const uint64_t after = files_hash(world);

        FUZZ_CHECK(put(world, path, name) == code, "twice is as once");
        world_check_clean(world, 0);
        if (oracle_put != NULL) {
            world = prepared(data + script, size - script);
            put_as_the_oracle(world, path, name, wire_code_name(code), after);
        }
    }
    world_check_clean(world, 0);
    return 0;
}
