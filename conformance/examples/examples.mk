# The example agent in Go: no other module is used, so nothing is downloaded.
EXAMPLE := build/example/guest-agent-go
EXAMPLE_SOURCES := $(wildcard conformance/examples/go/*.go) conformance/examples/go/go.mod
export GOCACHE ?= $(CURDIR)/.cache/go
export GOPATH ?= $(CURDIR)/.cache/go-path

$(EXAMPLE): $(EXAMPLE_SOURCES) | $(SYSTEM_EXAMPLE)
	$(Q)echo '  GO    $@'
	$(Q)cd conformance/examples/go && GOFLAGS= GOPROXY=off CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags='-s -w' -o $(CURDIR)/$@ .
