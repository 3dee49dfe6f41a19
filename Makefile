# What can be done in this tree: `make help`. Needed: git, make and Go; `make demo` and `make test` install the rest by apt-get.
# CI (.ci/run) runs these same targets.

GO      ?= go
TOOL    := $(GO) tool -modfile=tools.mod
# Binaries are static: the very file that is built here runs on any Linux host of the same architecture.
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath
# Everything but the tests that start whole clusters, which are slow and run one at a time (e2e, drill).
PACKAGES = $(shell $(GO) list ./... | grep -v -e '/test/e2e' -e '/test/drill')
# One line per package, the output of what fails, and the counts at the end.
GOTESTSUM := $(TOOL) gotestsum --format $(if $(VERBOSE),standard-verbose,pkgname) --format-hide-empty-pkg --
TEST_TIMEOUT ?= 15m
# Build tags that plant bugs and faults, for the tests of the tests; no binary that people run has them.
TEST_TAGS := failpoints plantedbugs
SEEDS    ?= 200
FUZZTIME ?= 10s

.DEFAULT_GOAL := build
.PHONY: bin-drill help build demo test test-short race e2e sim drill bench bench-micro bench-nexmark bench-flink bench-backpressure fuzz lint proto proto-check services-up services-down clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/jobmanager, bin/taskmanager, bin/thalweg and bin/examples/<name>
	$(if $(wildcard cmd/*/main.go),$(BUILD) -o bin/ ./cmd/...)
	$(if $(wildcard examples/*/main.go),$(BUILD) -o bin/examples/ $(addprefix ./,$(patsubst %/main.go,%,$(wildcard examples/*/main.go))))

demo: ## a cluster on this machine that loses its leader, a taskmanager and everything, and what it cost (no Java)
	@deploy/install-deps.sh demo
	@$(MAKE) --no-print-directory build
	$(GO) run ./test/demo

test: ## vet, then the unit and integration tests of all packages, on real ZooKeeper and HDFS
	@deploy/install-deps.sh test
	$(GO) vet ./...
	$(if $(wildcard test/services/cmd/services/*.go),$(GO) run ./test/services/cmd/services fetch)
	@$(GOTESTSUM) -timeout $(TEST_TIMEOUT) $(PACKAGES)

test-short: ## the tests that need nothing but Go
	@$(GOTESTSUM) -short -timeout $(TEST_TIMEOUT) $(PACKAGES)

race: ## the short tests under the race detector (needs a C compiler)
	@deploy/install-deps.sh test
	@CGO_ENABLED=1 $(GOTESTSUM) -race -short -timeout $(TEST_TIMEOUT) $(PACKAGES)

e2e: build ## the tests that start real processes, ZooKeeper and HDFS included
	@deploy/install-deps.sh test
	$(GOTESTSUM) -count=1 -p 1 -timeout 30m ./test/e2e/...

sim: ## the deterministic simulator: SEEDS=n runs in each mode
	$(GO) run ./internal/sim/cmd/sim -seeds $(SEEDS)

# With failpoints: named moments of the protocol at which a drill has a leader kill itself.
bin-drill: build
	$(BUILD) -tags failpoints -o bin/drill/ ./cmd/... ./test/drill/job

drill: bin-drill ## faults on a real cluster under load, each repeated, with times (under 30 minutes); ARGS are handed on
	@deploy/install-deps.sh test
	$(GO) run ./test/drill $(ARGS)

bench: ## the engine's own figures: keyed counts beside a bare loop, checkpoints of a large state, latency (about 20 minutes)
	$(GO) run ./bench/keyedcount $(ARGS)
	$(GO) run ./bench/snapshot
	$(GO) run ./bench/latency

bench-backpressure: ## sources held up by a slow sink for five minutes: memory, checkpoints, output; ARGS are handed on (-for 5m)
	$(GO) run ./bench/backpressure $(ARGS)

# COUNT=6 and more for benchstat. Calibrations of the machine come before and after each package's benchmarks.
MICRO    = ./internal/codec ./internal/state ./internal/stream ./flow ./bench/micro
COUNT    ?= 1
BENCHTIME ?= 1s
bench-micro: ## Go benchmarks of the parts, between calibrations of the machine, for benchstat: COUNT=n, BENCHTIME=t
	@set -e; for pkg in $(MICRO); do for each in ./bench/micro/calibration $$pkg; do \
		$(GO) test -run '^$$' -bench . -benchmem -count $(COUNT) -benchtime $(BENCHTIME) -timeout 2h $$each; \
	done; done; $(GO) test -run '^$$' -bench . -count $(COUNT) -benchtime $(BENCHTIME) ./bench/micro/calibration

Q        ?= all
bench-nexmark: ## the Nexmark queries on this engine, each beside its source alone: Q=q5; ARGS are handed on
	$(GO) run ./bench/nexmark/cmd/nexmark -all-events=false -source -q $(Q) $(ARGS)

bench-flink: ## the same beside Apache Flink, a case after the other (hours): Q=q5, ARGS='-warmup 20s -runs 2 -run 10s'; goes on where it was
	@deploy/install-deps.sh test
	$(GO) build -o bin/compare ./bench/flink/compare
	bin/compare -q $(Q) $(ARGS)

fuzz: ## every fuzz target for FUZZTIME (10s)
	@set -e; for pkg in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n1 dirname | sort -u); do \
		targets=$$($(GO) test -list '^Fuzz' $$pkg); \
		for target in $$(echo "$$targets" | grep '^Fuzz'); do \
			echo "--- fuzz $$pkg $$target $(FUZZTIME)"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

lint: ## formatting, vet, staticcheck, and this project's own rules (internal/lint)
	@unformatted=$$(gofmt -l .); \
		if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags "$(TEST_TAGS)" ./...
	$(TOOL) staticcheck ./...
	$(GO) test -count=1 ./internal/lint/...

proto: ## generate api/proto/**/*.pb.go from the .proto files beside them
	$(GO) run -modfile=tools.mod api/proto/generate.go

proto-check: ## fail if the committed *.pb.go are not what the .proto files give
	$(GO) run -modfile=tools.mod api/proto/generate.go -check

services-up: ## start a three-node ZooKeeper and an HDFS on free ports and print how to reach them
	@deploy/install-deps.sh test
	$(GO) run ./test/services/cmd/services up

services-down: ## stop what services-up started
	$(GO) run ./test/services/cmd/services down

clean: ## remove what was built
	rm -rf bin
