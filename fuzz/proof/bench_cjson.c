/* No target, but what targets are measured against: cJSON alone, as it is shipped, parses and prints each control
 * payload of an input, which is one, or a stream of frames. */
#include <cJSON.h>

#include "fuzz.h"
#include "wire/constants.h"

static void parse_and_print(const uint8_t *payload, size_t size)
{
    cJSON *tree = cJSON_ParseWithLength((const char *)payload, size);

    free(cJSON_PrintUnformatted(tree));
    cJSON_Delete(tree);
}

/* No control payload begins with the type of a frame. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || data[0] == 0 || data[0] > FRAME_EOF) {
        parse_and_print(data, size);
        return 0;
    }
    while (size >= LIMIT_FRAME_HEADER) {
        const size_t declared = (size_t)data[1] << 24 | (size_t)data[2] << 16 | (size_t)data[3] << 8 | data[4];
        const size_t left = size - LIMIT_FRAME_HEADER, length = declared < left ? declared : left;

        if (data[0] == FRAME_JSON)
            parse_and_print(data + LIMIT_FRAME_HEADER, length);
        data += LIMIT_FRAME_HEADER + length;
        size -= LIMIT_FRAME_HEADER + length;
    }
    return 0;
}
