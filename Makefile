# `make` alone prints what can be made. Nothing here needs more than Go and
# Python 3 with venv, but `make test`, which says what else it misses.

GO       ?= go
PYTHON   ?= python3
PLATFORMS = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

VERSION  := $(shell git -c safe.directory='*' describe --tags --always --dirty 2>/dev/null || echo unversioned)
STARTED  := $(shell date +%s)
NOTEBOOK  = search_versus_random
DEMO      = build/demo
DIST      = dist

# -buildvcs=false: the version is stamped by name, and git refuses to be asked in a
# checkout that belongs to somebody else, as it often does in a container.
GO_BUILD  = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION)"
PIP       = -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Without it a kernel of the same name in the user's own folder would win over .venv's.
JUPYTER   = JUPYTER_PREFER_ENV_PATH=1 "$(CURDIR)/.venv/bin/python"

# A missing tool ends make with one line that names it.
goal      = make $(firstword $(MAKECMDGOALS))
need_go   = $(if $(shell command -v $(GO)),,$(error $(goal) needs Go 1.26 or newer (the program "$(GO)" is not on the PATH; make GO=/path/to/go names another)))
need_python = $(if $(shell command -v $(PYTHON)),,$(error $(goal) needs Python 3.11 or newer with venv (the program "$(PYTHON)" is not on the PATH; Debian: apt-get install python3-venv)))
need_venv = $(need_python)$(if $(filter ok,$(shell $(PYTHON) -c 'import sys, venv, ensurepip; print("ok" if sys.version_info >= (3, 11) else "old")' 2>&1)),,$(error $(goal) needs Python 3.11 or newer with venv ("$(PYTHON)" is older, or lacks it; Debian: apt-get install python3-venv)))

.DEFAULT_GOAL := help
.PHONY: help build demo lab test quick torture bench bench-peers lint dist wheel clean kernelspec venv-test needs

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

build: ## the program, bin/evalnas
	$(need_go)@$(GO_BUILD) -o bin/evalnas .

demo: kernelspec ## execute the notebook and write its HTML to build/demo (Go and Python 3 only)
	@mkdir -p $(DEMO)/study
	@echo "executing notebooks/$(NOTEBOOK).ipynb; its jobs are in build/demo/study"
	@EVALNAS_STUDY="$(CURDIR)/$(DEMO)/study" EVALNAS_HISTORY=off $(JUPYTER) -m nbconvert --log-level WARN --to notebook --execute \
		--output-dir $(DEMO) notebooks/$(NOTEBOOK).ipynb
	@$(JUPYTER) -m nbconvert --log-level ERROR --to html --output-dir $(DEMO) $(DEMO)/$(NOTEBOOK).ipynb
	@echo "build/demo/$(NOTEBOOK).html is ready after $$(( $$(date +%s) - $(STARTED) )) s; make lab opens the notebook itself"

lab: kernelspec ## open JupyterLab on notebooks/; its jobs are kept in notebooks/.evalnas
	@cd notebooks && exec env $(JUPYTER) -m jupyterlab $(if $(filter 0,$(shell id -u)),--allow-root)

test: ## every test, what CI runs: about half an hour on two cores
	$(need_python)@$(PYTHON) tests/run

quick: ## the Go tests alone, about a minute, no network
	$(need_go)@EVALNAS_QUICK=1 $(GO) test -short ./...

torture: ## the long tables: whole index, kill points, minutes of fuzzing, half an hour of use
	$(need_python)@EVALNAS_TORTURE=1 $(PYTHON) tests/run

lint: ## format, vet, staticcheck, layering, nothing of one machine in the files
	$(need_python)@$(PYTHON) tests/run lint staticcheck

bench: bench-peers ## side by side with the peers, one JSON line each (NAME=x for one)
	$(need_go)@EVALNAS_PEER_PYTHON="$(CURDIR)/.venv-bench/bin/python" $(GO) run ./bench $(if $(NAME),-name $(NAME))

