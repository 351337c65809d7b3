#include "guest/transfer.h"

#include <fcntl.h>

void transfer_open(struct transfer *transfer, const struct sys *sys)
{
    *transfer = (struct transfer){.sys = sys};
    if (sys->pipe(transfer->pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        transfer->pipe[0] = transfer->pipe[1] = -1;
}

void transfer_close_pipe(struct transfer *transfer)
{
    for (int end = 0; end < 2; end++) {
        if (transfer->pipe[end] >= 0)
            transfer->sys->close(transfer->pipe[end]);
        transfer->pipe[end] = -1;
    }
}
