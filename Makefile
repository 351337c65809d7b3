# Knobs: on the command line or in the environment.
V ?=
PYTHON ?= python3
ASAN_CC ?= gcc
ARCH ?= $(HOST_ARCH)
CJSON_DIR ?= .cache/cjson
CONFORM_ARGS ?=
MUTANTS_ARGS ?=
DIST ?= dist

HOST_ARCH := $(shell uname -m)
Q := $(if $(V),,@)
VENV := .venv/.stamp
AGENT := build/smolvm-guest-agent
ASAN_AGENT := build/asan/smolvm-guest-agent
# The oracle is judged from its bytecode: compiling its source costs 22 of the 34 ms of each of some thousand starts.
ORACLE_PYTHON := /usr/bin/python3
ORACLE := build/oracle/agent.pyc
ORACLES := $(ORACLE) build/oracle/bridge.pyc build/oracle/ready.pyc
ORACLE_RUN := exec:$(ORACLE_PYTHON) -I -S $(CURDIR)/$(ORACLE)
BRIDGE := exec:build/guestwire bridge
ORACLE_BRIDGE := exec:$(ORACLE_PYTHON) -I -S $(CURDIR)/build/oracle/bridge.pyc
GATE := exec:build/guestwire ready
ORACLE_GATE := exec:$(ORACLE_PYTHON) -I -S $(CURDIR)/build/oracle/ready.pyc
JUDGE := .venv/bin/conform run --strict --report-dir=build/report
export PYTHON CJSON_DIR
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

