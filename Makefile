# skr: secure key release for confidential pods.
# `make` lists the targets. They need only Go and make; `make image` also needs buildah.

GO       ?= go
TAGS     := grpcnotrace
FUZZTIME ?= 10s
SHARE    ?= 0/1
MINUTES  ?= 5
LINTER   := v2.15.0
LINT     := $(abspath bin/golangci-lint-$(LINTER))
ACTIONLINT  := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GORELEASER  := github.com/goreleaser/goreleaser/v2@v2.15.1
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null)
export CGO_ENABLED ?= 0

BUILD := $(GO) build -tags $(TAGS) -trimpath -ldflags "-s -w -X skr/internal/sbom.release=$(VERSION)"
# Some tests run the programs, which the test cache does not track, so the cache is off.
# `make lint` vets, so the tests do not.
TEST  := $(GO) test -count=1 -vet=off -timeout 30m -tags $(TAGS)
# Prints why tests were skipped, which go test hides.
TOLD  := $(GO) run ./test/summary
# The test packages share a directory of the programs that they run (test/program). It is
# empty when a run begins, so that no test runs a program of an earlier run.
PROGRAMS := $(abspath bin/test)
SHARED   := rm -rf $(PROGRAMS) && SKR_TEST_PROGRAMS=$(PROGRAMS)

.PHONY: help build check demo image test test-skr test-modules race fuzz soak fleet lint generate bench bench-compare clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/skr, bin/skrctl and bin/skr-emulator
	$(BUILD) -o bin/ ./cmd/skr ./cmd/skrctl ./cmd/skr-emulator

.PHONY: kafka-demo
kafka-demo: build ## show encrypted Kafka messages on the web pages of two pods: one may read them, one may not
	@cd examples/kafka && $(BUILD) -o ../../bin/skr-kafka-demo ./demo
	@bin/skr-kafka-demo --bin bin

demo: build ## release a key to a client of the sidecar, all on this machine
	@bin/skr-emulator demo --skr bin/skr

.PHONY: docs
# Several packages write parts of one page, so they run one after the other.
docs: ## write the parts of the documents that are generated from the code
	$(TEST) -p 1 -run 'Reference$$' ./cmd/... ./internal/cli ./internal/config ./internal/sidecar ./internal/sidecar/doctor \
		./internal/sidecar/server ./test/diagnosis -args -update

.PHONY: man chart-docs
chart-docs: ## write the chart's README.md from values.yaml, as TestReadme compares it
	cd deploy/helm/skr && go run github.com/norwoodj/helm-docs/cmd/helm-docs@v1.14.2 --chart-search-root .

man: ## write the manual pages to dist/man
	$(TEST) -run '^TestManPages$$' ./cmd/skr ./cmd/skrctl -args -man $(abspath dist/man)

DIST ?= dist
ARCH ?=
PROGRAM ?= skr
image: ## build the image dist/PROGRAM.tar (needs only buildah): skr, skr-emulator or skr-example; FRAGMENT_KEY signs a fragment (docs/fragments.md)
	@GO=$(GO) PROGRAM=$(PROGRAM) VERSION=$(VERSION) ARCH=$(ARCH) sh deploy/image/build.sh $(DIST)

# These packages test other processes.
OUTSIDE := azuresdk container diagnosis docs e2e images openapi script stranger

check: lint ## vet, lint and run the tests that start no sidecar; needs no root
	@$(TOLD) $(GO) test -timeout 10m -tags $(TAGS) -json $(filter-out $(OUTSIDE:%=skr/test/%) skr/test/fleet skr/cmd/skr-emulator,$(shell $(GO) list ./...))

test: ## run all tests, and report skipped tests with reasons
	@$(MAKE) --no-print-directory -j 2 test-skr test-modules

# Packages that wait for other processes begin first. The other packages compute meanwhile.
LONGEST := e2e diagnosis images container conformance azuresdk stranger script docs openapi
test-skr:
	@$(SHARED) $(TOLD) $(TEST) -p 4 -json $(LONGEST:%=./test/%) ./...

