# The targets under AFL++ (afl++ of Debian), from the same entry points: -fsanitize=fuzzer links its driver.
SYSTEM_AFL := .cache/packages.afl
AFL_CC := AFL_QUIET=1 afl-clang-fast $(C_FLAGS) $(FUZZ_FLAGS) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all
$(eval $(call variant,afl,$(AFL_CC),$(SYSTEM_FUZZ) $(SYSTEM_AFL)))
$(eval $(call fuzz-objects,afl,$(AFL_CC),$(SYSTEM_FUZZ) $(SYSTEM_AFL)))
$(eval $(call world,afl/,afl/fuzz))
$(eval $(call embed,afl/,afl/fuzz))

build/fuzz/afl/%: build/obj/afl/fuzz/%.o $(FUZZ_SHARED:%=build/obj/afl/fuzz/%.o) build/obj/afl/cJSON.o \
		$(call objects,afl,$(filter-out agent/guest/main.c,$(AGENT_SOURCES)))
	$(Q)echo '  LD    $@'
	$(Q)mkdir -p $(@D)
	$(Q)$(AFL_CC) -fsanitize=fuzzer $^ $(FUZZ_LIBS_$*) -o $@

fuzz-afl: $(VENV) $(SYSTEM_FUZZ) $(SYSTEM_AFL) ## AFL++: FUZZ_SECONDS=60 for each of TARGETS="fuzz_frame ...", JOBS at a time
	$(Q)$(CAMPAIGN) $(FUZZ_RUN:run%=afl%) --check
	+$(Q)$(MAKE) $(if $(V),,-s) $(FUZZ_CHOSEN:%=build/fuzz/afl/%)
	$(Q)exec $(CAMPAIGN) $(FUZZ_RUN:run%=afl%)

.PHONY: fuzz-afl
