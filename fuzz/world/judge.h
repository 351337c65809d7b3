/* What a host may be told, said from the contract: the other side of fuzz_session. */
#ifndef FUZZ_JUDGE_H
#define FUZZ_JUDGE_H

#include "wire/error.h"
#include "world.h"

/* A conversation is over: everything the host got is what its request, what it sent after that and the calls that
 * failed call for. Dies if not. */
void judge_conversation(const struct world *world, const struct host *host);

/* Return: the code that ERR-ERRNO has for a failed call on a file. */
enum wire_code judge_code(int err);

#endif
