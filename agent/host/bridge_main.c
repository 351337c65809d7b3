#include <stddef.h>

#include "host/command.h"
#include "host/say.h"

int bridge_main(int argc, char **argv)
{
    (void)argc;
    say(argv[0], "not built yet", NULL);
    return EXIT_FAILED;
}
