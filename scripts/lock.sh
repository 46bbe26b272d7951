#!/usr/bin/env bash
# Writes requirements/*.txt, versions and hashes, from the short requirements/*.in. For maintainers: run it after editing
# an .in file, or with --upgrade to move every version. Needs `uv` (pip install uv). One lock serves CPython 3.10 to 3.13.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../requirements"

# A private package directory would put its own builds' hashes into the lock.
unset PIP_FIND_LINKS UV_FIND_LINKS

# What Windows alone asks for would be noise.
windows=(colorama coloredlogs humanfriendly pyreadline3 pywin32)

lock() { # name, further options of uv
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
# Installed with --no-deps, piece by piece: nothing here but what is named in the file.
python=3.12 lock onnxruntime --no-deps
lock weights --no-deps
# tch calls the C++ libraries alone: no compiler of GPU kernels, no bindings for Python.
lock libtorch_cuda --no-emit-package=triton --no-emit-package=cuda-bindings --no-emit-package=cuda-pathfinder
lock libtorch --no-deps -c libtorch_cuda.txt
lock torchvision --no-deps -c libtorch_cuda.txt
