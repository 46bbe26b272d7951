#!/usr/bin/env python3
"""Converts MediaPipe's palm detectors and hand landmark networks from TensorFlow Lite to ONNX.

    convert_hand_models.py SOURCE TARGET    reads {palm_detection,hand_landmark}_{lite,full}.tflite in SOURCE, writes .onnx files in TARGET

An ONNX file has one input, `image`, of 1x3xHxW values from 0 to 1, red first; TensorFlow Lite has the channels last. The weights, which
have half precision in the source, become single precision.
Supports the operators of these four files and rejects others. Needs the packages tflite, numpy and onnx.
"""

import hashlib
import os
import sys
from pathlib import Path

import numpy
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

PALM_OUTPUTS = {"Identity": "boxes", "Identity_1": "scores"}
HAND_OUTPUTS = {
    "Identity": "landmarks",
    "Identity_1": "presence",
    "Identity_2": "handedness",
    "Identity_3": "world_landmarks",
}
# For each network the hash of its file in mediapipe 0.10.21, and the names of its outputs.
NETWORKS = {
    "palm_detection_lite": (
        "e9a4aaddf90dda56a87235303cf00e4c2d3fb28725f68fd88772997dac905c18",
        PALM_OUTPUTS,
    ),
    "palm_detection_full": (
        "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
        PALM_OUTPUTS,
    ),
    "hand_landmark_lite": (
        "048edd3645c9bf7397d19a9f6e3a42957d6e414c9bea6598030a2e9b624156e6",
        HAND_OUTPUTS,
    ),
    "hand_landmark_full": (
        "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
        HAND_OUTPUTS,
    ),
}

OPERATORS = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}


