# What fuzz targets are run by: replays under three compilers' ideas, campaigns, coverage.
CAMPAIGN := env PYTHONPATH=fuzz .venv/bin/python -m campaign
FUZZ_CHOSEN := $(or $(TARGETS),$(FUZZ_TARGETS))
# $(call shell-word,TEXT): one word of the shell's, whatever is in it
shell-word = '$(subst ','\'',$(1))'
FUZZ_RUN = run --seconds=$(call shell-word,$(FUZZ_SECONDS)) $(if $(JOBS),--jobs=$(call shell-word,$(JOBS))) $(if $(FRESH),--fresh) \
	$(foreach target,$(TARGETS),$(call shell-word,$(target)))
FUZZ_SMOKE_SECONDS ?= 5

# $(call replay,FOLDER,VARIANT,COMPILER AND FLAGS): build/fuzz/FOLDER/TARGET, linked to replay.c from that variant's objects
define replay
build/fuzz/$(1)/%: build/obj/$(2)/fuzz/%.o build/obj/$(2)/fuzz/replay.o $(FUZZ_SHARED:%=build/obj/$(2)/fuzz/%.o) \
		$(call objects,$(2),$(filter-out agent/guest/main.c,$(AGENT_SOURCES))) build/obj/$(2)/cJSON.o
	$(Q)echo '  LD    $$@'
	$(Q)mkdir -p $$(@D)
	$(Q)$(3) $$^ $$(FUZZ_LIBS_$$*) -o $$@
endef

# $(call fuzz-objects,VARIANT,COMPILER AND FLAGS,WHAT MUST BE INSTALLED)
define fuzz-objects
build/obj/$(1)/fuzz/%.o: fuzz/%.c build/obj/$(1)/flags | $(CJSON_DIR)/cJSON.c $(3)
	$(Q)echo '  CC    $$< ($(1))'
	$(Q)mkdir -p $$(@D)
	$(Q)$(2) $$(FUZZ_FLAGS_$$*) -MMD -MP -c $$< -o $$@

