#include "host/probe_pong.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cJSON.h>

#include "wire/arena.h"
#include "wire/json_strict.h"
#include "wire/request.h"

size_t pong_request(uint8_t *out, size_t room)
{
    static const char json[] = "{\"op\":\"ping\",\"v\":" TEXT_OF(PROTOCOL_VERSION) "}";
    const size_t length = sizeof json - 1;

    if (room - LIMIT_FRAME_HEADER < length)
        return 0;
    frame_encode_header(out, (struct frame_header){.type = FRAME_JSON, .length = (uint32_t)length});
    memcpy(out + LIMIT_FRAME_HEADER, json, length);
    return LIMIT_FRAME_HEADER + length;
}

static enum verdict refuse(struct text *why, const char *reason)
{
    text_add(why, reason);
    return VERDICT_REFUSED;
}

/* A length over FRAME-CAP is one over this cap too. */
static enum verdict judge_header(struct pong *pong, struct text *why)
{
    const struct frame_header header = pong->decoder.header;

    if (header.type != FRAME_JSON) {
        text_add(why, "a frame of type ");
        text_add_int(why, header.type);
        return refuse(why, " where a control frame was expected");
    }
    if (header.length > LIMIT_CONTROL_PAYLOAD)
        return refuse(why, "a control frame of more than " TEXT_OF(LIMIT_CONTROL_PAYLOAD) " bytes");
    pong->payload = malloc(header.length > 0 ? header.length : 1);
    if (pong->payload == NULL)
        return refuse(why, "no memory for the answer");
    return VERDICT_MORE;
}

static const char *member(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static enum verdict judge_object(const cJSON *object, struct text *why)
{
    const cJSON *ok = cJSON_GetObjectItemCaseSensitive(object, "ok");
    const char *op = member(object, "op");
    const char *error = member(object, "error");

    if (object == NULL)
        return refuse(why, "no memory for the answer");
    if (cJSON_IsTrue(ok) && op != NULL && strcmp(op, "pong") == 0)
        return VERDICT_ACCEPTED;
    if (!cJSON_IsFalse(ok) || error == NULL)
        return refuse(why, "another answer than a pong");
    text_add(why, "an error: ");
    return refuse(why, error);
}

static enum verdict judge_payload(const struct pong *pong, struct text *why)
{
    const struct json_finding finding = json_strict(pong->payload, pong->have);
    const size_t size = request_room(pong->have);
    enum verdict verdict;
    void *room;

    if (finding.verdict != JSON_GOOD) {
        text_add(why, "an answer that is no good JSON: ");
        return refuse(why, finding.reason);
    }
    room = malloc(size);
    if (room == NULL)
        return refuse(why, "no memory for the answer");
    arena_use(room, size);
    verdict = judge_object(cJSON_ParseWithLength(pong->payload, pong->have), why);
    free(room);
    return verdict;
}

enum verdict pong_take(struct pong *pong, const char *bytes, size_t length, struct text *why)
{
    size_t consumed = 0;

    while (pong->verdict == VERDICT_MORE) {
        const char *const at = bytes + consumed;
        size_t taken;

        switch (frame_decode(&pong->decoder, (const uint8_t *)at, length - consumed, &taken)) {
        case FRAME_MORE:
            return VERDICT_MORE;
        case FRAME_ERROR:
            pong->verdict = refuse(why, "bytes that are no frame: a length over the cap");
            break;
        case FRAME_HEADER_READY:
            pong->verdict = judge_header(pong, why);
            break;
        case FRAME_PAYLOAD:
            memcpy(pong->payload + pong->have, at, taken);
            pong->have += taken;
            break;
        case FRAME_END:
            pong->verdict = judge_payload(pong, why);
            break;
        }
        consumed += taken;
    }
    return pong->verdict;
}

void pong_clear(struct pong *pong)
{
    free(pong->payload);
    *pong = (struct pong){.verdict = VERDICT_MORE};
}
