# Fuzz targets (fuzz/fuzz_*.c): linked to replay.c by gcc under ASan and UBSan, which `make test` runs over the committed corpus
# and regressions; and to libFuzzer by clang.
FUZZ_TARGETS := $(patsubst fuzz/%.c,%,$(sort $(wildcard fuzz/fuzz_*.c)))
FUZZ_SHARED := encode tree
FUZZ_MUTATOR := $(filter-out mutate/test_mutate,$(patsubst fuzz/%.c,%,$(sort $(wildcard fuzz/mutate/*.c))))
FUZZ_FLAGS := -Ifuzz

# These embed Python, the one that the oracle is judged with.
FUZZ_FLAGS_oracle = $(shell $(ORACLE_PYTHON)-config --includes) -DFUZZ_FOLDER='"$(CURDIR)/fuzz"' \
	-DFUZZ_PYTHON='"$(ORACLE_PYTHON)"'
FUZZ_FLAGS_oracle_place = $(FUZZ_FLAGS_oracle)
FUZZ_LIBS_fuzz_differential = $(shell $(ORACLE_PYTHON)-config --embed --ldflags)
FUZZ_LIBS_fuzz_path = $(FUZZ_WRAPS_fuzz_path) $(FUZZ_LIBS_fuzz_differential)
# $(call embed,FOLDER,OBJECTS): programs below build/fuzz and where their objects are, below build/obj
define embed
build/fuzz/$(1)fuzz_differential build/fuzz/$(1)fuzz_path: build/obj/$(2)/oracle.o
build/fuzz/$(1)fuzz_path: build/obj/$(2)/oracle_place.o
endef
$(eval $(call embed,,libfuzzer/fuzz))
$(eval $(call embed,replay/,fuzz))
$(eval $(call embed,replay-plain/,plain/fuzz))
$(eval $(call embed,replay-clang/,libfuzzer/fuzz))
$(eval $(call embed,coverage/,coverage/fuzz))
$(eval $(call embed,bench/,bench/fuzz))

# The guest in memory, for the targets that need one. Its memory_map() may fail, and counts.
FUZZ_WORLD_TARGETS := fuzz_path fuzz_session
FUZZ_WORLD := $(patsubst fuzz/%.c,%,$(sort $(wildcard fuzz/world/*.c)))
FUZZ_WRAPS_fuzz_path := -Wl,--wrap=memory_map,--wrap=memory_resize,--wrap=memory_unmap
FUZZ_WRAPS_fuzz_session := $(FUZZ_WRAPS_fuzz_path)
FUZZ_LIBS_fuzz_session := $(FUZZ_WRAPS_fuzz_session)
# $(call world,FOLDERS,OBJECTS): programs below build/fuzz and where their objects are, below build/obj
world = $(foreach folder,$(1),$(FUZZ_WORLD_TARGETS:%=build/fuzz/$(folder)%)): $(FUZZ_WORLD:%=build/obj/$(2)/%.o)
$(eval $(call world,replay/,fuzz))
$(eval $(call world,replay-plain/,plain/fuzz))
$(eval $(call world,coverage/,coverage/fuzz))
$(eval $(call world,bench/,bench/fuzz))
$(eval $(call world,replay-clang/,libfuzzer/fuzz))
$(FUZZ_WORLD_TARGETS:%=build/fuzz/%): $(FUZZ_WORLD:%=build/obj/libfuzzer/fuzz/%.o)
# What the guest does tells the engine nothing about the agent; what an input says does. Half of the time, and of the corpus.
FUZZ_UNWATCHED := $(filter-out world/place world/command world/script,$(FUZZ_WORLD))
$(FUZZ_UNWATCHED:%=build/obj/libfuzzer/fuzz/%.o): private FUZZ_CFLAGS += -fno-sanitize=fuzzer-no-link
$(eval $(call world,oss/,oss/fuzz))

build/obj/fuzz/%.o: fuzz/%.c build/obj/asan/flags | $(CJSON_DIR)/cJSON.c $(SYSTEM_TEST)
	$(Q)echo '  CC    $< (fuzz)'
	$(Q)mkdir -p $(@D)
	$(Q)$(ASAN_CC) $(ASAN_CFLAGS) $(FUZZ_FLAGS) $(FUZZ_FLAGS_$*) -MMD -MP -c $< -o $@

build/fuzz/replay/%: build/obj/fuzz/%.o build/obj/fuzz/replay.o $(FUZZ_SHARED:%=build/obj/fuzz/%.o) build/obj/asan/agent.a
	$(Q)echo '  LD    $@'
	$(Q)mkdir -p $(@D)
	$(Q)$(ASAN_CC) $(ASAN_CFLAGS) $(filter %.o,$^) $(filter %.a,$^) $(FUZZ_LIBS_$*) -o $@

# The mutator, judged with the agent's unit tests.
UNIT_PROGRAMS += build/unit/test_mutate
build/unit/test_mutate: $(patsubst %,build/obj/fuzz/%.o,mutate/test_mutate $(filter-out mutate/mutate,$(FUZZ_MUTATOR))) build/obj/asan/agent.a
	$(Q)echo '  LD    $@'
	$(Q)mkdir -p $(@D)
	$(Q)$(ASAN_CC) $(ASAN_CFLAGS) $^ -lcmocka -o $@

-include $(wildcard build/obj/fuzz/*.d build/obj/fuzz/*/*.d)

# Knobs of a campaign.
FUZZ_SECONDS ?= 60
TARGETS ?= $(FUZZ_TARGETS)
FUZZ_CC ?= clang
FUZZ_CFLAGS := $(C_FLAGS) $(FUZZ_FLAGS) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link \
	-fno-sanitize-recover=all
FUZZ_OBJECTS := $(patsubst agent/%.c,build/obj/libfuzzer/%.o,$(filter-out agent/guest/main.c,$(AGENT_SOURCES))) \
	$(patsubst %,build/obj/libfuzzer/fuzz/%.o,$(FUZZ_SHARED) $(FUZZ_MUTATOR)) build/obj/libfuzzer/cJSON.o

build/obj/libfuzzer/fuzz/%.o: fuzz/%.c build/obj/libfuzzer/flags | $(CJSON_DIR)/cJSON.c $(SYSTEM_FUZZ)
	$(Q)echo '  CC    $< (libfuzzer)'
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) $(FUZZ_FLAGS_$*) -MMD -MP -c $< -o $@

$(eval $(call variant,libfuzzer,$(FUZZ_CC) $(FUZZ_CFLAGS),$(SYSTEM_FUZZ)))

build/fuzz/%: build/obj/libfuzzer/fuzz/%.o $(FUZZ_OBJECTS)
	$(Q)echo '  LD    $@'
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer $^ $(FUZZ_LIBS_$*) -o $@

-include $(wildcard build/obj/libfuzzer/*/*.d build/obj/libfuzzer/*/*/*.d)

seeds: $(TARGETS:%=build/fuzz/%) $(VENV) ## conformance cases and what fuzzing has found into fuzz/corpus/, minimised
	$(Q)rm -rf build/fuzz/seeds build/fuzz/merged
	$(Q).venv/bin/python fuzz/seeds.py build/fuzz/seeds
	$(Q)for target in $(TARGETS); do \
		mkdir -p build/fuzz/merged/$$target build/fuzz/corpus/$$target fuzz/corpus/$$target && \
		build/fuzz/$$target -merge=1 -artifact_prefix=build/fuzz/merged/broke-$$target- build/fuzz/merged/$$target fuzz/corpus/$$target build/fuzz/seeds/$$target \
			build/fuzz/corpus/$$target 2>build/fuzz/merged/$$target.log && \
		{ ! ls build/fuzz/merged/broke-$$target-* 2>/dev/null || { echo "seeds: these break $$target" >&2; false; }; } && \
		rm -rf fuzz/corpus/$$target && mv build/fuzz/merged/$$target fuzz/corpus/$$target || exit 1; \
		if [ -d build/fuzz/seeds/kept/$$target ]; then cp build/fuzz/seeds/kept/$$target/* fuzz/corpus/$$target/; fi; done
	$(Q)for target in $(TARGETS); do echo "$$target: $$(ls fuzz/corpus/$$target | wc -l) files"; done
	$(Q)$(ORACLE_PYTHON) fuzz/cases.py

.PHONY: seeds
