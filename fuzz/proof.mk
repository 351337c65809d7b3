# What fuzz targets are worth: how fast they are, and whether they find bugs.

# Speed under ASan and UBSan alone: what an engine adds to watch coverage is not the target's doing. cJSON as it is shipped.
BENCH_CC := $(FUZZ_CC) $(C_FLAGS) $(FUZZ_FLAGS) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_BENCHES := $(FUZZ_TARGETS:%=build/fuzz/bench/%)
$(eval $(call variant,bench,$(BENCH_CC),$(SYSTEM_FUZZ)))
$(eval $(call fuzz-objects,bench,$(BENCH_CC),$(SYSTEM_FUZZ)))

$(FUZZ_BENCHES): build/fuzz/bench/%: build/obj/bench/fuzz/%.o $(patsubst %,build/obj/bench/fuzz/%.o,proof/bench $(FUZZ_SHARED)) \
		$(call objects,bench,$(filter-out agent/guest/main.c,$(AGENT_SOURCES))) build/obj/bench/cJSON.o
	$(Q)echo '  LD    $@'
	$(Q)mkdir -p $(@D)
	$(Q)$(BENCH_CC) $^ $(FUZZ_LIBS_$*) -o $@

build/obj/bench/plain_cjson.o: $(CJSON_DIR)/cJSON.c build/obj/bench/flags
	$(Q)echo '  CC    $< (bench, as it is shipped)'
	$(Q)$(BENCH_CC) -w -c $< -o $@

build/fuzz/bench/cjson: $(patsubst %,build/obj/bench/fuzz/%.o,proof/bench proof/bench_cjson) build/obj/bench/plain_cjson.o
	$(Q)echo '  LD    $@'
	$(Q)mkdir -p $(@D)
	$(Q)$(BENCH_CC) $^ -o $@

fuzz-bench: $(FUZZ_CHOSEN:%=build/fuzz/bench/%) build/fuzz/bench/cjson ## speed of TARGETS="fuzz_frame ..." beside cJSON's parse and print
	$(Q)$(PYTHON) fuzz/proof/bench.py $(FUZZ_CHOSEN)

# Built first as they are, so that a plant compiles only what it breaks.
SELFTEST_ARGS ?=
fuzz-selftest: $(FUZZ_TARGETS:%=build/fuzz/%) $(FUZZ_TARGETS:%=build/fuzz/replay/%) $(VENV) ## planted bugs: does each fall? SELFTEST_ARGS='--jobs 2 5 7'
	$(Q)exec .venv/bin/python fuzz/proof/selftest.py $(SELFTEST_ARGS)

.PHONY: fuzz-bench fuzz-selftest
