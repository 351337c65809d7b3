# The measuring tools: optimised, for this machine, without sanitizers. `empty` is built like the agent: it is its floor.
BENCH_TOOLS := build/bench/load build/bench/floor build/bench/relay build/bench/empty

build/bench/%: conformance/bench/%.c conformance/bench/common.c conformance/bench/common.h | $(SYSTEM_TEST)
	$(Q)echo '  CC    $@'
	$(Q)mkdir -p $(@D)
	$(Q)cc -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra $(filter %.c,$^) -o $@

build/bench/empty: conformance/bench/empty.c | $(VENV)
	$(Q)echo '  CC    $@'
	$(Q)mkdir -p $(@D)
	$(Q)$(STATIC_CC) -Os -fPIE -static -pie -s $< -o $@
