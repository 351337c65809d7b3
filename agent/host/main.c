/* guestwire: the host's tools. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "host/command.h"
#include "host/say.h"
#include "wire/text.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"bridge", bridge_main, "listen on a socket, and connect each client to a guest"},
    {"ready", ready_main, "wait until a service answers end to end"},
};
#define COMMAND_COUNT (sizeof commands / sizeof *commands)

static int help(void)
{
    char shown[1024];
    struct text text = text_in(shown, sizeof shown);

    text_add(&text, "usage: guestwire COMMAND [OPTIONS]\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        text_add(&text, "  ");
        text_add(&text, commands[i].name);
        text_add_bytes(&text, "            ", 12 - strlen(commands[i].name));
        text_add(&text, commands[i].summary);
        text_add(&text, "\n");
    }
    text_add(&text, "  --version, --help\n`guestwire COMMAND --help` lists a command's options.\n");
    return say_out(shown);
}

static int complain(const char *word)
{
    char names[256];
    struct text text = text_in(names, sizeof names);

    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        text_add(&text, commands[i].name);
        text_add(&text, ", ");
    }
    if (word == NULL)
        say(NULL, "command missing; accepted: ", names, "--version, --help", NULL);
    else
        say(NULL, "unknown command '", word, "'; accepted: ", names, "--version, --help", NULL);
    return EXIT_USAGE;
}

static int run(int argc, char **argv)
{
    if (argc < 2)
        return complain(NULL);
    if (strcmp(argv[1], "--help") == 0)
        return help();
    if (strcmp(argv[1], "--version") == 0)
        return say_version();
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return complain(argv[1]);
}

int main(int argc, char **argv)
{
    exit(run(argc, argv)); /* not return: the thread of a look-up may still be at it */
}
