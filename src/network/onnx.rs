//! Layers and weights -> an ONNX file (fp32).
//!
//! The graph takes `input`, 1x3x224x224 float32, and gives `logits`, 1 x labels. It uses only operators of opset 13 that
//! ONNX Runtime and TensorRT 8.6 and later read. The weights stay in their safetensors file, into which the ONNX file points as external
//! data: both files must lie in one folder. The protobuf messages are the part of `onnx.proto3` that is written here.

mod proto;

use std::io::Write;
use std::path::Path;

use prost::Message;

use self::proto::{Attribute, Graph, Model, Node, OperatorSet, StringStringEntry, Tensor, ValueInfo};
use super::{Join, Layer, Network, ParameterSpec, Shape};
use crate::weights::{Place, WeightsError, places_in_file};

/// Name of the graph's input.
pub const INPUT_NAME: &str = "input";
/// Name of the graph's output.
pub const OUTPUT_NAME: &str = "logits";

const IR_VERSION: i64 = 8;
const OPSET_VERSION: i64 = 13;

/// Writes the ONNX file of a network whose weights already lie in `weights_file`, in the same folder.
///
/// `metadata` goes into the file as key and value.
///
/// # Errors
/// A parameter that the weights file lacks or holds in another size, and what the file system says.
pub fn write(
    path: &Path,
    network: &Network,
    weights_file: &Path,
    metadata: &[(&str, String)],
) -> Result<(), WeightsError> {
    let bytes = model(network, weights_file, metadata)?.encode_to_vec();
    std::fs::File::create(path)
        .and_then(|mut file| file.write_all(&bytes))
        .map_err(|cause| WeightsError::Io {
            path: path.to_owned(),
            cause,
        })
}

fn model(network: &Network, weights_file: &Path, metadata: &[(&str, String)]) -> Result<Model, WeightsError> {
    let places = places_in_file(weights_file)?;
    let location = weights_file.file_name().unwrap_or_default().to_string_lossy();
    let initializers = super::parameters(&network.layers)
        .iter()
        .map(|parameter| {
            let place = places
                .get(&parameter.name)
                .ok_or_else(|| WeightsError::Missing(parameter.name.clone()))?;
            external_tensor(parameter, *place, &location)
        })
        .collect::<Result<_, _>>()?;
    let (nodes, output) = nodes(&network.layers);
    Ok(Model {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(Graph {
            name: network.name.to_owned(),
            nodes,
            initializers,
            inputs: vec![ValueInfo::float_tensor(INPUT_NAME, &batch_of_one(Network::INPUT))],
            outputs: vec![ValueInfo::float_tensor(OUTPUT_NAME, &batch_of_one(output))],
        }),
        operator_sets: vec![OperatorSet {
            domain: String::new(),
            version: OPSET_VERSION,
        }],
        metadata: metadata.iter().map(|(key, value)| entry(key, value)).collect(),
    })
}

/// The nodes of some layers in order, each named after what it computes, and the shape that comes out at the end.
fn nodes(layers: &[Layer]) -> (Vec<Node>, Shape) {
    let mut lowering = Lowering::default();
    let input = (INPUT_NAME.to_owned(), Network::INPUT);
    let (_, shape) = lowering.layers(layers, input);
    if let Some(last) = lowering.nodes.last_mut() {
        last.outputs = vec![OUTPUT_NAME.to_owned()];
    }
    (lowering.nodes, shape)
}

/// The name of what flows between two nodes, and its shape.
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
        let output = layer.output(shape);
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

    /// Adds a node and gives the name of its output.
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

/// The node of a layer, still without its data input and output; `None` where a layer does nothing at inference.
fn node(layer: &Layer, input: Shape) -> Option<Node> {
    let (op_type, attributes) = match *layer {
        Layer::Conv2d {
            kernel,
            stride,
            padding,
            ..
        } => ("Conv", window(kernel, stride, padding)),
        // Its default epsilon is PyTorch's, 1e-5.
        Layer::BatchNorm2d { .. } => ("BatchNormalization", vec![]),
        Layer::Relu => ("Relu", vec![]),
        Layer::MaxPool2d {
            kernel,
            stride,
            padding,
        } => ("MaxPool", window(kernel, stride, padding)),
        Layer::AdaptiveAvgPool2d { side } => match input {
            Shape::Image { side: given, .. } if given != side => {
                assert_eq!(given % side, 0, "windows of one size, as every network here has");
                ("AveragePool", window(given / side, given / side, 0))
            }
            _ => return None,
        },
        Layer::Flatten => ("Flatten", vec![Attribute::int("axis", 1)]),
        Layer::Dropout { .. } => return None,
        Layer::Linear { .. } => ("Gemm", vec![Attribute::int("transB", 1)]),
        Layer::Branches { .. } => unreachable!("branches are several nodes"),
    };
    let inputs = layer.parameters().into_iter().map(|parameter| parameter.name);
    Some(Node {
        inputs: inputs.collect(),
        op_type: op_type.to_owned(),
        attributes,
        ..Node::default()
    })
}

fn window(kernel: usize, stride: usize, padding: usize) -> Vec<Attribute> {
    let (kernel, stride, padding) = (kernel as i64, stride as i64, padding as i64);
    vec![
        Attribute::ints("kernel_shape", vec![kernel; 2]),
        Attribute::ints("strides", vec![stride; 2]),
        Attribute::ints("pads", vec![padding; 4]),
    ]
}

fn external_tensor(parameter: &ParameterSpec, place: Place, location: &str) -> Result<Tensor, WeightsError> {
    let wanted = parameter.shape.iter().product::<usize>() * size_of::<f32>();
    if place.length != wanted as u64 {
        return Err(WeightsError::Shape {
            name: parameter.name.clone(),
            found: vec![place.length as usize / size_of::<f32>()],
            wanted: parameter.shape.clone(),
        });
    }
    Ok(Tensor {
        dims: parameter.shape.iter().map(|&length| length as i64).collect(),
        data_type: proto::FLOAT,
        name: parameter.name.clone(),
        external_data: vec![
            entry("location", location),
            entry("offset", &place.offset.to_string()),
            entry("length", &place.length.to_string()),
        ],
        data_location: proto::EXTERNAL,
    })
}

fn batch_of_one(shape: Shape) -> Vec<usize> {
    [vec![1], shape.dims()].concat()
}

fn entry(key: &str, value: &str) -> StringStringEntry {
    StringStringEntry {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}
