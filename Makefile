# OpenSPMS. "make" alone lists the targets; run and test need Go and nothing else.
GO        ?= go
ADDR      ?= localhost:8080
DATA      ?= ./data
FUZZTIME  ?= 20s
BENCHTIME ?= 1s
BENCH     ?= .
KILLS     ?= 300
SOAK_STEPS ?= 1000000
SOAK_SEED  ?= 1
CASES     ?= 10000,100000,1000000
TIMERS    ?= 100000
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null)

# All Go modules of the repository, the root first.
MODULES   := . $(sort $(patsubst ./%/go.mod,%,$(shell find . -mindepth 2 -name go.mod -not -path '*/node_modules/*' -not -path '*/testdata/*' -not -path './.*' -not -path './data/*')))
# What make generate writes, and what CI therefore compares.
GENERATED := ent graph gqlgen.yml go.mod go.sum docs internal/store/migrations plugins/sdk/pluginv1
TOOL      := $(GO) tool -modfile=$(CURDIR)/tools/go.mod

export DATABASE_URL

.DEFAULT_GOAL := help
.PHONY: help run demo build test lint format generate proto check-generated bench figures cover fuzz crash soak deadcode clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  variables: ADDR=$(ADDR) DATA=$(DATA) DATABASE_URL=postgres://… BENCH=$(BENCH) FUZZTIME=$(FUZZTIME) KILLS=$(KILLS)"

run: ## start the server with sample data on ADDR; DATABASE_URL=postgres://… for PostgreSQL
	$(GO) run ./server/spms serve --addr '$(ADDR)' --data '$(DATA)'

demo: ## play the fibre order story on a scratch database
	$(GO) run ./server/spms demo

build: ## build bin/spms
	$(GO) build -trimpath -ldflags '-X github.com/openspms/spms/server.version=$(VERSION)' -o bin/spms ./server/spms

test: ## run all tests; with SPMS_TEST_DATABASE_URL on PostgreSQL too; DBCOUNT=1 counts them by database
	@set -e; for dir in $(MODULES); do \
	  if [ "$$dir" = . ] && [ -n "$(DBCOUNT)" ]; then \
	    echo "== go test -json, counted by database"; \
	    $(GO) -C tools build -o ../bin/dbcount ./dbcount; \
	    $(GO) test -json -timeout 40m $(TESTFLAGS) ./... | bin/dbcount; \
	  else \
	    echo "== go test in $$dir"; \
	    (cd $$dir && $(GO) test -timeout 40m $(TESTFLAGS) ./...); \
	  fi; \
	done

lint: ## check the style of all modules (the first time builds the linter: about three minutes of CPU)
	@set -e; for dir in $(MODULES); do \
	  echo "== golangci-lint in $$dir"; \
	  (cd $$dir && $(TOOL) golangci-lint run --config $(CURDIR)/.golangci.yml ./...); \
	done

format: ## format the Go files that people write
	$(TOOL) golangci-lint fmt --config .golangci.yml

generate: proto ## write the generated code again: ent from schema, then gqlgen from graph/sdl, then the documents
	$(GO) generate ./...
	$(GO) test -count=1 -run 'TestConfigurationDoc' ./server -update

proto: ## write the Go code of the plugin contract again (plugins/proto); needs no protoc
	$(GO) -C tools run ./protogen ../plugins/proto ../plugins/sdk github.com/openspms/spms/plugins/sdk

check-generated: generate ## fail when generated code is not current
	@git diff --exit-code --stat -- $(GENERATED) || { echo "generated code is stale: run make generate and commit"; exit 1; }
	@new=$$(git ls-files --others --exclude-standard -- $(GENERATED)); \
	  [ -z "$$new" ] || { echo "generated files are not committed:"; echo "$$new"; exit 1; }

bench: ## run the benchmarks, five times each for benchstat; BENCH=regexp chooses
	@mkdir -p tmp
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem -count 5 ./internal/... ./graph/... ./server/... | tee tmp/bench.out
	$(TOOL) benchstat tmp/bench.out

figures: ## measure the engine and print one table (docs/benchmarks.md); sizes by CASES and TIMERS, PostgreSQL where SPMS_TEST_DATABASE_URL names a server
	@mkdir -p tmp && rm -f tmp/figures.out
	$(GO) test -c -o tmp/figures.test ./server
	@set -e; cd server; export SPMS_BENCH_CASES='$(CASES)' SPMS_BENCH_TIMERS='$(TIMERS)'; \
	figures() { echo "== $$2 $$1"; ../tmp/figures.test -test.run '^$$' -test.timeout 60m -test.bench "^Benchmark$$1$$" -test.benchtime "$$2" | tee -a ../tmp/figures.out; }; \
	figures Steps 300x; figures CompleteTask 200x; figures CompleteTaskHTTP 200x; figures Visible 200x; figures Workers 2000x; \
	figures Nodes 320x; figures TimerLateness 5000x; figures Memory 100000x; figures Filled 200x
	@$(GO) -C tools run ./figures < tmp/figures.out

cover: ## measure which statements the tests reach; coverage.out is for go tool cover
	$(GO) test -coverprofile coverage.out -coverpkg ./internal/...,./graph,./server/... ./internal/... ./graph/... ./server/... ./packs/...
	$(GO) tool cover -func coverage.out | tail -n 1

fuzz: ## run every fuzz target for FUZZTIME
	@set -e; grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do \
	  for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$$file"); do \
	    echo "== $$target in $$(dirname $$file)"; \
	    (cd $$(dirname $$file) && $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) .); \
	  done; \
	done

crash: ## kill the server KILLS times on each database and look for lost or doubled work
	SPMS_CRASH_KILLS=$(KILLS) $(GO) test -count=1 -v -timeout 60m ./test/crash

soak: ## let SOAK_STEPS steps of cases and a hundred virtual years go by with faults in between
	GOGC=800 SPMS_SOAK_STEPS=$(SOAK_STEPS) SPMS_SOAK_SEED=$(SOAK_SEED) $(GO) test -count=1 -v -timeout 24h ./test/soak

deadcode: ## list functions that nothing reaches
	$(TOOL) deadcode -test ./...

clean: ## remove what was built (not ./data)
	rm -rf bin tmp coverage.out
