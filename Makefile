# Every target sets up what it needs; `make setup` alone prepares .venv. The second run is quick: the set-up is
# done again only when pyproject.toml or the interpreter has changed.

export HIL_LABGRID ?= $(CURDIR)/.venv/labgrid/bin
PYTHON ?= python3
BIN := .venv/bin
RIG ?= rigs/sim.toml
WORKERS ?= 2
RUN ?= build/pictures/run
FLIGHT ?= flight
SLOW := $(wildcard tests/harness/test_rtl_engine_board.py)
BLOCKS := tests/launcher/blocks
SELECT ?=
PART ?=
RTL_FLIGHT ?= rigs/rtl_flight.toml
ON_BOTH := $(wildcard tests/launcher/test_fts_*.py tests/launcher/test_engine_*.py)
ON_RTL ?= $(BLOCKS) $(ON_BOTH)
ON_BENCH ?= tests/launcher/test_fts_logic.py tests/launcher/test_fts_rf.py tests/launcher/test_engine_sequence.py
IN_GUEST ?= tests/launcher/test_fts_logic.py tests/launcher/test_fts_rf.py tests/launcher/test_engine_sequence.py \
	-k "(reset and fts_a) or (response_time and fts_a) or power_on"
FILE ?= tests/launcher/test_fts_telemetry.py
SIZE ?= 1180x1500
PICTURE ?= docs/images/flight.png

.PHONY: help setup test-kill test-socketcan qualify-processes qualify-mixed flight-processes one-file test-slow qualify qualify-jitter qualify-rtl equivalence flight-rtl defects test lint format bench pictures flight-picture clean

help:
	@echo "make qualify   run the qualification tests of the reference launcher on the simulated rig, write the report"
	@echo "make qualify-rtl  the FPGA blocks, and the receivers' and the engine's tests with their logic as RTL"
	@echo "make equivalence  the receivers' and the engine's tests on models and on RTL, compared (half an hour)"
	@echo "make flight-rtl   the flight of 30 March 2025 with one receiver as RTL (minutes); RTL_FLIGHT=rigs/rtl_flight_both.toml: both"
	@echo "make qualify-jitter  the qualification tests without and with the latencies of a bench, compared; JITTER=seed"
	@echo "make defects   prove that every qualification test can fail: a table test x seeded defect (SOUND=run folder, PART=k/n)"
	@echo "make test      run the harness's own tests and all doctests"
	@echo "make test-kill  every way to kill a test, the keeper or a recording, many times over (half an hour)"
	@echo "make test-socketcan  SocketCAN on a real kernel, in a guest, and qualification tests over it"
	@echo "make qualify-processes  tests on wall time, with every part of the rig a program of its own, under the keeper"
	@echo "make qualify-mixed  one receiver a program of its own in wall time, everything else simulated beside the test"
	@echo "make flight-processes  three closed-loop flights over several programs, on the wall clock (3 min)"
	@echo "make one-file  one test file, as it is, simulated, over programs and in the guest, compared (minutes): FILE=$(FILE)"
	@echo "make test-slow the tests of whole boards on RTL, which take minutes each"
	@echo "make lint      ruff, pyright and the import contracts"
	@echo "make format    let ruff format and fix what it can"
	@echo "make bench     run the benchmarks"
	@echo "make pictures  make the pictures of the README again (needs chromium)"
	@echo "make flight-picture RUN=folder FLIGHT=test SHOW=from:to:cursor SIZE=1180x1500 PICTURE=file.png: one flight's plots"
	@echo "make setup     prepare .venv only (every target does that first)"
	@echo "make clean     remove .venv and all caches"
	@echo "variables: RIG=$(RIG) WORKERS=$(WORKERS) PYTHON=$(PYTHON)"

setup:
	@PYTHON="$(PYTHON)" .ci/setup

qualify: setup
	@$(BIN)/hil qualify tests/launcher --rig $(RIG) -- -n $(WORKERS) --dist worksteal --ignore=$(BLOCKS)

