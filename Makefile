# Everything happens in a virtual environment of its own; `make` needs Python 3.10 or newer, g++ 11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

export CMAKE_BUILD_PARALLEL_LEVEL ?= $(JOBS)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-random lint format test-sanitize test-sanitize-python test-interop fuzz bench docs stubs clean

help:
	@echo "make demo           build, install into $(VENV), and train a network on real handwritten digits"
	@echo "make test           the same set-up with the test tools, and every test"
	@echo "make test-random    random programs of loops and conditions, until it is stopped"
	@echo "make lint           ruff, mypy and clang-format"
	@echo "make test-sanitize  the core's C++ tests under ASan and UBSan, and under TSan"
	@echo "make test-sanitize-python  the Python tests of operations and passes on the core under ASan and UBSan"
	@echo "make fuzz           hostile bytes into every reader, FUZZ_SECONDS each (needs clang-14, libclang-rt-14-dev)"
	@echo "make test-interop   the same graphs here and in TensorFlow (installs it into $(VENV)-peers)"
	@echo "make bench          the workloads beside their peers (installs them into $(VENV)-peers)"
	@echo "make stubs          regenerate the types of the core"
	@echo "make docs           regenerate the operation reference and the compatibility table"

# ---- set-up: a stamp for each kind of environment

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The build tools stay in the environment and the build in build/, so that a second build takes seconds.
$(VENV)/tools: $(BIN)/python pyproject.toml
	$(BIN)/pip install -q $$($(BIN)/python tools/requirements.py build examples test lint)
	touch $@

SOURCES := $(shell find core bindings schema tests/cc -name '*.cc' -o -name '*.h' -o -name '*.hpp' -o -name '*.proto') CMakeLists.txt
$(VENV)/built: $(VENV)/tools $(SOURCES)
	$(BIN)/pip install -q --no-build-isolation --no-deps -C cmake.define.HEADRACE_TESTS=ON -e .
	touch $@

demo: $(VENV)/built
	$(BIN)/python examples/digits.py

test: $(VENV)/built
	set -e; for tests in build/cp*/headrace_tests; do $$tests; done
	$(BIN)/python -m pytest -n $(JOBS) tests

test-random: $(VENV)/built
	$(BIN)/python -m tests.ops.random_programs --seed $$($(BIN)/python -c "import time; print(int(time.time()))")

lint: $(VENV)/built
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $$(find core bindings tests/cc tests/fuzz -name '*.cc' -o -name '*.h' -o -name '*.hpp')

format: $(VENV)/tools
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $$(find core bindings tests/cc tests/fuzz -name '*.cc' -o -name '*.h' -o -name '*.hpp')

# ---- longer checks

CORE_ALONE := $(BIN)/cmake -S . -G Ninja -DHEADRACE_PYTHON=OFF -DHEADRACE_TESTS=ON -DPython_EXECUTABLE=$(abspath $(BIN)/python)

# Under ThreadSanitizer, loops run on plain threads instead of OpenMP's (core/base/parallel.cc).
test-sanitize: $(VENV)/tools
	set -e; for kind in address,undefined thread; do \
	  build=build/sanitize-$${kind%%,*}; \
	  $(CORE_ALONE) -B $$build -DHEADRACE_SANITIZE=$$kind; \
	  $(BIN)/ninja -C $$build -j $(JOBS); \
	  $$build/headrace_tests; \
	done

# The library with sanitizers is loaded in place of the one that Python would load. Python's own memory is not
# looked at.
PYTHON_TESTS ?= tests/ops tests/passes
test-sanitize-python: $(VENV)/built
	$(CORE_ALONE) -B build/sanitize-address -DHEADRACE_SANITIZE=address,undefined
	$(BIN)/ninja -C build/sanitize-address -j $(JOBS) libheadrace.so
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so) $(abspath build/sanitize-address/libheadrace.so)" \
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	HEADRACE_NUM_THREADS=1 $(BIN)/python -m pytest -s -n 0 $(PYTHON_TESTS)

# What it finds anew is kept in build/fuzz/corpus; what crashes, in build/fuzz/crash-*.
FUZZ_SECONDS ?= 60
CLANG ?= clang++-14
fuzz: $(VENV)/built
	$(BIN)/cmake -S . -B build/fuzz -G Ninja -DHEADRACE_FUZZ=ON -DCMAKE_CXX_COMPILER=$(CLANG)
	$(BIN)/ninja -C build/fuzz -j $(JOBS)
	set -e; for target in tests/fuzz/corpus/*; do name=$$(basename $$target); mkdir -p build/fuzz/corpus/$$name; \
	  echo "--- $$name"; build/fuzz/fuzz_$$name build/fuzz/corpus/$$name $$target -max_total_time=$(FUZZ_SECONDS) \
	  -rss_limit_mb=2048 -malloc_limit_mb=1024 -timeout=10 -max_len=4096 -artifact_prefix=build/fuzz/crash-$$name- \
	  -print_final_stats=1 -print_funcs=0 -verbosity=0; done
	$(BIN)/python -m tests.fuzz.python_readers --seconds $(FUZZ_SECONDS) --seed $$($(BIN)/python -c "import time; print(int(time.time()))")

$(VENV)-peers/tools:
	$(PYTHON) -m venv $(VENV)-peers
	$(VENV)-peers/bin/pip install -q tensorflow-cpu tensorboard tf_keras torch==2.13.0 jax
	touch $@

# TensorFlow 1.15 needs Python 3.7: with HEADRACE_TF1_PYTHON=.../python, the exchange is tested with it as well.
test-interop: $(VENV)/built $(VENV)-peers/tools
	HEADRACE_PEER_PYTHON=$(abspath $(VENV)-peers/bin/python) $(BIN)/python -m pytest -n $(JOBS) tests/interop

bench: $(VENV)/built $(VENV)-peers/tools
	HEADRACE_PEER_PYTHON=$(abspath $(VENV)-peers/bin/python) $(BIN)/python benchmarks/run.py

stubs: $(VENV)/built
	$(BIN)/python tools/stubs.py

docs: $(VENV)/built
	$(BIN)/python tools/make_docs.py

clean:
	rm -rf build $(VENV) $(VENV)-peers
