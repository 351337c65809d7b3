# The agent's three builds from the same sources: static musl by zig for $(ARCH), and ASan+UBSan against glibc.
ifeq ($(filter $(ARCH),aarch64 x86_64),)
$(error ARCH=$(ARCH): aarch64 or x86_64)
endif

AGENT_SOURCES := $(sort $(wildcard agent/wire/*.c agent/guest/*.c))
AGENT_VERSION := $(shell cat VERSION)
AGENT_BUILD ?= # behind it, where the commit is known
ZIG_VERSION := $(shell sed -n 's/.*"ziglang==\([0-9.]*\)".*/\1/p' pyproject.toml)
AGENT_BINARY := build/$(if $(filter $(HOST_ARCH),$(ARCH)),,$(ARCH)/)smolvm-guest-agent
AGENT_SIZE_MAX ?= 81920
export ZIG_GLOBAL_CACHE_DIR := $(CURDIR)/.cache/zig
export ZIG_LOCAL_CACHE_DIR := $(CURDIR)/.cache/zig

C_ERRORS := array-bounds empty-body format format-security implicit-function-declaration implicit-int \
	incompatible-pointer-types init-self int-conversion missing-prototypes nonnull parentheses pointer-arith \
	return-type sequence-point shadow shift-count-overflow sizeof-pointer-memaccess strict-prototypes switch undef \
	uninitialized unused-result vla write-strings
C_FLAGS := -std=gnu11 -D_GNU_SOURCE= -DAGENT_VERSION='"$(AGENT_VERSION)"' -Iagent -isystem $(CJSON_DIR) \
	-Wall -Wextra -Wformat=2 $(addprefix -Werror=,$(C_ERRORS))

# Code pages are memory too, so size is what counts. Measured: link-time optimisation saves 6 KiB, -Oz 3 (zig takes -Oz for
# -Os unless clang is told), no frame pointer 1. Not worth it: zeroed automatic variables cost 1 KiB and touch stack that
# would never be used; musl has no shadow stack, so -fcf-protection would only be bytes.
STATIC_CC := .venv/bin/python -m ziglang cc -target $(ARCH)-linux-musl
STATIC_CFLAGS := $(C_FLAGS) -g -fdebug-compilation-dir=. -Werror=date-time -Os -Xclang -Oz -flto -ffunction-sections -fdata-sections -fomit-frame-pointer \
	-fno-unwind-tables -fno-asynchronous-unwind-tables -fPIE -fstack-protector-strong \
	$(if $(filter aarch64,$(ARCH)),-mbranch-protection=standard)
# cJSON reads numbers by wire/decimal.h and takes memory by wire/arena.h.
CJSON_FLAGS := -w -Dstrtod=decimal_strtod -Dmalloc=arena_take -Dfree=arena_ignore -Drealloc=arena_refuse
STATIC_LDFLAGS := -static -pie -Wl,--gc-sections,--hash-style=gnu,-z,relro,-z,now,-z,noexecstack
ASAN_CFLAGS := $(C_FLAGS) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all

# $(call objects,VARIANT,SOURCES)
objects = $(patsubst agent/%.c,build/obj/$(1)/%.o,$(2))
STATIC_OBJECTS := $(call objects,$(ARCH),$(AGENT_SOURCES)) build/obj/$(ARCH)/cJSON.o
ASAN_OBJECTS := $(call objects,asan,$(AGENT_SOURCES)) build/obj/asan/cJSON.o
UNIT_PROGRAMS := $(patsubst agent/tests/%.c,build/unit/%,$(sort $(wildcard agent/tests/test_*.c)))

# $(call variant,NAME,COMPILER AND FLAGS,WHAT MUST BE INSTALLED): an object depends on its flags, so that a changed knob counts.
define variant
build/obj/$(1)/%.o: agent/%.c build/obj/$(1)/flags | $(CJSON_DIR)/cJSON.c $(3)
	$(Q)echo '  CC    $$< ($(1))'
	$(Q)mkdir -p $$(@D)
	$(Q)$(2) $$(EXTRA) -MMD -MP -c $$< -o $$@

build/obj/$(1)/wire/version.o: EXTRA = -DAGENT_BUILD='"$(AGENT_BUILD)"'
build/obj/$(1)/wire/version.o: build/obj/build

build/obj/$(1)/cJSON.o: $(CJSON_DIR)/cJSON.c build/obj/$(1)/flags | $(3)
	$(Q)echo '  CC    $$< ($(1))'
	$(Q)$(2) $(CJSON_FLAGS) -MMD -MP -c $$< -o $$@

build/obj/$(1)/flags: NOW = $(2) $(CJSON_FLAGS) zig-$(ZIG_VERSION)
build/obj/$(1)/flags: FORCE
	@mkdir -p $$(@D)
	@echo $$(call quote,$$(NOW)) | cmp -s - $$@ || echo $$(call quote,$$(NOW)) >$$@
endef
build/obj/build: NOW = $(AGENT_BUILD)
build/obj/build: FORCE
	@mkdir -p $(@D)
	@echo $(call quote,$(NOW)) | cmp -s - $@ || echo $(call quote,$(NOW)) >$@

quote = '$(subst ','\'',$(1))'

$(eval $(call variant,$(ARCH),$(STATIC_CC) $(STATIC_CFLAGS),$(VENV)))
$(eval $(call variant,asan,$(ASAN_CC) $(ASAN_CFLAGS),$(SYSTEM_TEST)))

# A binary that does not hold what it promises never gets its name.
$(AGENT_BINARY): $(STATIC_OBJECTS) ci/check-binary
	$(Q)echo '  LD    $@'
	$(Q)mkdir -p $(@D)
	$(Q)$(STATIC_CC) $(STATIC_CFLAGS) $(STATIC_LDFLAGS) -s $(STATIC_OBJECTS) -o $@.new
	$(Q)$(PYTHON) ci/check-binary --max-size $(AGENT_SIZE_MAX) $@.new $(ARCH)
	$(Q)mv $@.new $@

# The same with its symbols, for a debugger.
$(AGENT_BINARY).debug: $(STATIC_OBJECTS)
	$(Q)echo '  LD    $@'
	$(Q)mkdir -p $(@D)
	$(Q)$(STATIC_CC) $(STATIC_CFLAGS) $(STATIC_LDFLAGS) $^ -o $@

$(ASAN_AGENT): $(ASAN_OBJECTS)
	$(Q)echo '  LD    $@'
	$(Q)mkdir -p $(@D)
	$(Q)$(ASAN_CC) $(ASAN_CFLAGS) $^ -o $@

# Everything but main(), for the tests to take from what they use.
build/obj/asan/agent.a: $(filter-out %/main.o,$(ASAN_OBJECTS))
	$(Q)rm -f $@
	$(Q)ar rcs $@ $^

include agent/host/build.mk

build/unit/%: build/obj/asan/tests/%.o build/obj/asan/host.a build/obj/asan/agent.a
	$(Q)echo '  LD    $@'
	$(Q)mkdir -p $(@D)
	$(Q)$(ASAN_CC) $(ASAN_CFLAGS) $^ -lcmocka -o $@

-include $(wildcard build/obj/$(ARCH)/*/*.d build/obj/asan/*/*.d)
.SECONDARY:
FORCE:
.PHONY: FORCE