def same_padding(size, kernel, stride):
    """TensorFlow's padding SAME along one axis: pixels before and after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def planar(shape):
    """The shape of a tensor with the channels first; other shapes stay."""
    return [shape[0], shape[3], shape[1], shape[2]] if len(shape) == 4 else list(shape)


class Converter:
    """Appends the ONNX nodes of one operator after the other. Four-dimensional values have the channels first."""

    def __init__(self, data, output_names):
        self.model = tflite.Model.GetRootAs(data, 0)
        self.graph = self.model.Subgraphs(0)
        self.output_names = output_names
        self.nodes = []
        self.weights = []
        # For each index of a tensor that is computed, its name in the ONNX file; for each constant, its value.
        self.names = {self.graph.Inputs(0): "image"}
        self.constants = {}

    def convert(self, name):
        """The ONNX graph."""
        for index in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(index)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            # The older field holds at most 127.
            kind = OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            if not hasattr(self, kind.lower()):
                raise ValueError(f"operator {kind} is not supported")
            getattr(self, kind.lower())(operator)
        outputs = [self.value(index) for index in self.graph.OutputsAsNumpy()]
        return helper.make_graph(self.nodes, name, [self.value(self.graph.Inputs(0))], outputs, self.weights)

    # Tensors

    def shape(self, index):
        return [int(size) for size in self.graph.Tensors(index).ShapeAsNumpy()]

    def value(self, index):
        return helper.make_tensor_value_info(self.names[index], TensorProto.FLOAT, planar(self.shape(index)))

    def constant(self, index):
        if index in self.constants:
            return self.constants[index]
        tensor = self.graph.Tensors(index)
        types = {tflite.TensorType.FLOAT16: "<f2", tflite.TensorType.FLOAT32: "<f4", tflite.TensorType.INT32: "<i4"}
        data = self.model.Buffers(tensor.Buffer()).DataAsNumpy()
        return data.view(types[tensor.Type()]).reshape(self.shape(index))

    def weight(self, name, values):
        self.weights.append(numpy_helper.from_array(numpy.ascontiguousarray(values), name))
        return name

    def node(self, operator, kind, inputs, weights=(), **attributes):
        """Appends a node that computes the output of an operator. Weights are pairs of a name and values."""
        self.append(kind, [self.names[index] for index in inputs], operator.Outputs(0), weights, **attributes)

    def append(self, kind, inputs, output, weights=(), **attributes):
        count = sum(node.op_type == kind for node in self.nodes)
        name = f"{kind.lower()}_{count}"
        inputs = inputs + [self.weight(f"{name}.{part}", values) for part, values in weights]
        result = self.output_names.get(self.graph.Tensors(output).Name().decode(), name)
        self.nodes.append(helper.make_node(kind, inputs, [result], name, **attributes))
        self.names[output] = result

    def activate(self, operator, function):
        if function == tflite.ActivationFunctionType.RELU6:
            limits = [("min", numpy.float32(0)), ("max", numpy.float32(6))]
            self.append("Clip", [self.names[operator.Outputs(0)]], operator.Outputs(0), limits)
        elif function != tflite.ActivationFunctionType.NONE:
            raise ValueError(f"activation function {function} is not supported")

    # Operators, by their names in TensorFlow Lite

    def dequantize(self, operator):
        self.constants[operator.Outputs(0)] = self.constant(operator.Inputs(0)).astype(numpy.float32)

    def conv_2d(self, operator):
        # From (out, height, width, in) to (out, in, height, width).
        kernel = self.constant(operator.Inputs(1)).transpose(0, 3, 1, 2)
        self.convolve(operator, tflite.Conv2DOptions(), kernel, group=1)

    def depthwise_conv_2d(self, operator):
        # From (1, height, width, channels) to (channels, 1, height, width).
        kernel = self.constant(operator.Inputs(1)).transpose(3, 0, 1, 2)
        self.convolve(operator, tflite.DepthwiseConv2DOptions(), kernel, group=kernel.shape[0])

    def convolve(self, operator, options, kernel, group):
        options.Init(operator.BuiltinOptions().Bytes, operator.BuiltinOptions().Pos)
        weights = [("weight", kernel), ("bias", self.constant(operator.Inputs(2)))]
        window = self.window(operator, options, kernel.shape[2:])
        self.node(operator, "Conv", [operator.Inputs(0)], weights, group=group, **window)
        self.activate(operator, options.FusedActivationFunction())

    def window(self, operator, options, kernel):
        """The attributes that convolution and pooling share."""
        strides = [options.StrideH(), options.StrideW()]
        padding = [(0, 0), (0, 0)]
        if options.Padding() == tflite.Padding.SAME:
            sizes = self.shape(operator.Inputs(0))[1:3]
            padding = [same_padding(*axis) for axis in zip(sizes, kernel, strides)]
        pads = [before for before, _ in padding] + [after for _, after in padding]
        return {"kernel_shape": list(kernel), "strides": strides, "pads": pads}

    def max_pool_2d(self, operator):
        options = tflite.Pool2DOptions()
        options.Init(operator.BuiltinOptions().Bytes, operator.BuiltinOptions().Pos)
        window = self.window(operator, options, (options.FilterHeight(), options.FilterWidth()))
        self.node(operator, "MaxPool", [operator.Inputs(0)], **window)

    def prelu(self, operator):
        """Appends slope * x + (1 - slope) * relu(x), with convolutions that multiply each channel by a number: with these, ONNX Runtime
        keeps its memory layout from layer to layer, and the palm detector takes half as long as with PRelu."""
        slope = self.constant(operator.Inputs(1)).reshape(-1, 1, 1, 1)
        output = operator.Outputs(0)
        self.node(operator, "Conv", [operator.Inputs(0)], [("weight", slope)], group=len(slope))
        scaled = self.names[output]
        self.node(operator, "Relu", [operator.Inputs(0)])
        self.append("Conv", [self.names[output]], output, [("weight", 1 - slope)], group=len(slope))
        self.append("Add", [scaled, self.names[output]], output)

    def add(self, operator):
        self.node(operator, "Add", [operator.Inputs(0), operator.Inputs(1)])

    def pad(self, operator):
        before, after = self.constant(operator.Inputs(1)).T
        pads = numpy.array(planar(before) + planar(after), numpy.int64)
        self.node(operator, "Pad", [operator.Inputs(0)], [("pads", pads)])

    def resize_bilinear(self, operator):
        sizes = numpy.array(planar(self.shape(operator.Outputs(0))), numpy.int64)
        # An empty name leaves out an optional input.
        inputs = [self.names[operator.Inputs(0)], "", ""]
        self.append("Resize", inputs, operator.Outputs(0), [("sizes", sizes)], mode="linear")

    def reshape(self, operator):
        """Reshapes rows of anchors, whose values are neighbors only if the channels are last."""
        output = operator.Outputs(0)
        self.node(operator, "Transpose", [operator.Inputs(0)], perm=[0, 2, 3, 1])
        shape = numpy.array(self.shape(output), numpy.int64)
        self.append("Reshape", [self.names[output]], output, [("shape", shape)])

    def concatenation(self, operator):
        self.node(operator, "Concat", [operator.Inputs(0), operator.Inputs(1)], axis=1)

    def mean(self, operator):
        """The mean over all pixels."""
        self.node(operator, "GlobalAveragePool", [operator.Inputs(0)])
        self.append("Flatten", [self.names[operator.Outputs(0)]], operator.Outputs(0))

    def fully_connected(self, operator):
        weights = [("weight", self.constant(operator.Inputs(1))), ("bias", self.constant(operator.Inputs(2)))]
        self.node(operator, "Gemm", [operator.Inputs(0)], weights, transB=1)

    def logistic(self, operator):
        self.node(operator, "Sigmoid", [operator.Inputs(0)])


def convert(name, data):
    """Converts a network; raises ValueError if the hash of its file is not the known one."""
    known, output_names = NETWORKS[name]
    found = hashlib.sha256(data).hexdigest()
    if found != known:
        raise ValueError(f"{name}.tflite has sha256 {found}, must be {known}")
    # The versions of src/network/onnx.rs.
    opset = [helper.make_opsetid("", 13)]
    graph = Converter(data, output_names).convert(name)
    model = helper.make_model(graph, producer_name="thumb_gesture", ir_version=8, opset_imports=opset)
    source = {"source": f"{name}.tflite of mediapipe 0.10.21", "source_sha256": known, "license": "Apache-2.0"}
    helper.set_model_props(model, source)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def write(path, data):
    """Writes a temporary file and renames it, so that the file is complete or absent."""
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def main():
    source, target = map(Path, sys.argv[1:])
    target.mkdir(parents=True, exist_ok=True)
    for name in NETWORKS:
        write(target / f"{name}.onnx", convert(name, (source / f"{name}.tflite").read_bytes()))


if __name__ == "__main__":
    main()
