/* What this program says it is. */
#ifndef WIRE_VERSION_H
#define WIRE_VERSION_H

/* VERSION, and in a build of a known commit `+gCOMMIT` behind it (SemVer's build metadata): see ci/release. */
extern const char agent_version[];

#endif