include ci/setup.mk
include agent/build.mk
include agent/install.mk
include ci/release.mk
include fuzz/fuzz.mk
include fuzz/campaign.mk
include fuzz/proof.mk
include fuzz/oom.mk
include fuzz/afl.mk
include conformance/bench/bench.mk
include conformance/examples/examples.mk

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile agent/*.mk ci/*.mk fuzz/*.mk

agent: $(AGENT_BINARY) ## build/smolvm-guest-agent; ARCH=aarch64|x86_64 for another machine: build/ARCH/

agent-asan: $(ASAN_AGENT) ## build/asan/smolvm-guest-agent: the same sources under ASan and UBSan

guestwire: $(GUESTWIRE) ## build/guestwire: the host's tools, bridge and ready

guestwire-asan: $(ASAN_GUESTWIRE) ## build/asan/guestwire: the same under ASan and UBSan

ifneq ($(GUESTWIRE),build/guestwire)
build/guestwire: FORCE # the host's
	+$(Q)$(MAKE) $(if $(V),,-s) guestwire ARCH=$(HOST_ARCH)
endif

$(ORACLES): build/oracle/%.pyc: oracle/%.py | $(SYSTEM_PYTHON)
	$(Q)mkdir -p $(@D)
	$(Q)$(ORACLE_PYTHON) -c 'import py_compile; py_compile.compile("$<", "$@", doraise=True)'

example: $(EXAMPLE) ## build/example/guest-agent-go, from conformance/examples/go

conformance: $(AGENT) $(GUESTWIRE) $(ORACLES) $(VENV) ## judge agent, bridge, gate and their oracles by their contracts
	$(Q)$(PYTHON) ci/stages \
		'agent=$(JUDGE)/conformance --alike --through "$(BRIDGE)" exec:$(AGENT) "$(ORACLE_RUN)" $(CONFORM_ARGS)' \
		'bridge=$(JUDGE)/bridge --contract bridge "$(BRIDGE)" "$(ORACLE_BRIDGE)" $(CONFORM_ARGS)' \
		'ready=$(JUDGE)/ready --contract ready "$(GATE)" "$(ORACLE_GATE)" $(CONFORM_ARGS)'

test: $(AGENT) $(ASAN_AGENT) $(GUESTWIRE) $(ASAN_GUESTWIRE) $(ORACLES) $(VENV) $(UNIT_PROGRAMS) $(FUZZ_REPLAYS) $(BENCH_TOOLS) ## unit tests, fuzz corpora, the harness's own, conformance of agent, ASan agent and oracle, interleaved hosts, mutants
	+$(Q)$(PYTHON) ci/stages 'unit=$(MAKE) -s unit' 'fuzz-replay=$(MAKE) -s fuzz-replay' 'harness-tests=$(MAKE) -s harness-tests' \
		'footprint=.venv/bin/python -m guestwire.bench --check' \
		'agent=$(JUDGE)/agent --alike --through "exec:$(ASAN_GUESTWIRE) bridge" exec:$(AGENT) $(CONFORM_ARGS)' \
		'asan+oracle=$(JUDGE)/test --alike exec:$(ASAN_AGENT) "$(ORACLE_RUN)" $(CONFORM_ARGS)' \
		'bridge=$(JUDGE)/bridge --contract bridge "$(BRIDGE)" "$(ORACLE_BRIDGE)"' \
		'ready=$(JUDGE)/ready --contract ready "$(GATE)" "$(ORACLE_GATE)"' \
		'stateful=.venv/bin/conform stateful exec:$(ASAN_AGENT) --examples 200 --save build/report/stateful' \
		'mutants=.venv/bin/conform mutants'

mutants: $(AGENT) $(VENV) ## judge broken agents, bridges and gates: is each of them found out? MUTANTS_ARGS=--full for every case
	$(Q)$(PYTHON) ci/stages $(foreach contract,agent bridge ready,'$(contract)=.venv/bin/conform mutants --contract $(contract) $(MUTANTS_ARGS)')

unit: $(UNIT_PROGRAMS) ## C unit tests under ASan and UBSan
	$(Q)$(PYTHON) ci/stages $(foreach program,$^,'$(notdir $(program))=timeout 60 $(program)')

harness-tests: $(AGENT) $(GUESTWIRE) $(EXAMPLE) $(OOM_AGENTS) build/oom/fuzz_request $(VENV) $(SYSTEM_TEST) $(SYSTEM_E2E) ## the harness's own tests
	$(Q).venv/bin/pytest -q -n 6 conformance/tests

e2e: e2e-programs ## judge the agent in a real guest on QEMU, over vsock, and vsock of bridge and gate; ARCH=aarch64 too
	+$(Q)$(PYTHON) ci/stages 'level-1=$(JUDGE)/e2e qemu-vhost-user:$(AGENT_BINARY) $(CONFORM_ARGS)' \
		$(if $(filter x86_64,$(ARCH)),'level-2=$(JUDGE)/e2e-nested qemu-nested:$(AGENT_BINARY) $(CONFORM_ARGS)') \
		'host-tools=$(MAKE) -s e2e-host-tools'

e2e-full: e2e-programs ## judge the agent by the whole suite in a guest, and in a guest's guest over the kernel's vhost_vsock
	+$(Q)$(PYTHON) ci/stages 'level-1=$(JUDGE)/e2e qemu-vhost-user:$(AGENT_BINARY) $(CONFORM_ARGS)' \
		'level-2=$(JUDGE)/e2e-nested qemu-nested:$(AGENT_BINARY) --full $(CONFORM_ARGS)'

# Some cases of each section, with the twins of refusals among them. They come out green as far as they go, which is partial (3).
SMOKE := FRAME-TYPES/json:ping:whole FRAME-SEGMENT/bytewise:bytewise FRAME-TRUNC/request:half-close \
	JSON-PROFILE/accept:once:whole JSON-DUP/plain:names:whole JSON-OUT/shape:quotes \
	CONV-ONE/single:run:whole CONV-ONE/single:download CONV-HALFCLOSE/run CONV-LINGER/end ERR-CODE/not_found \
	PING RUN-EXIT/signal:some RUN-TIMEOUT/killed:group RUN-HANGUP/group:plain PUT-OK/content:65537 GET-EXACT/proc:filesystems \
	SRV-SURVIVE/alive:reset SRV-LISTEN/vsock:port SRV-PEER/vsock-host SRV-PEER/vsock-guest:nobody SRV-PEER/vsock-guest:forged:another
e2e-smoke: $(AGENT_BINARY) build/guestwire $(VENV) $(SYSTEM_E2E) ## the same, but a few cases only; ARCH=aarch64 too
	$(Q)$(JUDGE)/e2e-smoke qemu-vhost-user:$(AGENT_BINARY) $(SMOKE:%=--case %); [ $$? -eq 3 ]

e2e-native: $(AGENT_BINARY) build/guestwire $(VENV) $(SYSTEM_E2E) ## judge the agent in a real guest, over this machine's own /dev/vhost-vsock
	$(Q)$(JUDGE)/e2e-native qemu-native:$(AGENT_BINARY) $(CONFORM_ARGS)

# An oracle is judged where its Python is of the guest's machine.
e2e-host-tools: e2e-programs
	$(Q)$(PYTHON) ci/stages --together $(foreach tool,bridge ready,'$(tool)=$(JUDGE)/e2e-$(tool) --contract $(tool) \
		"qemu-vhost-user:$(GUESTWIRE) $(tool)" \
		$(if $(filter $(HOST_ARCH),$(ARCH)),"qemu-vhost-user:$(ORACLE_PYTHON) -I -S $(CURDIR)/build/oracle/$(tool).pyc")')

e2e-programs: $(AGENT_BINARY) build/guestwire $(GUESTWIRE) $(ORACLES) $(VENV) $(SYSTEM_E2E)

lint: $(LINT_NEEDS) ## clang-tidy, cppcheck, clang-format, ruff, mypy, go vet, gofmt, actionlint
	$(Q)ci/lint

format: $(LINT_NEEDS) ## rewrite C and Python in the project's format
	$(Q)ci/lint format

bench: $(AGENT) $(VENV) $(BENCH_TOOLS) ## measure the agent against a floor and the oracle
	$(Q).venv/bin/python -m guestwire.bench

bench-bridge: $(GUESTWIRE) $(VENV) $(BENCH_TOOLS) ## measure the bridge against a splice loop, a blocking relay and socat
	$(Q).venv/bin/python -m guestwire.bench.bridge

doctor: ## what is missing, and the command that gets it
	@ci/doctor

wheel: $(VENV) ## dist/guestwire-VERSION-py3-none-any.whl: conform, for pip install anywhere
	$(Q)rm -rf build/lib build/bdist.* $(DIST)/guestwire-*.whl # or it would hold what has been deleted since
	$(Q).venv/bin/python -m pip wheel -q --disable-pip-version-check --no-deps -w $(DIST) .

constants: $(VENV) ## regenerate agent/wire/constants.h and fuzz/guestwire.dict
	$(Q)mkdir -p build
	$(Q).venv/bin/python conformance/spec/generate.py header >build/constants.h.new
	$(Q).venv/bin/python conformance/spec/generate.py dictionary >build/guestwire.dict.new
	$(Q)mv build/constants.h.new agent/wire/constants.h
	$(Q)mv build/guestwire.dict.new fuzz/guestwire.dict

setup: ## everything the other targets would set up by themselves
	$(Q)ci/setup packages python cjson test lint example e2e
	+$(Q)$(MAKE) $(if $(V),,-s) $(SYSTEM) $(CJSON_DIR)/cJSON.c $(VENV) $(ACTIONLINT)

clean: ## drop build/, keep what was downloaded
	$(Q)rm -rf build

distclean: clean ## drop downloads, .venv and dist/ too
	$(Q)rm -rf .cache .venv dist guestwire.egg-info

.PHONY: help agent agent-asan guestwire guestwire-asan example conformance test mutants unit harness-tests e2e e2e-full e2e-host-tools e2e-programs e2e-smoke e2e-native lint format bench bench-bridge doctor wheel constants setup clean distclean
