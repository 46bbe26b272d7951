#!/usr/bin/env bash
# Writes requirements/*.txt, with versions and hashes, from requirements/*.in. For maintainers: run it after editing an .in file,
# or with --upgrade to update all versions. Needs uv (pip install uv). Each lock file is valid for CPython 3.10 to 3.13.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../requirements"

# A private package directory would add hashes of its own builds to the lock files.
unset PIP_FIND_LINKS UV_FIND_LINKS

# Packages that only Windows needs.
windows=(colorama coloredlogs humanfriendly pyreadline3 pywin32)

lock() { # name, further arguments of uv
    local name=$1
    shift
    echo "requirements/$name.txt"
    uv pip compile --quiet --universal --python-version "${python:-3.10}" --generate-hashes --no-header --no-annotate \
        "${windows[@]/#/--no-emit-package=}" "${upgrade[@]}" "$@" "$name.in" -o "$name.txt"
}

upgrade=("$@")
lock pip
lock tools
lock colcon -c tools.txt
lock ros -c colcon.txt -c tools.txt
lock ros_kilted -c colcon.txt -c tools.txt
lock browser -c colcon.txt
lock examples -c colcon.txt -c ros.txt -c ros_kilted.txt
# Installed with --no-deps: only the packages that the .in file lists.
python=3.12 lock onnxruntime --no-deps
python=3.12 lock onnxruntime_cuda13 --no-deps
python=3.12 lock onnxruntime_cuda12 --no-deps
python=3.12 lock tensorrt_rtx --no-deps
lock weights --no-deps
python=3.12 lock hand_models --no-deps
lock hand_tools --no-deps
# tch uses the C++ libraries only: without the GPU kernel compiler and the Python bindings.
lock libtorch_cuda --no-emit-package=triton --no-emit-package=cuda-bindings --no-emit-package=cuda-pathfinder
lock libtorch --no-deps -c libtorch_cuda.txt
lock torchvision --no-deps -c libtorch_cuda.txt
lock mediapipe --no-deps
