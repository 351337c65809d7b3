# Allocation failure (fuzz/oom/): the agent, and the targets of what it parses with, linked so that any allocation can be made to
# fail. What the targets themselves allocate stays as it is.
OOM_WRAPPED := malloc calloc realloc strdup mmap mremap pthread_create clone arena_take
OOM_WRAP := $(OOM_WRAPPED:%=-Wl,--wrap=%)
OOM_CC := $(ASAN_CC) $(ASAN_CFLAGS) $(FUZZ_FLAGS) $(foreach name,malloc calloc realloc strdup,-D$(name)=__real_$(name))
OOM_SECONDS ?=
OOM_TARGETS := fuzz_json fuzz_request # what the others judge takes no memory
OOM_SWEEPS := $(OOM_TARGETS:%=build/oom/%)
OOM_AGENTS := build/oom/smolvm-guest-agent build/oom/plain/smolvm-guest-agent

$(eval $(call variant,oom,$(OOM_CC),$(SYSTEM_TEST)))
$(eval $(call fuzz-objects,oom,$(OOM_CC),$(SYSTEM_TEST)))

$(OOM_SWEEPS): build/oom/%: build/obj/oom/fuzz/%.o $(patsubst %,build/obj/oom/fuzz/%.o,$(FUZZ_SHARED) oom/sweep oom/fail) \
		build/obj/asan/agent.a
	$(Q)echo '  LD    $@'
	$(Q)mkdir -p $(@D)
	$(Q)$(ASAN_CC) $(ASAN_CFLAGS) $^ $(OOM_WRAP) -o $@

build/oom/smolvm-guest-agent: $(ASAN_OBJECTS) build/obj/oom/fuzz/oom/fail.o
	$(Q)echo '  LD    $@'
	$(Q)mkdir -p $(@D)
	$(Q)$(ASAN_CC) $(ASAN_CFLAGS) $^ $(OOM_WRAP) -o $@

# As it takes memory when it is shipped: from mmap().
build/oom/plain/smolvm-guest-agent: $(call objects,plain,$(AGENT_SOURCES)) build/obj/plain/cJSON.o build/obj/plain/fuzz/oom/fail.o
	$(Q)echo '  LD    $@'
	$(Q)mkdir -p $(@D)
	$(Q)$(PLAIN_CC) $^ $(OOM_WRAP) -pthread -o $@

fuzz-oom: $(OOM_SWEEPS) $(OOM_AGENTS) $(VENV) ## the N-th allocation fails, N = 1, 2, ...: corpora and cases; OOM_SECONDS=60 for a part
	$(Q)$(PYTHON) ci/stages --together 'agents=.venv/bin/python fuzz/oom/cases.py --seconds "$(or $(OOM_SECONDS),0)" $(OOM_AGENTS)' \
		$(foreach target,$(OOM_TARGETS),'$(target)=OOM_SECONDS=$(OOM_SECONDS) build/oom/$(target) \
		$(wildcard fuzz/corpus/$(target) fuzz/regressions/$(target)) 2>build/oom/$(target).log || \
		{ tail -n 40 build/oom/$(target).log; false; }')

.PHONY: fuzz-oom
