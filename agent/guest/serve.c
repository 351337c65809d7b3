#include "guest/serve.h"

#include "guest/get_file.h"
#include "guest/put_file.h"
#include "guest/run.h"

enum ending serve_request(const struct stream *stream, const struct request *request, const struct origin *origin,
                          struct log *log)
{
    enum ending ending = ENDING_BROKEN;
    const char *operation = "";

    switch (request->op) {
    case REQUEST_RUN:
        operation = "run: ";
        ending = run_serve(stream, request, origin);
        break;
    case REQUEST_PUT_FILE:
        operation = "put_file: ";
        ending = put_file_serve(stream, request);
        break;
    case REQUEST_GET_FILE:
        operation = "get_file: ";
        ending = get_file_serve(stream, request);
        break;
    case REQUEST_PING: /* the desk's */
    case REQUEST_NONE:
        break;
    }
    if (ending == ENDING_OK)
        stream->sys->shutdown(stream->fd, SHUT_WR);
    log_event(log, operation, ending_text(ending), NULL);
    return ending;
}
