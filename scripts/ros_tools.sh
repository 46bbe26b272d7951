#!/usr/bin/env bash
# Assembles launch, launch_ros and ros2cli of ROS 2 from their public sources, for the tests that need them: they are on no package
# registry, and a ROS from apt has them anyway.
#
#   scripts/ros_tools.sh DIRECTORY      # outside the repository, for example ~/ros_tools
#   . scripts/env.sh
#   . DIRECTORY/setup.sh
#   python3 -m pytest tests/ros/test_launch.py
#
# Needs the environment of scripts/setup.sh, git, and access to github.com and PyPI. ROS_TOOLS_SOURCE: another place of the repositories.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source=${ROS_TOOLS_SOURCE:-https://github.com/ros2}

declare -A packages=(
    [launch]="launch launch_xml launch_yaml"
    [launch_ros]="launch_ros ros2launch"
    [rosidl_runtime_py]="."
    [ros2cli]="ros2cli ros2run ros2pkg ros2node ros2topic ros2service ros2param ros2interface ros2lifecycle"
)
# What they import besides each other and the wheels of ROS.
requirements=(osrf-pycommon==2.0.2 lark==1.3.1 argcomplete==3.7.2 psutil==7.2.2 importlib-metadata==10.2.0 zipp==4.1.2)

if [[ $# -ne 1 ]]; then
    sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
mkdir -p "$1"
directory=$(cd "$1" && pwd)
# shellcheck source=scripts/env.sh
. "$repository/scripts/env.sh"

# Of the environment: THUMB_GESTURE_ROS selects it.
branch=$ROS_DISTRO
sources=$directory/sources
prefix=$directory/prefix
# Everything in it is replaced.
if [[ -n $(ls -A "$directory") ]] && ! grep -qs "^# Written by scripts/ros_tools.sh" "$directory/setup.sh"; then
    echo "ros_tools: $directory is not empty; choose a new directory" >&2
    exit 1
fi
echo "# Written by scripts/ros_tools.sh" >"$directory/setup.sh"
rm -rf "$sources" "$prefix" "$directory"/{build,interfaces,log}
install=(python3 -m pip --disable-pip-version-check install --quiet --quiet --no-deps --ignore-installed --prefix "$prefix")
"${install[@]}" "${requirements[@]}"
for name in launch launch_ros rosidl_runtime_py ros2cli; do
    git clone --quiet --depth 1 --branch "$branch" "$source/$name" "$sources/$name"
    for package in ${packages[$name]}; do
        echo "$name/$package"
        # Their setup.py is of an older style, of which setuptools warns at length.
        "${install[@]}" --no-build-isolation "$sources/$name/$package" 2>"$directory/warnings.txt" || {
            cat "$directory/warnings.txt" >&2
            exit 1
        }
    done
done

# launch_ros imports an interface that no wheel has.
git clone --quiet --depth 1 --branch "$branch" "$source/rcl_interfaces" "$sources/rcl_interfaces"
echo composition_interfaces
(cd "$directory" && colcon --log-base log build --base-paths "$sources/rcl_interfaces/composition_interfaces" \
    --build-base build --install-base interfaces --merge-install --cmake-args -DBUILD_TESTING=OFF)

site=$(echo "$prefix"/lib/python*/site-packages)
cat >>"$directory/setup.sh" <<SETUP
export PYTHONPATH="$site\${PYTHONPATH:+:\$PYTHONPATH}"
export AMENT_PREFIX_PATH="\${AMENT_PREFIX_PATH:+\$AMENT_PREFIX_PATH:}$prefix"
export PATH="$prefix/bin:\$PATH"
. "$directory/interfaces/local_setup.sh"
SETUP
echo "ready: . $directory/setup.sh"
