/* Property: what the validator takes, cJSON takes too, and its tree holds what the text says: no string shorter than it
 * was written (JSON-NUL), no name twice in an object (JSON-DUP), no more values and levels than JSON-LIMITS allow;
 * members are found where they stand. What it refuses has a verdict, a reason and a place within the text.
 *
 * Input: one control payload. */
#include "fuzz.h"

#include "tree.h"
#include "wire/arena.h"
#include "wire/json_strict.h"
#include "wire/request.h"

static void check_tree(const char *text, size_t length)
{
    const size_t size = request_room(length);
    void *room = fuzz_room(size);
    struct json_members members = json_members_of((struct json_slice){.start = text, .length = length});
    struct json_slice value;
    struct tally all;
    const cJSON *tree;

    arena_use(room, size);
    tree = cJSON_ParseWithLength(text, length);
    if (fuzz_was_starved()) {
        FUZZ_CHECK(tree == NULL, "half a tree is none");
        free(room);
        return;
    }
    FUZZ_CHECK(cJSON_IsObject(tree), "what the validator takes is an object to cJSON, and fits the room");
    all = tree_tally(tree);
    FUZZ_CHECK(all.values <= LIMIT_JSON_VALUES, "no more values than the limit");
    FUZZ_CHECK(all.text == tree_text_written(text, length), "every string is as long as it was written");
    for (const cJSON *member = tree->child; member != NULL; member = member->next)
        FUZZ_CHECK(json_members_next(&members, &value) && value.length > 0 && value.start >= text &&
                       value.length <= (size_t)(text + length - value.start),
                   "each member is found in the text");
    FUZZ_CHECK(!json_members_next(&members, &value), "no member more is found in the text");
    free(room);
}

const struct fuzz_input fuzz_input = {.form = FUZZ_PAYLOAD};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_copy(data, size);
    const struct json_finding finding = json_strict(text, size);

    if (finding.verdict == JSON_GOOD) {
        FUZZ_CHECK(size <= LIMIT_CONTROL_PAYLOAD && finding.reason[0] == '\0', "a good text has no reason");
        check_tree(text, size);
    } else {
        FUZZ_CHECK(finding.verdict == JSON_MALFORMED || finding.verdict == JSON_TOO_LARGE, "a verdict of the enum");
        FUZZ_CHECK(finding.offset <= size && finding.reason[0] != '\0', "a place within the text, and a reason");
        FUZZ_CHECK(size <= LIMIT_CONTROL_PAYLOAD || finding.verdict == JSON_TOO_LARGE, "JSON-LIMITS come first");
    }
    free(text);
    return 0;
}
