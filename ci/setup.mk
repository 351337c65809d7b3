# What must be there before anything is built. Stamps lie in .cache, so that only the first `make` pays.
SYSTEM_PYTHON := .cache/packages.python
SYSTEM_TEST := .cache/packages.test
SYSTEM_LINT := .cache/packages.lint
SYSTEM_EXAMPLE := .cache/packages.example
SYSTEM_FUZZ := .cache/packages.fuzz
SYSTEM_E2E := .cache/packages.e2e
SYSTEM := $(SYSTEM_PYTHON) $(SYSTEM_TEST) $(SYSTEM_LINT) $(SYSTEM_EXAMPLE) $(SYSTEM_E2E)
ACTIONLINT := .cache/bin/actionlint
LINT_NEEDS := $(SYSTEM_TEST) $(SYSTEM_LINT) $(SYSTEM_EXAMPLE) $(CJSON_DIR)/cJSON.c $(VENV) $(ACTIONLINT)

.cache/packages.%: ci/packages.txt
	$(Q)ci/setup packages $*
	$(Q)touch $@

$(VENV): pyproject.toml setup.py VERSION $(SYSTEM_PYTHON)
	$(Q)ci/setup python
	$(Q)touch $@

$(ACTIONLINT): ci/setup | $(SYSTEM_EXAMPLE)
	$(Q)ci/setup actionlint

ifeq ($(CJSON_DIR),.cache/cjson)
$(CJSON_DIR)/cJSON.c: | .cache/packages.cjson
	$(Q)echo '  APT   cJSON source'
	$(Q)ci/fetch-cjson $(CJSON_DIR)
else
$(CJSON_DIR)/cJSON.c:
	@echo 'CJSON_DIR=$(CJSON_DIR) holds no cJSON.c' >&2; exit 1
endif
.PRECIOUS: .cache/packages.%
