#include "host/probe_notice.h"

#include <string.h>

#define LINE "READY=1"

bool notice_end(struct notice *notice)
{
    notice->ready = notice->ready || (!notice->differs && notice->column == strlen(LINE));
    notice->differs = false;
    notice->column = 0;
    return notice->ready;
}

bool notice_take(struct notice *notice, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n')
            notice_end(notice);
        else if (notice->column < strlen(LINE) && bytes[i] == LINE[notice->column])
            notice->column++;
        else
            notice->differs = true;
    }
    return notice->ready;
}
