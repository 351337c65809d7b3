/* The subcommands: one table entry in main.c each. */
#ifndef HOST_COMMAND_H
#define HOST_COMMAND_H

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* argv[0] is the subcommand's name. Return: the exit status. */
int bridge_main(int argc, char **argv);
int ready_main(int argc, char **argv);

#endif
