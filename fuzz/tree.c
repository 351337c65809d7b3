#include "tree.h"

#include <stdbool.h>

#include "fuzz.h"
#include "wire/constants.h"

static int by_name(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void unique_names(const cJSON *object)
{
    const size_t count = (size_t)cJSON_GetArraySize(object);
    const char **names = fuzz_room(count * sizeof *names);
    size_t i = 0;

    for (const cJSON *member = object->child; member != NULL; member = member->next)
        names[i++] = member->string;
    qsort(names, count, sizeof *names, by_name);
    for (i = 1; i < count; i++)
        FUZZ_CHECK(strcmp(names[i - 1], names[i]) != 0, "no name stands twice in an object");
    free(names);
}

/* Depth is at most LIMIT_JSON_DEPTH, which the validator has seen to, or the check here fails first. */
static void take(const cJSON *item, size_t depth, struct tally *all)
{
    all->values++;
    if (cJSON_IsString(item))
        all->text += strlen(item->valuestring);
    if (!cJSON_IsObject(item) && !cJSON_IsArray(item))
        return;
    all->depth = depth + 1 > all->depth ? depth + 1 : all->depth;
    FUZZ_CHECK(all->depth <= LIMIT_JSON_DEPTH, "no more levels than the limit");
    if (cJSON_IsObject(item) && item->child != NULL)
        unique_names(item);
    for (const cJSON *child = item->child; child != NULL; child = child->next) {
        all->text += child->string != NULL ? strlen(child->string) : 0;
        take(child, depth + 1, all);
    }
}

struct tally tree_tally(const cJSON *tree)
{
    struct tally all = {0};

    take(tree, 0, &all);
    return all;
}

/* Return: the bytes that \uXXXX stands for in UTF-8; of a pair, each half counts two. */
static size_t escape_width(const char *digits)
{
    char hex[5] = {digits[0], digits[1], digits[2], digits[3], '\0'};
    const unsigned long point = strtoul(hex, NULL, 16);

    return point < 0x80 ? 1 : point < 0x800 || (point >= 0xD800 && point < 0xE000) ? 2 : 3;
}

size_t tree_text_written(const char *text, size_t length)
{
    size_t bytes = 0;
    bool inside = false;

    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"') {
            inside = !inside;
        } else if (inside && text[i] == '\\') {
            bytes += text[i + 1] == 'u' ? escape_width(text + i + 2) : 1;
            i += text[i + 1] == 'u' ? 5 : 1;
        } else if (inside) {
            bytes++;
        }
    }
    return bytes;
}
