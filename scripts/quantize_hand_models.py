#!/usr/bin/env python3
"""Quantizes MediaPipe's full hand landmark network to int8, in which some CPUs run it twice as fast.

    quantize_hand_models.py DIRECTORY    reads hand_landmark_full.onnx of convert_hand_models.py, writes hand_landmark_full_int8.onnx

Static quantization with quantize-dequantize (QDQ) nodes and weights per channel, in 7 bits like the package's own networks. The first six
convolutions and the last layers stay in fp32: in these convolutions int8 saves no time and causes most of the error. The activation
ranges hardly depend on the images, because most activations are limited to 0 to 6, so noise calibrates as well as photos do.
Needs the packages numpy, onnx and onnxruntime.
"""

import logging
import sys
from pathlib import Path

import numpy
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

SIDE = 224
CALIBRATION_IMAGES = 20
# The first convolution in int8.
FIRST = "conv_6"
LAST_LAYERS = {"GlobalAveragePool", "Flatten", "Gemm", "Sigmoid"}


class NoiseImages(CalibrationDataReader):
    """The same images at each run: uniform colors with Gaussian noise."""

    def __init__(self):
        random = numpy.random.default_rng(0)
        self.images = (self.image(random) for _ in range(CALIBRATION_IMAGES))

    @staticmethod
    def image(random):
        color = random.random((1, 3, 1, 1))
        noise = random.normal(0, 0.2, (1, 3, SIDE, SIDE))
        return (color + noise).clip(0, 1).astype(numpy.float32)

    def get_next(self):
        """The next input; `None` after the last one."""
        image = next(self.images, None)
        return None if image is None else {"image": image}


def nodes_in_fp32(model):
    """The names of the nodes that are not quantized."""
    nodes = model.graph.node
    names = [node.name for node in nodes]
    return names[: names.index(FIRST)] + [node.name for node in nodes if node.op_type in LAST_LAYERS]


def quantize(source, target):
    """Reads and writes ONNX files."""
    quantize_static(
        source,
        target,
        NoiseImages(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        # 7 bits: without VNNI, the sum of two products of 8-bit numbers saturates.
        reduce_range=True,
        nodes_to_exclude=nodes_in_fp32(onnx.load(source)),
    )


def main():
    # It recommends a preprocessing of the file that changes nothing for this network.
    logging.disable(logging.WARNING)
    directory = Path(sys.argv[1])
    target = directory / "hand_landmark_full_int8.onnx"
    part = target.with_suffix(".part")
    quantize(directory / "hand_landmark_full.onnx", part)
    part.replace(target)


if __name__ == "__main__":
    main()
