# shellcheck shell=bash
# Source this in bash or zsh, from any directory: `. scripts/env.sh`. Adds the environment that scripts/setup.sh installed, and
# the package once it is built, to the search paths. Sourcing it twice has no further effect. After it, `cargo build --release`
# has the same environment as `colcon build`, so that nothing is compiled twice.
# THUMB_GESTURE_ENVIRONMENT and THUMB_GESTURE_ROS are those of scripts/setup.sh.
# It runs in the user's shell: no `set`, no word splitting (zsh does none), and it leaves nothing behind except the variables.

# Moves or adds a directory to the front of a path list.
_thumb_gesture_prepend() { # variable, directory
    eval "_thumb_gesture_list=\":\${$1:-}:\""
    while :; do
        case $_thumb_gesture_list in
        *":$2:"*) _thumb_gesture_list="${_thumb_gesture_list%%":$2:"*}:${_thumb_gesture_list#*":$2:"}" ;;
        *) break ;;
        esac
    done
    _thumb_gesture_list=${_thumb_gesture_list#:}
    _thumb_gesture_list=${_thumb_gesture_list%:}
    export "$1=$2${_thumb_gesture_list:+:$_thumb_gesture_list}"
}

_thumb_gesture_fail() {
    printf 'env.sh: %s\n' "$1" >&2
    return 1
}

_thumb_gesture_use_ros_wheels() { # venv, site-packages, distribution
    if [ -n "${AMENT_PREFIX_PATH:-}" ]; then
        case ":$AMENT_PREFIX_PATH:" in
        *":$1:"*) ;;
        *)
            _thumb_gesture_fail "a ROS 2 is sourced that scripts/setup.sh did not use; run scripts/setup.sh again, or start a new shell"
            return 1
            ;;
        esac
    fi
    while IFS= read -r _thumb_gesture_directory; do
        _thumb_gesture_prepend LD_LIBRARY_PATH "$_thumb_gesture_directory"
    done <<LIBRARIES
$(find "$2" -maxdepth 1 -name 'ros_*.libs' | LC_ALL=C sort -r)
LIBRARIES
    _thumb_gesture_prepend LD_LIBRARY_PATH "$1/lib"
    _thumb_gesture_prepend AMENT_PREFIX_PATH "$1"
    export ROS_DISTRO="$3" ROS_VERSION=2
    # Prevents the start-up hook of the wheels from running Python a second time to set LD_LIBRARY_PATH.
    export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
}

# Variables of bindgen, r2r, tch and ort.
_thumb_gesture_use_libraries() { # repository, environment, site-packages
    export LIBCLANG_PATH="$3/clang/native"
    # PyPI's libclang has no headers such as stddef.h: use those of gcc.
    BINDGEN_EXTRA_CLANG_ARGS="-I$(gcc -print-file-name=include)"
    export BINDGEN_EXTRA_CLANG_ARGS
    # The packages that r2r generates bindings for, read from CMakeLists.txt: r2r is rebuilt whenever the value differs.
    IDL_PACKAGE_FILTER=$(sed -n 's/^set(IDL_PACKAGES "\(.*\)")$/\1/p' "$1/CMakeLists.txt")
    export IDL_PACKAGE_FILTER
    LIBTORCH=$(cd "$2/libtorch" && pwd -P)
    export LIBTORCH
    _thumb_gesture_prepend LD_LIBRARY_PATH "$LIBTORCH/lib"
    export ORT_DYLIB_PATH="$2/lib/libonnxruntime.so"
    # ONNX Runtime would store events in ~/.cache and send them; the programs set this variable themselves.
    export ORT_DISABLE_TELEMETRY=1
    # An installed program finds the installed weights; one in cargo's target directory needs this.
    export THUMB_GESTURE_PRETRAINED="${THUMB_GESTURE_PRETRAINED:-$2/weights}"
}

# The package in build/ and install/, or build-kilted/ and install-kilted/, built or not. The staged interfaces come first, as in
# scripts/build_rust.sh.in: r2r is rebuilt whenever AMENT_PREFIX_PATH differs.
_thumb_gesture_use_package() { # repository, site-packages, suffix of the distribution
    _thumb_gesture_directory=$1/install$3/thumb_gesture
    _thumb_gesture_prepend AMENT_PREFIX_PATH "$_thumb_gesture_directory"
    _thumb_gesture_prepend AMENT_PREFIX_PATH "$1/build$3/thumb_gesture/interfaces"
    _thumb_gesture_prepend LD_LIBRARY_PATH "$_thumb_gesture_directory/lib"
    _thumb_gesture_prepend LD_LIBRARY_PATH "$1/build$3/thumb_gesture/interfaces/lib"
    _thumb_gesture_prepend PYTHONPATH "$_thumb_gesture_directory/lib/$(basename "$(dirname "$2")")/site-packages"
    _thumb_gesture_prepend PATH "$_thumb_gesture_directory/lib/thumb_gesture"
    export CARGO_TARGET_DIR="$1/build$3/thumb_gesture/cargo"
    # Larger shared memory, without which most best-effort images over 0.5 MB are lost. After Jazzy another variable
    # is read; the old one causes a warning, and errors if both are set to different files.
    if [ "${ROS_DISTRO:-jazzy}" = jazzy ]; then
        export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE:-$1/config/fastdds.xml}"
    else
        export FASTDDS_DEFAULT_PROFILES_FILE="${FASTDDS_DEFAULT_PROFILES_FILE:-$1/config/fastdds.xml}"
    fi
    # Redundant with AMENT_PREFIX_PATH, and r2r is rebuilt whenever it differs.
    unset CMAKE_PREFIX_PATH
}

