# shellcheck shell=bash
# Sourced by setup.sh and arm64_check.py.

# Moves libtorch for the CPU out of PyPI's wheels, without CUDA and Python. torch-sys links libtorch_cuda if it exists, so it is left
# out, and libtorch.so, a stub that needs it, is replaced by a link.
take_libtorch_cpu() { # directory of the wheels, directory for libtorch
    mkdir -p "$2/lib"
    mv "$1/torch/include" "$2/include"
    mv "$1"/torch/lib/{libc10.so,libtorch_cpu.so,libgomp.so.1} "$2/lib/"
    find "$1/nvidia" \( -name 'libcudart.so.*' -o -name 'libcupti.so.*' \) -exec mv {} "$2/lib/" \;
    # libtorch needs these on arm64.
    find "$1/torch/lib" \( -name 'libarm_compute*.so' -o -name 'libnvpl_*.so.0' \) -exec mv {} "$2/lib/" \;
    ln -s libtorch_cpu.so "$2/lib/libtorch.so"
    # For packages of these libraries.
    mkdir "$2/licenses"
    local wheel
    for wheel in "$1"/*.dist-info; do
        if [[ -d $wheel/licenses ]]; then mv "$wheel/licenses" "$2/licenses/$(basename "$wheel" .dist-info)"; fi
    done
    # torch-sys compares this with the version that it supports.
    sed -n "s/^__version__ = '\([0-9.]*\).*/\1/p" "$1/torch/version.py" >"$2/build-version"
}
