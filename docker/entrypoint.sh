#!/bin/bash
# Runs a command with ROS and the package on its search paths.
set -e
. /opt/ros/jazzy/setup.bash
. /thumb_gesture/install/setup.bash
exec "$@"