qualify-jitter: setup
	@rm -rf build/jitter
	-@$(BIN)/hil qualify tests/launcher --rig $(RIG) --run-folder build/jitter/without -- -q -n $(WORKERS) --dist worksteal --ignore=$(BLOCKS)
	-@$(BIN)/hil qualify tests/launcher --rig $(RIG) --run-folder build/jitter/with -- -q -n $(WORKERS) --dist worksteal --ignore=$(BLOCKS) --bench-jitter$(if $(JITTER),=$(JITTER))
	@$(BIN)/hil compare build/jitter/without build/jitter/with --whole

qualify-rtl: setup
	@$(BIN)/hil qualify $(ON_RTL) --rig rigs/rtl.toml -- -n $(WORKERS) --dist worksteal $(if $(SELECT),-k "$(SELECT)",--coverage-goals)

equivalence: setup
	@rm -rf build/equivalence
	@$(BIN)/hil qualify $(ON_BOTH) --rig $(RIG) --run-folder build/equivalence/model -- -n $(WORKERS) -q
	@$(BIN)/hil qualify $(ON_BOTH) --rig rigs/rtl.toml --run-folder build/equivalence/rtl -- -n $(WORKERS) -q --dist worksteal
	@$(BIN)/hil compare build/equivalence/model build/equivalence/rtl --whole --within fts.response_time=1.5

flight-rtl: setup
	@$(BIN)/hil qualify tests/launcher/test_flight_spectrum.py --rig $(RTL_FLIGHT) -- -k lost_attitude

flight-processes: setup
	@rm -rf build/flights
	@$(BIN)/python -m benchmarks.flight --flights 3 --runs build/flights

defects: setup
	@$(BIN)/hil defects $(wildcard tests/launcher/test_*.py) --rig $(RIG) --defects tests/launcher/defects.toml \
		--workers $(WORKERS) $(if $(SOUND),--sound=$(SOUND)) $(if $(PART),--part=$(PART))

test: setup
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(SLOW:%=--ignore=%)

test-kill: setup
	@HIL_TORTURE_CYCLES=1000 $(BIN)/python -m pytest -q -s tests/harness/test_lease_torture.py
	@HIL_TORTURE_CYCLES=50 $(BIN)/python -m pytest -q -s tests/harness/test_keeper_torture.py
	@HIL_KILL_RECORDINGS=500 $(BIN)/python -m pytest -q -s tests/harness/test_kill_recording.py
	@$(BIN)/python -m benchmarks.kill_matrix --rounds 20 --write docs/kill-matrix.md

test-socketcan: setup
	@$(BIN)/python -m pytest -rs tests/harness/test_socketcan.py
	@GUEST_LIMIT_S=1800 .ci/guest/run tests/socketcan/bench tests/socketcan/guest.toml $(IN_GUEST)

qualify-processes: setup
	@.ci/bench rigs/processes.toml $(ON_BENCH)

qualify-mixed: setup
	@.ci/bench rigs/mixed.toml tests/launcher/test_fts_logic.py tests/launcher/test_fts_rf.py

one-file: setup
	@.ci/one_file $(FILE) $(if $(SELECT),-k "$(SELECT)")

test-slow: setup
	@$(BIN)/python -m pytest -n $(WORKERS) $(SLOW)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	@$(BIN)/python -m benchmarks --write docs/speed.md

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache

pictures: setup
	@command -v chromium >/dev/null || { echo "pictures need chromium: apt-get install chromium" >&2; exit 1; }
	@rm -rf build/pictures && mkdir -p build/pictures docs/images
	@$(BIN)/hil qualify tests/launcher --rig $(RIG) --run-folder build/pictures/run -- -q -n $(WORKERS) --dist worksteal --ignore=$(BLOCKS) >/dev/null
	@$(BIN)/python tests/harness/chromium.py build/pictures/run docs/images/report.png
	@$(BIN)/python tests/harness/chromium.py build/pictures/run docs/images/flight.png --test test_lost_attitude --size 1180x2300

flight-picture: setup
	@$(BIN)/python tests/harness/chromium.py $(RUN) $(PICTURE) --test $(FLIGHT) --size $(SIZE) $(if $(SHOW),--show=$(SHOW))
