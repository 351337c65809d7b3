# What ships.
release: $(VENV) $(CJSON_DIR)/cJSON.c ## dist/: the agent of HEAD for each architecture, SHA256SUMS, SPDX SBOM, NOTICE, debug symbols
	$(Q)$(PYTHON) ci/release --out $(DIST)

reproduce: .cache/packages.release release ## build the release again elsewhere, and compare the bytes
	$(Q)ci/reproduce $(DIST)

.PHONY: release reproduce