-include $(wildcard build/obj/$(1)/*/*.d build/obj/$(1)/*/*/*.d)
endef

PLAIN_CC := gcc $(C_FLAGS) $(FUZZ_FLAGS) -O2 -g
COVERAGE_CC := $(FUZZ_CC) $(C_FLAGS) $(FUZZ_FLAGS) -O1 -g -fprofile-instr-generate -fcoverage-mapping
$(eval $(call variant,plain,$(PLAIN_CC),$(SYSTEM_TEST)))
$(eval $(call fuzz-objects,plain,$(PLAIN_CC),$(SYSTEM_TEST)))
$(eval $(call replay,replay-plain,plain,$(PLAIN_CC)))
$(eval $(call replay,replay-clang,libfuzzer,$(FUZZ_CC) $(FUZZ_CFLAGS)))
$(eval $(call variant,coverage,$(COVERAGE_CC),$(SYSTEM_FUZZ)))
$(eval $(call fuzz-objects,coverage,$(COVERAGE_CC),$(SYSTEM_FUZZ)))
$(eval $(call replay,coverage,coverage,$(COVERAGE_CC)))

FUZZ_REPLAYS := $(foreach folder,replay replay-clang replay-plain,$(FUZZ_TARGETS:%=build/fuzz/$(folder)/%))

# $(call replayed,PROGRAM,RUNNER): a stage, which shows the end of what the program said if it fails
replayed = '$(notdir $(1)) ($(notdir $(patsubst %/,%,$(dir $(1)))))=$(2) timeout 300 $(1) \
	$(wildcard fuzz/corpus/$(notdir $(1)) fuzz/regressions/$(notdir $(1))) 2>$(1).log || { tail -n 40 $(1).log; false; }'

fuzz-replay: $(FUZZ_REPLAYS) ## corpora and regressions, each file four times: gcc and clang with ASan and UBSan, gcc plainly
	$(Q)$(PYTHON) ci/stages $(foreach program,$^,$(call replayed,$(program)))

fuzz-programs: $(FUZZ_REPLAYS) $(FUZZ_TARGETS:%=build/fuzz/%) $(FUZZ_TARGETS:%=build/fuzz/coverage/%)

fuzz-valgrind: $(FUZZ_TARGETS:%=build/fuzz/replay-plain/%) ## corpora and regressions once, plainly built, under valgrind
	$(Q)command -v valgrind >/dev/null || { echo 'no valgrind: apt-get install -y --no-install-recommends valgrind' >&2; exit 1; }
	$(Q)$(PYTHON) ci/stages $(foreach program,$^,$(call replayed,$(program),REPLAY_TIMES=1 PYTHONMALLOC=malloc \
		valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite))

fuzz: $(VENV) $(SYSTEM_FUZZ) ## campaign: FUZZ_SECONDS=60 for each of TARGETS="fuzz_frame ...", JOBS at a time; FRESH=1 from nothing
	$(Q)$(CAMPAIGN) $(FUZZ_RUN) --check
	+$(Q)$(MAKE) $(if $(V),,-s) $(FUZZ_CHOSEN:%=build/fuzz/%) $(FUZZ_CHOSEN:%=build/fuzz/coverage/%)
	$(Q)exec $(CAMPAIGN) $(FUZZ_RUN)

fuzz-smoke: $(FUZZ_TARGETS:%=build/fuzz/%) $(VENV) ## every target for FUZZ_SMOKE_SECONDS=5: does it run, does nothing break
	$(Q)exec $(CAMPAIGN) smoke --seconds '$(FUZZ_SMOKE_SECONDS)'

fuzz-coverage: $(FUZZ_TARGETS:%=build/fuzz/coverage/%) $(VENV) ## what the committed corpora reach: build/fuzz/coverage/html; bars
	$(Q)exec $(CAMPAIGN) coverage

# What fuzz/oss-fuzz/build.sh builds: with its $CC, $CFLAGS, $CXX, $CXXFLAGS and $LIB_FUZZING_ENGINE, and no flags of ours that
# a compiler of another version might not like. Without Python, which the runner's image does not have.
FUZZ_OSS_TARGETS := $(filter-out fuzz_differential,$(FUZZ_TARGETS))
OSS_CC := $(CC) $(CFLAGS) $(filter -std=% -D% -I%,$(C_FLAGS)) -isystem $(CJSON_DIR) $(FUZZ_FLAGS)
$(eval $(call variant,oss,$(OSS_CC),))
$(eval $(call fuzz-objects,oss,$(OSS_CC),))
build/fuzz/oss/%: build/obj/oss/fuzz/%.o $(patsubst %,build/obj/oss/fuzz/%.o,$(FUZZ_SHARED) $(FUZZ_MUTATOR)) build/obj/oss/cJSON.o build/obj/oss/flags \
		$(call objects,oss,$(filter-out agent/guest/main.c,$(AGENT_SOURCES))) FORCE
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(CXXFLAGS) $(filter %.o,$^) $(LIB_FUZZING_ENGINE) $(FUZZ_WRAPS_$*) -o $@
fuzz-oss-names:
	@printf '%s\n' $(FUZZ_OSS_TARGETS)
fuzz-oss-targets: $(FUZZ_OSS_TARGETS:%=build/fuzz/oss/%)
fuzz-oss: $(SYSTEM_FUZZ) $(CJSON_DIR)/cJSON.c ## fuzz/oss-fuzz/build.sh with the variables that OSS-Fuzz sets, and what it builds
	$(Q)fuzz/oss-fuzz/check

.PHONY: fuzz fuzz-programs fuzz-replay fuzz-valgrind fuzz-smoke fuzz-coverage fuzz-oss fuzz-oss-names fuzz-oss-targets
