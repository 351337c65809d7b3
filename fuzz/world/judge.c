#include "judge.h"

#include <errno.h>

#include "place.h"
#include "talk.h"
#include "wire/frame.h"

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

/* PUT-DIR. Whatever uploads do meanwhile: none makes a directory, or takes one away. */
static bool leads_to_directory(const struct request *request)
{
    char name[PLACE_LONGEST + 1];

    snprintf(name, sizeof name, "%s", request->name != NULL ? request->name : "");
    return place_of(world(), request->path, name).reason == EISDIR;
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
    else if (strlen(talk->request.path) > PLACE_LONGEST)
        FUZZ_CHECK(is_code(talk, frames) || is_code(talk, WIRE_IS_DIRECTORY), "the code that the frames call for");
    else if (leads_to_directory(&talk->request))
        FUZZ_CHECK(is_code(talk, WIRE_IS_DIRECTORY), "PUT-DIR: no name in the directory");
    else
        FUZZ_CHECK(is_code(talk, frames), "the code that the frames call for");
}

/* What was asked for was looked at, and is no regular file. */
static bool is_no_file(const struct talk *talk)
{
    const int node = talk->record->looked_at;

    return node >= 0 && talk->world->node[node].kind != NODE_FILE && talk->world->node[node].kind != NODE_SILENT;
}

static void judge_get(const struct talk *talk)
{
    if (talk->header) {
        const struct node *file = &talk->world->node[talk->record->opened];

        FUZZ_CHECK(!talk->ended || (!talk->record->broken && talk->code == NULL), "GET-BROKEN: a part has no end");
        FUZZ_CHECK(!talk->ended || talk->data == file->content.size + file->zeros, "GET-EXACT: to its end");
    } else if (talk->ended) {
        FUZZ_CHECK(talk->record->err != 0 || is_no_file(talk), "GET-ERRORS: a regular file is served");
        FUZZ_CHECK(is_code(talk, talk->record->err != 0 ? judge_code(talk->record->err) : WIRE_NOT_REGULAR_FILE),
                   "GET-ERRORS: the failed call's code");
    }
}

/* RUN-TIMEOUT, to the nanosecond. Where the script lets time pass, the agent may see the end and the deadline at once.
 */
static void judge_timeout(const struct talk *talk, const struct command *command)
{
    const double limit = talk->request.timeout * (double)CLOCK_SECOND;

    if (command->killed)
        FUZZ_CHECK(limit > 0 && (double)(command->killed_at - command->spawned_at) + 1 >= limit,
                   "RUN-TIMEOUT: nothing is killed before its time");
    else if (limit > 0 && talk->world->lost == 0)
        FUZZ_CHECK((double)(command->exited_at - command->spawned_at) <= limit + (double)CLOCK_SECOND,
                   "RUN-TIMEOUT: what goes on longer is killed");
}

static void judge_run(const struct talk *talk)
{
    const int number = talk->record->command;
    const struct command *command;

    if (number < 0) {
        FUZZ_CHECK(talk->streams[0] + talk->streams[1] == 0, "RUN-SPAWN: no command, no output");
        FUZZ_CHECK(!talk->ended || is_code(talk, WIRE_SPAWN_FAILED), "RUN-SPAWN: what did not start");
        FUZZ_CHECK(!talk->ended || talk->record->unstarted || talk->world->excused_memory,
                   "RUN-SPAWN: nothing was in its way");
        return;
    }
    command = &talk->world->command[number];
    FUZZ_CHECK(talk->code == NULL, "RUN-EXIT: a command that started is no error");
    if (talk->ended)
        judge_timeout(talk, command);
    for (unsigned i = 0; i < 2; i++) {
        FUZZ_CHECK(talk->streams[i] <= command->written[i], "RUN-STREAM: nothing that it did not write");
        FUZZ_CHECK(!talk->ended || talk->streams[i] == (command->killed ? command->held : command->written)[i],
                   "RUN-EXIT, RUN-TIMEOUT: all output before the end");
    }
}

/* SRV-CONNS: while one host holds the last memory that there is, the others wait. */
static bool was_crowded_out(const struct world *world, const struct host *host)
{
    size_t length;

    for (unsigned i = 0; i < world->hosts && host->late && world->others > 0; i++)
        if (!talk_has_request(&world->host_at[i], &length))
            return true;
    return false;
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
    char code[TALK_CODE];

    if (!host->accepted || host->foreign || !talk_read_request(&talk, &room)) {
        FUZZ_CHECK(host->out.size == 0, "CONV-FIRST, SRV-PEER: no word without a request");
        return;
    }
    FUZZ_CHECK(host->agent_closed, "every conversation is closed");
    FUZZ_CHECK(!host->hasty, "CONV-LINGER: the host is waited for");
    FUZZ_CHECK(talk_read(&talk, code) || !talk.ended, "a terminal frame is whole");
    judge_answer(&talk);
    free(room);
}
