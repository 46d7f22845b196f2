# Everything a developer or CI runs; `make help` lists it.
#
# The tools are pinned in tools/go.mod and built into .bin/ when first needed.
# Once their modules are downloaded, nothing here uses the network.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS   += --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := $(CURDIR)/.bin
export PATH := $(BIN):$(PATH)

# How long each fuzz target runs.
FUZZTIME ?= 10s
# Which benchmarks run, how often (benchstat tells nothing of fewer than six), and
# in which packages.
BENCH ?= .
COUNT ?= 6
PKG   ?= ./...

BUF        := $(BIN)/buf
GENERATORS := $(BUF) $(BIN)/protoc-gen-go $(BIN)/protoc-gen-go-grpc

.PHONY: help
help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Compile everything; the static binary is .bin/switch, also named mswitch
	go build ./...
	CGO_ENABLED=0 go build -trimpath -o $(BIN)/switch ./cmd/switch
	ln -sf switch $(BIN)/mswitch

.PHONY: test
test: ## Run the tests
	go test ./...

.PHONY: race
race: ## Run the tests under the race detector, but for the core, which has no goroutine
	go test -race $$(go list ./... | grep -v /server/internal/queue$$)

.PHONY: slow
slow: ## Run the tests in their long form (SWITCH_SLOW=1), up to an hour
	SWITCH_SLOW=1 go test -count=1 -timeout 60m ./...

.PHONY: mutants
mutants: ## Plant mistakes, one at a time, and fail if the tests do not notice (ONLY=text)
	cd tools && go build -o $(BIN)/mutate ./mutate
	mutate -only '$(ONLY)' tools/mutate/durable.txt

.PHONY: allocs
allocs: ## Fail if a hot path allocates more than tools/allocs/limits.txt allows
	cd tools && go build -o $(BIN)/allocs ./allocs
	allocs tools/allocs/limits.txt

.PHONY: instructions
instructions: ## Count the instructions of the hot paths beside an earlier revision's (BASE=revision)
	cd tools && go build -o $(BIN)/instructions ./instructions
	instructions $(if $(BASE),$(BASE),HEAD)

.PHONY: fuzz
fuzz: ## Fuzz each Fuzz* target in the tree for FUZZTIME (10s)
	tools/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: $(BIN)/benchstat ## Run benchmarks (BENCH=regexp COUNT=n PKG=./dir), compare with the last run
	@if [ -f bench.out ]; then mv bench.out bench.before.out; fi
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(PKG) | tee bench.out
	@if [ -f bench.before.out ]; then benchstat bench.before.out bench.out; fi

.PHONY: peers
peers: ## Build the switch and measure it beside NATS, Redis and RabbitMQ (PEERS='flags and works')
	cd bench && go run . $(PEERS)

.PHONY: lint
lint: $(BIN)/golangci-lint $(BUF) ## Check Go and proto for style and common mistakes
	@found=$$(gofmt -l .); if [ -n "$$found" ]; then echo >&2 "not formatted, run 'make format': $$found"; exit 1; fi
	golangci-lint run
	cd bench && golangci-lint run
	cd rpc/interop && golangci-lint run
	cd tools && golangci-lint run
	buf lint
	buf format --diff --exit-code

.PHONY: format
format: $(BIN)/golangci-lint $(BUF) ## Format Go and proto files in place
	gofmt -w .
	golangci-lint fmt
	buf format --write

.PHONY: generate
generate: $(GENERATORS) ## Generate Go from proto/, beside the .proto files
	buf generate

.PHONY: checkgenerate
checkgenerate: $(GENERATORS) ## Fail if the generated Go is not what proto/ says
	tools/checkgenerate.sh

.PHONY: breaking
breaking: $(BUF) ## Fail if proto/ breaks clients of the last release
	tools/breaking.sh

# A tool is rebuilt when any pinned version changes; go links it from its cache.
$(BIN)/%: tools/go.mod tools/go.sum
	cd tools && go build -trimpath -o $@ $$(go list tool | grep '/$*$$')
	@touch $@
