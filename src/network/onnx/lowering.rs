//! Conversion of layers to the nodes of an fp32 graph. Nodes reference their parameters by name.

use super::proto::{Attribute, Node};
use super::{INPUT_NAME, OUTPUT_NAME};
use crate::network::{Join, Layer, Network, Shape};

/// The nodes of these layers, in order. Nodes are named after their operator and index, such as `conv_0`.
pub(super) fn nodes(layers: &[Layer]) -> Vec<Node> {
    let mut lowering = Lowering::default();
    lowering.layers(layers, (INPUT_NAME.to_owned(), Network::INPUT));
    if let Some(last) = lowering.nodes.last_mut() {
        last.outputs = vec![OUTPUT_NAME.to_owned()];
    }
    lowering.nodes
}

/// Name and shape of a value in the graph.
type Value = (String, Shape);

#[derive(Default)]
struct Lowering {
    nodes: Vec<Node>,
}

impl Lowering {
    fn layers(&mut self, layers: &[Layer], input: Value) -> Value {
        layers.iter().fold(input, |value, layer| self.layer(layer, value))
    }

    fn layer(&mut self, layer: &Layer, (input, shape): Value) -> Value {
        let output = layer.output_shape(shape);
        let name = match layer {
            Layer::Branches { branches, join } => {
                let ends = branches
                    .iter()
                    .map(|layers| self.layers(layers, (input.clone(), shape)).0);
                let ends = ends.collect();
                self.node(join_node(*join, ends))
            }
            _ => match node(layer, shape) {
                Some(mut node) => {
                    node.inputs.insert(0, input);
                    self.node(node)
                }
                None => input,
            },
        };
        (name, output)
    }

    /// Adds a node and returns the name of its output.
    fn node(&mut self, mut node: Node) -> String {
        let name = format!("{}_{}", node.op_type.to_lowercase(), self.nodes.len());
        node.outputs = vec![name.clone()];
        node.name = name.clone();
        self.nodes.push(node);
        name
    }
}

fn join_node(join: Join, inputs: Vec<String>) -> Node {
    let (op_type, attributes) = match join {
        Join::Sum => ("Add", vec![]),
        Join::Channels => ("Concat", vec![Attribute::int("axis", 1)]),
    };
    Node {
        inputs,
        op_type: op_type.to_owned(),
        attributes,
        ..Node::default()
    }
}

/// The node of a layer, without its data input and output; `None` for layers that do nothing at inference.
fn node(layer: &Layer, input: Shape) -> Option<Node> {
    let (op_type, attributes) = match *layer {
        Layer::Conv2d {
            kernel,
            stride,
            padding,
            ..
        } => ("Conv", window(kernel, stride, padding)),
        Layer::BatchNorm2d { .. } => ("BatchNormalization", vec![]),
        Layer::Relu => ("Relu", vec![]),
        Layer::MaxPool2d {
            kernel,
            stride,
            padding,
        } => ("MaxPool", window(kernel, stride, padding)),
        Layer::AdaptiveAvgPool2d { side } => match input {
            Shape::Image { side: given, .. } if given != side => {
                let (size, stride) = equal_windows(given, side);
                ("AveragePool", window(size, stride, 0))
            }
            _ => return None,
        },
        Layer::Flatten => ("Flatten", vec![Attribute::int("axis", 1)]),
        Layer::Dropout { .. } => return None,
        Layer::Linear { .. } => ("Gemm", vec![Attribute::int("transB", 1)]),
        Layer::Branches { .. } => unreachable!("branches become several nodes"),
    };
    let inputs = layer.parameters().into_iter().map(|parameter| parameter.name);
    Some(Node {
        inputs: inputs.collect(),
        op_type: op_type.to_owned(),
        attributes,
        ..Node::default()
    })
}

/// Size and stride of the windows of an adaptive pooling, which ONNX needs to be equal. libtorch's window `i` of `count` in `given`
/// pixels starts at `i * given / count` and ends before `(i + 1) * given / count`, rounded up.
fn equal_windows(given: usize, count: usize) -> (usize, usize) {
    let stride = given / count;
    let size = given.div_ceil(count);
    let is_regular = |index: usize| {
        let (start, end) = (index * given / count, ((index + 1) * given).div_ceil(count));
        (start, end) == (index * stride, index * stride + size)
    };
    assert!((0..count).all(is_regular), "ONNX needs windows of equal size");
    (size, stride)
}

fn window(kernel: usize, stride: usize, padding: usize) -> Vec<Attribute> {
    let (kernel, stride, padding) = (kernel as i64, stride as i64, padding as i64);
    vec![
        Attribute::ints("kernel_shape", vec![kernel; 2]),
        Attribute::ints("strides", vec![stride; 2]),
        Attribute::ints("pads", vec![padding; 4]),
    ]
}
