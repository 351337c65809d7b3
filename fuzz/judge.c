#include "judge.h"

#include <errno.h>

#include "guest/sys.h"
#include "wire/frame.h"
#include "wire/json_strict.h"
#include "wire/request.h"
#include "world_parts.h"

/* A conversation as it is read. */
struct talk {
    const struct world *world;
    const struct host *host;
    const struct record *record;
    struct request request;
    size_t upload; /* where it begins in what the host sent; once read, where it ends */
    bool complete; /* the host sent all that an answer takes */
    size_t streams[2], data;
    bool header, ended;
    const char *code; /* of the error that ended it, NULL: none */
};

enum wire_code judge_code(int err)
{
    switch (err) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
        return WIRE_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return WIRE_PERMISSION_DENIED;
    case EISDIR:
        return WIRE_IS_DIRECTORY;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return WIRE_NO_SPACE;
    case ENAMETOOLONG:
        return WIRE_INVALID_ARGUMENT;
    default:
        return WIRE_IO_ERROR;
    }
}

/* PUT-SHORT, PUT-FRAME: read the upload; compare it with the `file` that came of it, if there is one. Return: what its
 * frames call for. */
static enum wire_code read_upload(struct talk *talk, const struct node *file)
{
    const struct buffer *in = &talk->host->in;
    struct frame_decoder decoder = {0};
    size_t at = talk->upload;
    size_t done = 0;
    size_t consumed;

    talk->complete = false;
    while (done < talk->request.size || decoder.have == LIMIT_FRAME_HEADER) {
        const enum frame_event event = frame_decode(&decoder, in->bytes + at, in->size - at, &consumed);

        if (event == FRAME_MORE || event == FRAME_ERROR)
            return WIRE_OK; /* the host leaves it at that */
        if (event == FRAME_PAYLOAD && file != NULL && decoder.header.type == FRAME_DATA) {
            FUZZ_CHECK(file->content.size >= done + consumed &&
                           memcmp(file->content.bytes + done, in->bytes + at, consumed) == 0,
                       "PUT-OK: the file holds what was sent");
        }
        if (event == FRAME_PAYLOAD)
            done += consumed;
        at += consumed;
        if (event != FRAME_END)
            continue;
        talk->upload = at;
        talk->complete = true;
        if (decoder.header.type != FRAME_DATA)
            return decoder.header.type == FRAME_EOF ? WIRE_SIZE_MISMATCH : WIRE_UNEXPECTED_FRAME;
        if (done > talk->request.size)
            return WIRE_SIZE_MISMATCH;
        talk->complete = false;
        decoder = (struct frame_decoder){0};
    }
    talk->complete = true;
    return WIRE_OK;
}

static bool is_code(const struct talk *talk, enum wire_code code)
{
    return talk->code != NULL && strcmp(talk->code, wire_code_name(code)) == 0;
}

static void judge_put(struct talk *talk)
{
    const struct record *record = talk->record;
    const struct node *file = record->landed >= 0 ? &talk->world->node[record->landed] : NULL;
    const enum wire_code frames = read_upload(talk, talk->ended && talk->code == NULL ? file : NULL);
    const int err = record->err == 0 && frames == WIRE_OK ? record->close_err : record->err;

    FUZZ_CHECK(talk->host->out.size == 0 || (talk->complete && talk->host->taken >= talk->upload),
               "PUT-DRAIN: an answer waits for the upload's end");
    if (!talk->ended)
        return;
    if (talk->code == NULL) {
        FUZZ_CHECK(err == 0 && frames == WIRE_OK && file != NULL, "PUT-OK: nothing failed, and it is there");
        FUZZ_CHECK(file->content.size == talk->request.size, "PUT-OK: it is whole");
        FUZZ_CHECK(file->mode == (mode_t)talk->request.mode, "PUT-OK: it has its mode");
        return;
    }
    FUZZ_CHECK(file == NULL, "PUT-CLEAN: what failed leaves the target untouched");
    if (talk->world->excused_memory && is_code(talk, WIRE_INTERNAL))
        return;
    if (talk->request.error.code != WIRE_OK)
        FUZZ_CHECK(is_code(talk, talk->request.error.code), "PUT-DRAIN: the field is what is wrong");
    else if (err != 0)
        FUZZ_CHECK(is_code(talk, judge_code(err)), "ERR-ERRNO: the failed call's code");
    else
        FUZZ_CHECK(is_code(talk, frames) || is_code(talk, WIRE_IS_DIRECTORY), "the code that the frames call for");
}

static void judge_get(const struct talk *talk)
{
    if (talk->header) {
        const struct node *file = &talk->world->node[talk->record->opened];

        FUZZ_CHECK(!talk->ended || (!talk->record->broken && talk->code == NULL), "GET-BROKEN: a part has no end");
        FUZZ_CHECK(!talk->ended || talk->data == file->content.size + file->zeros, "GET-EXACT: to its end");
    } else if (talk->ended) {
        FUZZ_CHECK(is_code(talk, talk->record->err != 0 ? judge_code(talk->record->err) : WIRE_NOT_REGULAR_FILE),
                   "GET-ERRORS: the failed call's code");
    }
}