bench-peers: .venv-bench/.installed ## install the peers of `make bench` once
	@du -sh .venv-bench | awk '{ print "the peers are in .venv-bench and take " $$1 }'

dist: ## static binaries for linux, darwin and windows, with SHA256SUMS, in dist
	$(need_go)@rm -rf dist && mkdir -p dist
	@set -e; for platform in $(PLATFORMS); do \
		os=$${platform%/*}; arch=$${platform#*/}; \
		name=evalnas-$(VERSION)-$$os-$$arch; [ $$os != windows ] || name=$$name.exe; \
		GOOS=$$os GOARCH=$$arch $(GO_BUILD) -o dist/$$name .; echo dist/$$name; \
	done
	@cd dist && { command -v sha256sum >/dev/null && sha256sum evalnas-* || shasum -a 256 evalnas-*; } > SHA256SUMS

# The kernelspec that is packed is what this program writes itself; install/python has the rest.
wheel: needs .venv-wheel/.installed ## Python wheels with the program and the kernel, in dist (PLATFORMS=linux/amd64 for one)
	@rm -rf build/wheel && mkdir -p build/wheel $(DIST) && rm -f $(DIST)/evalnas-*.whl
	@env -u GOOS -u GOARCH $(GO_BUILD) -o build/wheel/here .
	@build/wheel/here install --json --prefix build/wheel/spec >/dev/null
	@set -e; for platform in $(PLATFORMS); do \
		program="$(CURDIR)/build/wheel/$$platform/evalnas"; \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO_BUILD) -o "$$program" .; \
		(cd install/python && EVALNAS_VERSION="$(VERSION)" EVALNAS_PLATFORM=$$platform EVALNAS_BINARY="$$program" \
			EVALNAS_KERNELSPEC="$(CURDIR)/build/wheel/spec/share/jupyter/kernels/evalnas" \
			"$(CURDIR)/.venv-wheel/bin/python" -m hatchling build -t wheel -d "$(CURDIR)/$(DIST)" >/dev/null); \
	done
	@ls $(DIST)/evalnas-*.whl

clean: ## remove everything that was built or installed here; studies stay
	rm -rf bin build dist .venv .venv-bench .venv-python .venv-wheel tests/browser/node_modules

# Asked before anything is built: a missing Python is not found out a minute later.
needs:
	$(need_go)$(need_venv)@:

kernelspec: needs build .venv/.installed
	@VIRTUAL_ENV="$(CURDIR)/.venv" bin/evalnas install --sys-prefix

venv-test: kernelspec .venv/.installed-test

.venv/.installed: requirements.txt constraints.txt
	@echo "installing JupyterLab, nbconvert and nbclient into .venv"
	@$(PYTHON) -m venv .venv
	@.venv/bin/python $(PIP) -r requirements.txt
	@touch $@

.venv/.installed-test: .venv/.installed requirements-test.txt
	@.venv/bin/python $(PIP) -r requirements-test.txt
	@touch $@

.venv-wheel/.installed: requirements-wheel.txt constraints.txt
	@$(PYTHON) -m venv .venv-wheel
	@.venv-wheel/bin/python $(PIP) -r requirements-wheel.txt
	@touch $@

.venv-python/.installed: requirements-python.txt constraints.txt
	@$(PYTHON) -m venv .venv-python
	@.venv-python/bin/python $(PIP) -r requirements-python.txt
	@touch $@

.venv-bench/.installed: requirements-bench.txt constraints.txt
	$(need_venv)@echo "installing the peers into .venv-bench"
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python $(PIP) -r requirements-bench.txt
	@.venv-bench/bin/python $(PIP) --no-deps syne-tune
	@/usr/bin/python3 -c 'import torch' 2>/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-torch; } || \
		echo "no PyTorch for the training benchmarks: install Debian's python3-torch, or set EVALNAS_TORCH_PYTHON"
	@touch $@
