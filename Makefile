# `make` lists the targets. They need gcc, make, Python and cargo; scripts/setup.sh installs the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.SILENT:
.PHONY: help setup build test test-kilted torture lint demo teach bench network-bench tensorrt-check gpu-check arm64-check deb deb-check clean

help: ## List the targets
	awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install the build's dependencies into .environment (0.7 GB of downloads)
	scripts/setup.sh

build: setup ## Build messages, node and command line with colcon into install/
	scripts/build.sh

test: ## Run all tests (downloads another 2 GB, to compare with torchvision)
	scripts/setup.sh --tests
	scripts/build.sh
	scripts/test.sh

test-kilted: ## Build with ROS 2 Kilted into build-kilted/ and install-kilted/, and run the tests of the node
	export THUMB_GESTURE_ROS=kilted
	scripts/setup.sh --tests
	scripts/build.sh
	. scripts/env.sh
	THUMB_GESTURE_REQUIRE=examples,$${THUMB_GESTURE_REQUIRE:-} python3 -m pytest -rs tests/ros

torture: ## Attack the package with kills, full disks, service calls and fuzzed files; MINUTES=30, SEED=1
	scripts/setup.sh --tests
	scripts/build.sh
	. scripts/env.sh
	python3 torture/run.py --minutes "$${MINUTES:-30}" --seed "$${SEED:-1}"

lint: build ## Check module imports, formatting and lints; warnings are errors
	. scripts/env.sh
	python3 scripts/check_cycles.py
	cargo fmt --all --check
	cargo clippy --release --locked --all-targets -- -D warnings
	cargo clippy --release --locked --workspace --all-targets --no-default-features --features torch -- -D warnings
	cargo clippy --release --locked --no-default-features --features ros -- -D warnings

demo: build ## Train on drawn hands and classify them, without a robot
	. scripts/env.sh
	python3 scripts/demo.py

teach: build ## Teach the node in a browser, with this computer's camera; frames and models are kept in ~/.local/share/thumb_gesture
	. scripts/env.sh
	exec python3 scripts/teach.py

bench: ## Measure speed and accuracy on this machine, in comparison with Python; PEOPLE=DIR has photos of other people by label
	scripts/setup.sh --tests --mediapipe
	scripts/build.sh
	. scripts/env.sh
	cargo build --release --locked --example empty_node
	python3 benches/run.py $${PEOPLE:+--people "$$PEOPLE"}

network-bench: ## Measure how images arrive over networks with loss, in network namespaces; needs root
	scripts/setup.sh --tests
	scripts/build.sh
	. scripts/env.sh
	python3 benches/network.py

tensorrt-check: ## Compile exported models with TensorRT; needs no GPU
	scripts/setup.sh --tests
	scripts/build.sh
	. scripts/env.sh
	THUMB_GESTURE_REQUIRE=torch,tensorrt cargo test --release --locked --test tensorrt

gpu-check: ## Check training and inference on this machine's NVIDIA GPU; PHOTOS=DIR has photos by label
	scripts/setup.sh --tests
	. scripts/env.sh
	cargo build --release --locked --no-default-features --features torch --bin thumb_gesture
	python3 scripts/gpu_check.py --program "$$CARGO_TARGET_DIR/release/thumb_gesture" \
		--photos "$${PHOTOS:-../shared/photos}" $${ONNXRUNTIME:+--onnxruntime "$$ONNXRUNTIME"}

arm64-check: build ## Build the command line for arm64 and run it under emulation; needs root, debootstrap, qemu-user-static, an hour
	. scripts/env.sh
	python3 scripts/arm64_check.py --photos "$${PHOTOS:-../shared/photos}"

deb: setup ## Build a Debian package for this system in build/deb; a build of its own, minutes
	. scripts/env.sh
	python3 scripts/deb.py

deb-check: deb ## Install the Debian package into an empty system and run it there; needs root and debootstrap, two minutes after the build
	. scripts/env.sh
	python3 -m pytest -rs tests/deb

clean: ## Remove build outputs, keep downloads
	rm -rf build{,-kilted} install{,-kilted} log{,-kilted} target