static void judge_run(const struct talk *talk)
{
    const int number = talk->record->command;
    const struct command *command;

    if (number < 0) {
        FUZZ_CHECK(talk->streams[0] + talk->streams[1] == 0, "RUN-SPAWN: no command, no output");
        FUZZ_CHECK(!talk->ended || is_code(talk, WIRE_SPAWN_FAILED), "RUN-SPAWN: what did not start");
        return;
    }
    command = &talk->world->command[number];
    FUZZ_CHECK(talk->code == NULL, "RUN-EXIT: a command that started is no error");
    for (unsigned i = 0; i < 2; i++) {
        FUZZ_CHECK(talk->streams[i] <= command->written[i], "RUN-STREAM: nothing that it did not write");
        FUZZ_CHECK(!talk->ended || talk->streams[i] == (command->killed ? command->held : command->written)[i],
                   "RUN-EXIT, RUN-TIMEOUT: all output before the end");
    }
}

static bool is_text(const uint8_t *bytes, size_t size, const char *text)
{
    return size == strlen(text) && memcmp(bytes, text, size) == 0;
}

/* Return: the code of an error reply, in `room`; NULL if it is none. */
static const char *error_code(const uint8_t *bytes, size_t size, char room[32])
{
    static const char start[] = "{\"ok\":false,\"op\":\"error\",\"error\":\"";
    static const char middle[] = "\",\"code\":\"";
    const size_t least = strlen(start) + 1 + strlen(middle) + 3;
    size_t from = size - 2;

    if (size < least || memcmp(bytes, start, strlen(start)) != 0 || memcmp(bytes + size - 2, "\"}", 2) != 0)
        return NULL;
    while (from > strlen(start) && bytes[from - 1] != '"')
        from--;
    FUZZ_CHECK(size - 2 - from < 32 && memcmp(bytes + from - strlen(middle), middle, strlen(middle)) == 0,
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

static void read_control(struct talk *talk, const uint8_t *bytes, size_t size, char room[32])
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

/* Frame by frame, as far as it got. Return: true if the last frame is whole. */
static bool read_response(struct talk *talk, char room[32])
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

/* Return: true if the host sent a whole first frame, of *length bytes. */
static bool has_request(const struct host *host, size_t *length)
{
    const uint8_t *frame = host->in.bytes;

    if (host->in.size < LIMIT_FRAME_HEADER)
        return false;
    *length = (size_t)frame[1] << 24 | (size_t)frame[2] << 16 | (size_t)frame[3] << 8 | frame[4];
    return *length <= LIMIT_FRAME_PAYLOAD && host->in.size - LIMIT_FRAME_HEADER >= *length;
}

/* SRV-CONNS: while one host holds the last memory that there is, the others wait. */
static bool was_crowded_out(const struct world *world, const struct host *host)
{
    size_t length;

    for (unsigned i = 0; i < world->hosts && host->late && world->others > 0; i++)
        if (!has_request(&world->host_at[i], &length))
            return true;
    return false;
}

/* CONV-FIRST. Return: true if there is a whole first frame, judged into talk->request. */
static bool read_request(struct talk *talk, void **room)
{
    const uint8_t *frame = talk->host->in.bytes;
    size_t length;

    if (!has_request(talk->host, &length))
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

/* GET-WAIT */
static bool waits_for_file(const struct talk *talk)
{
    return talk->header && talk->world->node[talk->record->opened].kind == NODE_SILENT;
}

static void judge_answer(struct talk *talk)
{
    const struct host *host = talk->host;
    const bool refused = talk->request.error.code != WIRE_OK && !talk->request.drain;

    if (refused)
        FUZZ_CHECK(!talk->ended || is_code(talk, talk->request.error.code) ||
                       (talk->world->excused_memory && is_code(talk, WIRE_INTERNAL)),
                   "a refused request's code");
    else if (talk->world->excused_memory && is_code(talk, WIRE_INTERNAL))
        return;
    else if (talk->request.op == REQUEST_PUT_FILE)
        judge_put(talk);
    else if (talk->request.op == REQUEST_GET_FILE)
        judge_get(talk);
    else if (talk->request.op == REQUEST_RUN)
        judge_run(talk);
    else
        FUZZ_CHECK(!talk->ended || talk->code == NULL, "PING: a pong");
    if (talk->ended)
        FUZZ_CHECK(host->agent_shut, "CONV-LINGER: the sending side is shut down behind the terminal frame");
    else
        FUZZ_CHECK(host->excused || talk->world->excused_memory || talk->record->broken || !talk->complete ||
                       waits_for_file(talk) || was_crowded_out(talk->world, host),
                   "a whole request of a host that stays is answered");
}

void judge_conversation(const struct world *world, const struct host *host)
{
    struct talk talk = {.world = world, .host = host, .record = &host->record};
    void *room = NULL;
    char code[32];

    if (!host->accepted || host->foreign || !read_request(&talk, &room)) {
        FUZZ_CHECK(host->out.size == 0, "CONV-FIRST, SRV-PEER: no word without a request");
        return;
    }
    FUZZ_CHECK(host->agent_closed, "every conversation is closed");
    FUZZ_CHECK(!host->hasty, "CONV-LINGER: the host is waited for");
    FUZZ_CHECK(read_response(&talk, code) || !talk.ended, "a terminal frame is whole");
    judge_answer(&talk);
    free(room);
}
