#!/bin/bash
# Runs a command with the setup files of ROS and the package sourced.
set -e
. /opt/ros/jazzy/setup.bash
. /thumb_gesture/install/setup.bash
exec "$@"