test-modules:
	@cd examples/kafka && $(GO) run skr/test/summary $(TEST) -json ./...
	cd test/wycheproof && $(TEST) ./...
	cd test/enforcer && $(TEST) -tags $(TAGS),rego ./...
	@cd test/clients && $(GO) run skr/test/summary $(TEST) -json ./...
	cd test/manifests && $(TEST) ./...

# Kubernetes takes minutes to build the first time, so this is not part of `make test`.
.PHONY: apiserver
apiserver: ## install chart and manifests into a real Kubernetes API server, with strict validation and pod security
	cd test/apiserver && $(GO) test -count=1 -timeout 30m ./...

# The tests of e2e with concurrent requests. Their skr has the race detector too.
TOGETHER := Together|Release.*|GracefulStop|OutageIsSurvived|Access|Burst|VirtualMachines

# These packages and their tests start no goroutine of their own. What they use of other packages is
# tested under the race detector there. test/arch checks the list. All other packages run under it.
SERIAL := attest/uvm cmd/skrctl deploy/release/sbom internal/accept internal/azure/cloud \
	internal/azure/endpoint internal/certificate internal/check internal/config internal/envelope \
	internal/excerpt internal/handover internal/hardening internal/jose/jwk internal/jose/jws \
	internal/jose/keywrap internal/jose/sign1 internal/keyformat internal/operator/execpolicy \
	internal/operator/inject internal/operator/inspect internal/operator/lint \
	internal/operator/measure internal/operator/migrate internal/operator/rollout \
	internal/operator/splice internal/operator/template internal/operator/verify internal/refusal \
	internal/sbom internal/secretfile internal/sidecar/keyprovider internal/strictyaml internal/textfile \
	releasepolicy test/arch test/licences test/limits test/samples test/summary test/tdxtest \
	test/uvmtest test/vtpmtest

# The packages whose code starts goroutines or has locks. test/arch checks the list.
CONCURRENT := attest attest/firmware attest/maa attest/snp attest/tdx attest/tpm attest/vcek \
	attest/vtpm cmd/skr hsm internal/azure/entra internal/azure/httpclient \
	internal/azure/outbound internal/cli internal/crash internal/keyuse \
	internal/observe/audit internal/observe/journal internal/observe/tracing \
	internal/operator/conformance internal/operator/fragment internal/secmem \
	internal/sidecar internal/sidecar/access internal/sidecar/agent internal/sidecar/csi \
	internal/sidecar/doctor internal/sidecar/follow internal/sidecar/invault \
	internal/sidecar/limit internal/sidecar/parties internal/sidecar/server \
	internal/sidecar/serving internal/sidecar/sinks internal/sidecar/sshagent \
	internal/singleflight internal/strictjson keyrelease releasepolicy/claims

race: RACED = $(filter-out $(SERIAL:%=skr/%) $(OUTSIDE:%=skr/test/%),$(shell $(GO) list ./...))
race: race-examples ## run the tests under the race detector, which does not watch other processes
race-short: RACED = $(CONCURRENT:%=skr/%)
race-short: ## run the tests of packages with goroutines or locks, and of the sidecar, under the race detector
race race-short:
	@$(SHARED) CGO_ENABLED=1 $(TOLD) $(TEST) -json -race $(RACED)
	@SKR_TEST_PROGRAMS=$(PROGRAMS) CGO_ENABLED=1 $(TOLD) $(TEST) -json -race -run '^Test($(TOGETHER))$$' ./test/e2e

.PHONY: race-short race-examples
race-examples:
	cd examples/kafka && CGO_ENABLED=1 $(TEST) -race ./board ./consumer ./page ./producer ./sidecar

fuzz: ## run each fuzz target for FUZZTIME, a time or a number of inputs such as 500x; SHARE=0/4 to 3/4 is a quarter of the packages
	@GO=$(GO) TAGS=$(TAGS) FUZZTIME=$(FUZZTIME) SHARE=$(SHARE) sh test/fuzz.sh

soak: ## drive a sidecar with good and faulty traffic for MINUTES, and search for leaks
	$(TEST) -v -timeout 0 -run '^TestSoak$$' ./test/e2e -args -minutes $(MINUTES)

fleet: ## simulate 100,000 pods that restart at once, and update docs/fleet.md
	$(TEST) -v -run 'TestRestart|TestDocumented' ./test/fleet -args -pods 100000 -write
	$(TEST) -v ./test/fleet -args -write