# r2r does not know Kilted: scripts/kilted/cargo starts cargo with the name of a distribution that it knows.
_thumb_gesture_use_cargo() { # repository
    if [ "${ROS_DISTRO:-}" = kilted ]; then _thumb_gesture_prepend PATH "$1/scripts/kilted"; fi
}

_thumb_gesture_source() { # this file
    _thumb_gesture_repository=$(cd "$(dirname "$1")/.." >/dev/null && pwd)
    _thumb_gesture_environment=${THUMB_GESTURE_ENVIRONMENT:-$_thumb_gesture_repository/.environment}
    case ${THUMB_GESTURE_ROS:-jazzy} in
    jazzy) _thumb_gesture_suffix= ;;
    kilted) _thumb_gesture_suffix=-kilted ;;
    *)
        _thumb_gesture_fail "THUMB_GESTURE_ROS is $THUMB_GESTURE_ROS, must be jazzy or kilted"
        return 1
        ;;
    esac
    if [ ! -e "$_thumb_gesture_environment/stamps/weights" ] || [ ! -e "$_thumb_gesture_environment/ros$_thumb_gesture_suffix" ]; then
        _thumb_gesture_fail "$_thumb_gesture_environment is incomplete; run ${_thumb_gesture_suffix:+THUMB_GESTURE_ROS=kilted }$_thumb_gesture_repository/scripts/setup.sh"
        return 1
    fi
    _thumb_gesture_ros=$(cat "$_thumb_gesture_environment/ros$_thumb_gesture_suffix")
    if [ "$_thumb_gesture_ros" != wheels ] && [ -z "${AMENT_PREFIX_PATH:-}" ]; then
        _thumb_gesture_fail "no ROS 2 is sourced; run: . $_thumb_gesture_ros/setup.bash"
        return 1
    fi
    _thumb_gesture_venv=$_thumb_gesture_environment/venv$_thumb_gesture_suffix
    _thumb_gesture_packages=$(find "$_thumb_gesture_venv/lib" -maxdepth 2 -path '*/python3.*/site-packages')
    if [ "$_thumb_gesture_ros" = wheels ]; then
        _thumb_gesture_use_ros_wheels "$_thumb_gesture_venv" "$_thumb_gesture_packages" "${THUMB_GESTURE_ROS:-jazzy}" || return 1
    fi
    _thumb_gesture_prepend PATH "$_thumb_gesture_venv/bin"
    _thumb_gesture_use_libraries "$_thumb_gesture_repository" "$_thumb_gesture_environment" "$_thumb_gesture_packages"
    _thumb_gesture_use_package "$_thumb_gesture_repository" "$_thumb_gesture_packages" "$_thumb_gesture_suffix"
    _thumb_gesture_use_cargo "$_thumb_gesture_repository"
    if [ -e "$_thumb_gesture_environment/stamps/torchvision" ]; then
        export THUMB_GESTURE_TEST_PYTHON="$_thumb_gesture_environment/torchvision/bin/thumb_gesture_python"
    fi
    if [ -e "$_thumb_gesture_environment/stamps/mediapipe_python" ]; then
        export THUMB_GESTURE_MEDIAPIPE_PYTHON="$_thumb_gesture_environment/mediapipe_python/bin/python"
    fi
}

if [ -n "${ZSH_VERSION:-}" ]; then
    eval '_thumb_gesture_file=${(%):-%x}'
else
    _thumb_gesture_file=${BASH_SOURCE[0]}
fi
_thumb_gesture_status=0
_thumb_gesture_source "$_thumb_gesture_file" || _thumb_gesture_status=1
unset _thumb_gesture_list _thumb_gesture_directory _thumb_gesture_repository _thumb_gesture_environment _thumb_gesture_ros \
    _thumb_gesture_suffix _thumb_gesture_venv _thumb_gesture_packages _thumb_gesture_file
unset -f _thumb_gesture_prepend _thumb_gesture_fail _thumb_gesture_use_ros_wheels _thumb_gesture_use_libraries \
    _thumb_gesture_use_package _thumb_gesture_use_cargo _thumb_gesture_source
# `.` returns the status of the last command.
if [ "$_thumb_gesture_status" = 0 ]; then unset _thumb_gesture_status; else unset _thumb_gesture_status && false; fi
