#!/usr/bin/env bash
# Builds and installs the package with colcon, into build/ and install/: `make build`. Arguments are passed to colcon.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

# colcon treats every prefix in AMENT_PREFIX_PATH as an underlay, so the package itself must not be among them.
# scripts/build_rust.sh.in adds the two again for cargo.
own=:$AMENT_PREFIX_PATH:
for directory in "$PWD/build/thumb_gesture/interfaces" "$PWD/install/thumb_gesture"; do own=${own//":$directory:"/:}; done
own=${own#:}
export AMENT_PREFIX_PATH=${own%:}

# Shows the output of cargo while it runs: the first build takes minutes.
colcon --log-level error build --base-paths . --event-handlers console_direct+ console_start_end- --executor sequential "$@"
