#include "talk.h"

#include "wire/json_strict.h"

static bool is_text(const uint8_t *bytes, size_t size, const char *text)
{
    return size == strlen(text) && memcmp(bytes, text, size) == 0;
}

/* Return: the code of an error reply, in `room`; NULL if it is none. */
static const char *error_code(const uint8_t *bytes, size_t size, char room[TALK_CODE])
{
    static const char start[] = "{\"ok\":false,\"op\":\"error\",\"error\":\"";
    static const char middle[] = "\",\"code\":\"";
    const size_t least = strlen(start) + 1 + strlen(middle) + 3;
    size_t from = size - 2;

    if (size < least || memcmp(bytes, start, strlen(start)) != 0 || memcmp(bytes + size - 2, "\"}", 2) != 0)
        return NULL;
    while (from > strlen(start) && bytes[from - 1] != '"')
        from--;
    FUZZ_CHECK(size - 2 - from < TALK_CODE && memcmp(bytes + from - strlen(middle), middle, strlen(middle)) == 0,
               "ERR-CODE: an error has its code");
    memcpy(room, bytes + from, size - 2 - from);
    room[size - 2 - from] = '\0';
    return room;
}

/* Return: true if that is how the conversation may end. */
static bool is_end(const struct talk *talk, const uint8_t *bytes, size_t size)
{
    static const char pong[] = "{\"ok\":true,\"op\":\"pong\",\"agent_version\":\"";
    const char *number = talk->request.timeout_text;
    const int command = talk->record->command;
    char wanted[128];

    switch (talk->request.op) {
    case REQUEST_PING:
        return size > strlen(pong) && memcmp(bytes, pong, strlen(pong)) == 0;
    case REQUEST_PUT_FILE:
        return is_text(bytes, size, "{\"ok\":true}");
    case REQUEST_RUN:
        if (command < 0)
            return false;
        if (talk->world->command[command].killed)
            return number != NULL && size > strlen(number) &&
                   memcmp(bytes + size - 1 - strlen(number), number, strlen(number)) == 0;
        snprintf(wanted, sizeof wanted, "{\"ok\":true,\"op\":\"exit\",\"exit_code\":%d}",
                 talk->world->command[command].exit_code);
        return is_text(bytes, size, wanted);
    case REQUEST_GET_FILE:
    case REQUEST_NONE:
        break;
    }
    return false;
}

static void read_control(struct talk *talk, const uint8_t *bytes, size_t size, char room[TALK_CODE])
{
    FUZZ_CHECK(json_strict((const char *)bytes, size).verdict == JSON_GOOD, "JSON-OUT: control is JSON");
    talk->code = error_code(bytes, size, room);
    if (talk->code == NULL && talk->request.op == REQUEST_GET_FILE && !talk->header && talk->record->opened >= 0) {
        const struct node *file = &talk->world->node[talk->record->opened];
        char wanted[128];

        snprintf(wanted, sizeof wanted, "{\"ok\":true,\"mode\":%u,\"size\":%zu}", file->mode,
                 file->content.size + file->zeros);
        FUZZ_CHECK(is_text(bytes, size, wanted), "GET-OK: mode and size");
        talk->header = true;
        return;
    }
    FUZZ_CHECK(talk->code != NULL || is_end(talk, bytes, size), "a control frame ends the response");
    talk->ended = true;
}

static void read_bytes(struct talk *talk, unsigned type, const uint8_t *bytes, size_t size)
{
    const struct node *file = talk->header ? &talk->world->node[talk->record->opened] : NULL;
    static const uint8_t zeros[WORLD_PATTERN];
    const bool stream = type == FRAME_STDOUT || type == FRAME_STDERR;
    size_t *done = stream ? &talk->streams[type - FRAME_STDOUT] : &talk->data;

    FUZZ_CHECK(stream ? talk->request.op == REQUEST_RUN : type == FRAME_DATA && talk->header,
               "a frame of a type that the response has");
    for (size_t part; size > 0; size -= part, bytes += part, *done += part) {
        const uint8_t *wanted = zeros;

        part = size < WORLD_PATTERN ? size : WORLD_PATTERN;
        if (stream) {
            wanted = world_pattern(type - FRAME_STDOUT, *done);
        } else if (*done < file->content.size) {
            part = part < file->content.size - *done ? part : file->content.size - *done;
            wanted = file->content.bytes + *done;
        }
        FUZZ_CHECK(memcmp(bytes, wanted, part) == 0, "RUN-STREAM, GET-EXACT: byte for byte");
    }
}

bool talk_read(struct talk *talk, char room[TALK_CODE])
{
    const struct buffer *out = &talk->host->out;
    size_t at = 0;

    while (out->size - at >= LIMIT_FRAME_HEADER) {
        const uint8_t *frame = out->bytes + at;
        const size_t length = (size_t)frame[1] << 24 | (size_t)frame[2] << 16 | (size_t)frame[3] << 8 | frame[4];
        const size_t there = out->size - at - LIMIT_FRAME_HEADER;

        FUZZ_CHECK(!talk->ended, "CONV-ONE: nothing follows the terminal frame");
        if (frame[0] == FRAME_EOF) {
            FUZZ_CHECK(length == 0 && talk->header, "FRAME-EOF-EMPTY: the end of a download");
            talk->ended = true;
        } else if (frame[0] != FRAME_JSON) {
            FUZZ_CHECK(length >= 1 && length <= LIMIT_CHUNK, "FRAME-CHUNK: the size of a chunk");
            read_bytes(talk, frame[0], frame + LIMIT_FRAME_HEADER, length < there ? length : there);
        }
        if (there < length)
            return false;
        if (frame[0] == FRAME_JSON)
            read_control(talk, frame + LIMIT_FRAME_HEADER, length, room);
        at += LIMIT_FRAME_HEADER + length;
    }
    return at == out->size;
}

bool talk_has_request(const struct host *host, size_t *length)
{
    const uint8_t *frame = host->in.bytes;

    if (host->in.size < LIMIT_FRAME_HEADER)
        return false;
    *length = (size_t)frame[1] << 24 | (size_t)frame[2] << 16 | (size_t)frame[3] << 8 | frame[4];
    return *length <= LIMIT_FRAME_PAYLOAD && host->in.size - LIMIT_FRAME_HEADER >= *length;
}

bool talk_read_request(struct talk *talk, void **room)
{
    const uint8_t *frame = talk->host->in.bytes;
    size_t length;

    if (!talk_has_request(talk->host, &length))
        return false;
    talk->upload = LIMIT_FRAME_HEADER + length;
    talk->complete = true;
    *room = fuzz_room(request_room(length));
    if (frame[0] == FRAME_JSON)
        request_parse(&talk->request, *room, request_room(length), (const char *)frame + LIMIT_FRAME_HEADER, length);
    else
        wire_fail(&talk->request.error, WIRE_MALFORMED, "no JSON", NULL);
    return true;
}
