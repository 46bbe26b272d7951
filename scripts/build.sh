#!/usr/bin/env bash
# Builds and installs the package with colcon, into build/ and install/: `make build`, or `colcon build` by hand.
# Further arguments go to colcon.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

# colcon takes every prefix on the path for something that the package is built upon: it must not find the package itself.
# CMake puts the two back for cargo.
own=:$AMENT_PREFIX_PATH:
for directory in "$PWD/build/thumb_gesture/interfaces" "$PWD/install/thumb_gesture"; do own=${own//":$directory:"/:}; done
own=${own#:}
export AMENT_PREFIX_PATH=${own%:}

# cargo's lines are shown as they come: the first build takes minutes.
colcon --log-level error build --base-paths . --event-handlers console_direct+ console_start_end- --executor sequential "$@"
