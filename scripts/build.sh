#!/usr/bin/env bash
# Builds and installs the package with colcon, into build/ and install/: `make build`. Arguments are passed to colcon.
# With THUMB_GESTURE_ROS=kilted into build-kilted/ and install-kilted/, so that both builds stay.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

# colcon treats every prefix in AMENT_PREFIX_PATH as an underlay, so the package itself must not be among them.
# scripts/build_rust.sh.in adds the two again for cargo.
suffix=
if [[ ${THUMB_GESTURE_ROS:-jazzy} != jazzy ]]; then suffix=-$THUMB_GESTURE_ROS; fi
own=:$AMENT_PREFIX_PATH:
for directory in "$PWD/build$suffix/thumb_gesture/interfaces" "$PWD/install$suffix/thumb_gesture"; do own=${own//":$directory:"/:}; done
own=${own#:}
export AMENT_PREFIX_PATH=${own%:}

# Shows the output of cargo while it runs: the first build takes minutes.
colcon --log-level error --log-base "log$suffix" build --build-base "build$suffix" --install-base "install$suffix" --base-paths . --event-handlers console_direct+ console_start_end- --executor sequential "$@"
