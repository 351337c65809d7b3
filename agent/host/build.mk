# The host's tools, one program: built as the agent is, static by zig for $(ARCH) and once under ASan and UBSan.
GUESTWIRE_SOURCES := $(sort $(wildcard agent/host/*.c)) $(addprefix agent/,guest/argument.c guest/log.c guest/number.c guest/relro.c \
	guest/signals.c guest/start.c) $(sort $(wildcard agent/wire/*.c))
GUESTWIRE := build/$(if $(filter $(HOST_ARCH),$(ARCH)),,$(ARCH)/)guestwire
ASAN_GUESTWIRE := build/asan/guestwire
GUESTWIRE_SIZE_MAX ?= 163840

GUESTWIRE_OBJECTS := $(call objects,$(ARCH),$(GUESTWIRE_SOURCES)) build/obj/$(ARCH)/cJSON.o
ASAN_GUESTWIRE_OBJECTS := $(call objects,asan,$(GUESTWIRE_SOURCES)) build/obj/asan/cJSON.o

$(GUESTWIRE): $(GUESTWIRE_OBJECTS) ci/check-binary
	$(Q)echo '  LD    $@'
	$(Q)mkdir -p $(@D)
	$(Q)$(STATIC_CC) $(STATIC_CFLAGS) $(STATIC_LDFLAGS) -s $(GUESTWIRE_OBJECTS) -o $@.new
	$(Q)$(PYTHON) ci/check-binary --max-size $(GUESTWIRE_SIZE_MAX) $@.new $(ARCH)
	$(Q)mv $@.new $@

$(ASAN_GUESTWIRE): $(ASAN_GUESTWIRE_OBJECTS)
	$(Q)echo '  LD    $@'
	$(Q)mkdir -p $(@D)
	$(Q)$(ASAN_CC) $(ASAN_CFLAGS) $^ -o $@

# As agent.a: everything but main(), for the unit tests.
build/obj/asan/host.a: $(filter build/obj/asan/host/%,$(filter-out %/main.o,$(ASAN_GUESTWIRE_OBJECTS)))
	$(Q)rm -f $@
	$(Q)ar rcs $@ $^
