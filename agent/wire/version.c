#include "wire/version.h"

#ifndef AGENT_BUILD
#define AGENT_BUILD ""
#endif

const char agent_version[] = AGENT_VERSION AGENT_BUILD;
