#!/usr/bin/env bash
# Runs every test, of Rust and of ROS, and lists the skipped ones with their reasons at the end: `make test`.
#
# A test that this machine cannot run is skipped. A test that lacks what `scripts/setup.sh --tests` installs fails, as does one that
# lacks a requirement named in THUMB_GESTURE_REQUIRE (tests/support/runner.rs, tests/ros/conftest.py).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

export THUMB_GESTURE_REQUIRE=torch,openvino,tensorrt,litert,examples,${THUMB_GESTURE_REQUIRE:-}

run_tests() {
    cargo test --release --locked --no-fail-fast
    python3 -m pytest -rs tests/ros
    python3 -m pytest -rs tests/network
    python3 -m pytest -rs tests/zenoh
    python3 -m pytest -rs tests/browser
    python3 torture/run.py --minutes 3 --skip soak
}

list_skipped() { # the output of cargo test and pytest
    awk '
        / Running / { file = $2 == "unittests" ? $3 : $2 }
        /^test .* \.\.\. ignored/ { sub(/^test /, ""); sub(/ +\.\.\. ignored(, | \()?/, ": "); sub(/\)$/, ""); print file ": " $0 }
        /^[a-z][a-z\/ ]+ +skipped  / { sub(/ +skipped +/, ": "); print }
        /^SKIPPED \[/ { sub(/^SKIPPED \[[0-9]+\] /, ""); print }
    ' "$1"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# `set -e` has no effect in a function that runs in a condition, hence a subshell and its status.
set +e
(set -e; run_tests) 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
set -e
skipped=$(list_skipped "$log")
printf '\nSkipped tests:\n%s\n' "${skipped:-none}"
exit "$status"
