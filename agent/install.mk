# What an operator installs: the agent and the host's tools, with manual pages and units for systemd and OpenRC.
PREFIX ?= /usr/local
DESTDIR ?=
BINDIR := $(PREFIX)/bin
MANDIR := $(PREFIX)/share/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
OPENRCDIR ?= $(if $(filter /usr,$(PREFIX)),/etc/init.d,$(PREFIX)/etc/init.d)
INSTALLED := $(addprefix $(BINDIR)/,smolvm-guest-agent guestwire) $(MANDIR)/man8/smolvm-guest-agent.8 \
	$(addprefix $(MANDIR)/man1/,guestwire.1 conform.1) $(UNITDIR)/smolvm-guest-agent.service $(OPENRCDIR)/smolvm-guest-agent

# $(call put,MODE,FILE,PLACE): with the places filled in
put = mkdir -p "$(DESTDIR)$(dir $(3))" && sed 's|@BINDIR@|$(BINDIR)|' $(2) >"$(DESTDIR)$(3).new" && \
	chmod $(1) "$(DESTDIR)$(3).new" && mv "$(DESTDIR)$(3).new" "$(DESTDIR)$(3)"

install: $(AGENT_BINARY) $(GUESTWIRE) ## agent, guestwire, manual pages and units; PREFIX=/usr/local DESTDIR=
	$(Q)install -D -m 755 $(AGENT_BINARY) "$(DESTDIR)$(BINDIR)/smolvm-guest-agent"
	$(Q)install -D -m 755 $(GUESTWIRE) "$(DESTDIR)$(BINDIR)/guestwire"
	$(Q)install -D -m 644 agent/install/smolvm-guest-agent.8 "$(DESTDIR)$(MANDIR)/man8/smolvm-guest-agent.8"
	$(Q)install -D -m 644 -t "$(DESTDIR)$(MANDIR)/man1" agent/install/guestwire.1 agent/install/conform.1
	$(Q)$(call put,644,agent/install/smolvm-guest-agent.service,$(UNITDIR)/smolvm-guest-agent.service)
	$(Q)$(call put,755,agent/install/smolvm-guest-agent.openrc,$(OPENRCDIR)/smolvm-guest-agent)

uninstall: ## remove what `make install` put there, and nothing else
	$(Q)rm -f $(foreach file,$(INSTALLED),"$(DESTDIR)$(file)")

.PHONY: install uninstall
