# The way in: `make` lists what there is. Everything below works on a machine that has gcc, make, Python and cargo alone.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.SILENT:
.PHONY: help setup build test lint demo bench tensorrt-check clean

help: ## This list
	awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Fetch what the build needs into .environment (0.7 GB of downloads)
	scripts/setup.sh

build: setup ## Build messages and node with colcon into install/
	scripts/build.sh

test: ## Run every test (fetches 1.8 GB more, to compare with torchvision)
	scripts/setup.sh --tests
	scripts/build.sh
	. scripts/env.sh
	cargo build --release --locked --no-default-features
	cargo test --release --locked
	python3 -m pytest tests/ros

lint: build ## Check module imports, formatting and lints; warnings are errors
	. scripts/env.sh
	python3 scripts/check_cycles.py
	cargo fmt --check
	cargo clippy --release --locked --all-targets -- -D warnings
	cargo clippy --release --locked --all-targets --no-default-features -- -D warnings

demo: build ## Teach and watch the gestures, without a robot
	. scripts/env.sh
	python3 scripts/demo.py

bench: ## Measure speed on this machine, side by side with Python
	scripts/setup.sh --tests
	scripts/build.sh
	. scripts/env.sh
	cargo build --release --locked --example empty_node
	python3 benches/run.py

tensorrt-check: ## Have TensorRT compile our exports for GPUs that need not be here
	scripts/setup.sh --tests
	scripts/build.sh
	. scripts/env.sh
	cargo test --release --locked --test tensorrt -- --nocapture

clean: ## Remove what was built, keep what was fetched
	rm -rf build install log target