lint: $(LINT) ## vet and lint
	$(GO) vet -tags $(TAGS) ./...
	test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	$(LINT) run --build-tags $(TAGS) ./...
	cd examples/kafka && $(GO) vet ./... && $(LINT) run ./...
	for module in wycheproof clients manifests; do (cd test/$$module && $(GO) vet ./...) || exit 1; done
	cd test/enforcer && $(GO) vet -tags $(TAGS),rego ./...
	$(GO) run $(ACTIONLINT)

$(LINT):
	GOBIN=$(@D)/install $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINTER)
	mv $(@D)/install/golangci-lint $@ && rmdir $(@D)/install

.PHONY: cross vet-cross
# The programs of other systems are built here. vet-cross also compiles the tests of what skrctl
# links, except two packages whose tests need Linux.
PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
cross: ## build skrctl for Linux, macOS and Windows into dist/skrctl, and skr for Linux
	for platform in $(PLATFORMS); do \
		export GOOS=$${platform%/*} GOARCH=$${platform#*/}; end=; [ $$GOOS = windows ] && end=.exe; \
		$(BUILD) -o dist/skrctl/skrctl-$$GOOS-$$GOARCH$$end ./cmd/skrctl || exit 1; \
		[ $$GOOS != linux ] || $(BUILD) -o dist/skr-linux-$$GOARCH ./cmd/skr || exit 1; \
	done

LINKED = $$($(GO) list -tags $(TAGS) -deps ./cmd/skrctl | grep '^skr/' | grep -vx -e skr/attest/tpm -e skr/attest/vcek)
vet-cross: ## vet skrctl and its tests for macOS and Windows; takes long
	for system in darwin windows; do GOOS=$$system $(GO) vet -tags $(TAGS) $(LINKED) || exit 1; done

.PHONY: vulnerabilities release-check reproducible
vulnerabilities: ## look for known vulnerabilities in what the programs call; says so if the database cannot be reached
	@$(GO) run $(GOVULNCHECK) -tags $(TAGS) ./cmd/... || { status=$$?; \
		echo "make vulnerabilities: see above: vulnerabilities were found, or the database at vuln.go.dev cannot be reached"; exit $$status; }

# No owner is known here. Without a signature nothing is asked for over the network.
RELEASE := GITHUB_REPOSITORY=owner/skr GITHUB_REPOSITORY_OWNER=owner TAP_TOKEN=none $(GO) run $(GORELEASER)
release-check: ## verify the configuration of releases, build one without publishing it, and look into its files
	$(RELEASE) check
	$(RELEASE) release --snapshot --clean --skip=sign
	$(TEST) -v -run '^TestSnapshot$$' ./test/release -args -snapshot $(abspath dist/release)

WITH ?=
reproducible: ## build HEAD twice, in two places without a shared cache, and compare; also WITH=a program of a release
	@GO=$(GO) TAGS=$(TAGS) WITH=$(WITH) sh deploy/release/reproducible.sh

generate: ## generate the Go code of api/*.proto
	$(GO) run ./test/generate

BENCH     ?= .
BENCHTIME ?= 1s
COUNT     ?= 6
BASE      ?= main
PACKAGES  ?= ./...
BENCHSTAT := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
BENCHMARK := -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) -count $(COUNT)

bench: ## run the benchmarks, and write the results to dist/bench/new.txt
	mkdir -p dist/bench
	$(TEST) $(BENCHMARK) $(PACKAGES) | tee dist/bench/new.txt

# Both branches are measured in the same way on this machine, one after the other.
bench-compare: bench ## run the benchmarks here and on the branch BASE, and compare them with benchstat
	rm -rf dist/bench/base && mkdir dist/bench/base && git archive $(BASE) | tar -x -C dist/bench/base
	cd dist/bench/base && SKR_SAMPLES="$${SKR_SAMPLES:-$(abspath ../shared/samples)}" $(TEST) $(BENCHMARK) $(PACKAGES) > ../old.txt
	rm -rf dist/bench/base
	$(GO) run $(BENCHSTAT) dist/bench/old.txt dist/bench/new.txt

clean: ## remove what was built
	rm -rf bin dist
