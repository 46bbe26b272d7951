//! Export of a network to ONNX.
//!
//! The graph has the input `input`, float32, batch x 3 x 224 x 224, and the output `logits`, float32, batch x labels. It only
//! uses operators of opset 13 that ONNX Runtime and TensorRT 8.6 and later support.
//!
//! [`write()`] writes the fp32 file of a model in the store, which references the weights in the safetensors file next to it.
//! [`export`](mod@export) writes a self-contained file in fp32, fp16 or int8.
//! The files in the store have a second output `features`, the inputs of the last layer, for [`crate::familiarity`].

pub mod export;
pub mod int8;
pub mod landmarks;
mod lowering;
mod proto;

use std::path::{Path, PathBuf};

use prost::Message;

use self::int8::has_weights;
use self::lowering::nodes;
use self::proto::{Dimension, Graph, Model, Node, OperatorSet, StringStringEntry, Tensor, ValueInfo};
use super::{Network, Shape, signed_dims};
use crate::disk;
use crate::weights::{ParameterSpec, TensorLocation, WeightsError, tensor_locations};

pub(crate) const INPUT_NAME: &str = "input";
pub(crate) const OUTPUT_NAME: &str = "logits";
/// The inputs of the last layer.
pub(crate) const FEATURES_NAME: &str = "features";
/// Name of the batch dimension of a [`Batch::Dynamic`] graph.
pub(crate) const BATCH_NAME: &str = "batch";

const IR_VERSION: i64 = 8;
const OPSET_VERSION: i64 = 13;

/// Batch size of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// One frame.
    One,
    /// Any number of frames.
    Dynamic,
}

/// Why a network cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A weight is missing or has the wrong shape.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The activation ranges do not cover a value of the graph.
    #[error("the activation range of {0} is missing; the ranges belong to another network, calibrate again")]
    MissingRange(String),
    /// A weight is beyond the largest number of fp16, 65504.
    #[error("{0} holds a weight beyond 65504, the largest number in fp16; export in fp32")]
    Fp16Overflow(String),
    /// The file cannot be written.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        cause: std::io::Error,
    },
}

/// Writes the ONNX file of a network with a dynamic batch size.
///
/// `weights_file` holds the weights and must be in the same directory. `metadata` is stored in the file as keys and values.
///
/// # Errors
/// `weights_file` lacks a parameter or holds it in another size, or a file cannot be read or written.
pub fn write(
    path: &Path,
    network: &Network,
    weights_file: &Path,
    metadata: &[(&str, String)],
) -> Result<(), WeightsError> {
    let locations = tensor_locations(weights_file)?;
    let file_name = weights_file.file_name().unwrap_or_default().to_string_lossy();
    let initializers = super::parameters(&network.layers)
        .iter()
        .map(|parameter| {
            let tensor = locations
                .get(&parameter.name)
                .ok_or_else(|| WeightsError::Missing(parameter.name.clone()))?;
            external_tensor(parameter, *tensor, &file_name)
        })
        .collect::<Result<_, _>>()?;
    let graph = graph(network, nodes(&network.layers), initializers, Batch::Dynamic);
    let graph = with_features(graph, network, Batch::Dynamic);
    let bytes = model(graph, metadata).encode_to_vec();
    disk::write_file(path, &bytes).map_err(|cause| WeightsError::Io {
        path: path.to_owned(),
        cause,
    })
}

/// A graph with the inputs and outputs of a network.
fn graph(network: &Network, nodes: Vec<Node>, initializers: Vec<Tensor>, batch: Batch) -> Graph {
    let output = super::output_shape(&network.layers, Network::INPUT);
    Graph {
        name: network.name().to_owned(),
        nodes,
        initializers,
        inputs: vec![float_value(INPUT_NAME, batch, Network::INPUT)],
        outputs: vec![float_value(OUTPUT_NAME, batch, output)],
    }
}

/// The graph with the second output [`FEATURES_NAME`].
fn with_features(mut graph: Graph, network: &Network, batch: Batch) -> Graph {
    let last = graph.nodes.iter().rposition(has_weights);
    let last = last.unwrap_or_else(|| unreachable!("a network has weights"));
    let features = graph.nodes[last].inputs[0].clone();
    let names = graph.nodes.iter_mut();
    let names = names.flat_map(|node| node.inputs.iter_mut().chain(&mut node.outputs));
    names
        .filter(|name| **name == features)
        .for_each(|name| FEATURES_NAME.clone_into(name));
    let shape = super::output_shape(&network.layers[..network.last_layer()], Network::INPUT);
    graph.outputs.push(float_value(FEATURES_NAME, batch, shape));
    graph
}

fn model(graph: Graph, metadata: &[(&str, String)]) -> Model {
    Model {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        operator_sets: vec![OperatorSet {
            domain: String::new(),
            version: OPSET_VERSION,
        }],
        metadata: metadata.iter().map(|(key, value)| entry(key, value)).collect(),
    }
}

/// A tensor whose values are in another file of the same directory.
fn external_tensor(
    parameter: &ParameterSpec,
    location: TensorLocation,
    file_name: &str,
) -> Result<Tensor, WeightsError> {
    let expected_bytes = parameter.shape.iter().product::<usize>() * size_of::<f32>();
    if location.length != expected_bytes as u64 {
        return Err(WeightsError::Shape {
            name: parameter.name.clone(),
            found: vec![location.length as usize / size_of::<f32>()],
            expected: parameter.shape.clone(),
        });
    }
    Ok(Tensor {
        dims: signed_dims(&parameter.shape),
        data_type: proto::FLOAT,
        name: parameter.name.clone(),
        raw_data: Vec::new(),
        external_data: vec![
            entry("location", file_name),
            entry("offset", &location.offset.to_string()),
            entry("length", &location.length.to_string()),
        ],
        data_location: proto::EXTERNAL,
    })
}

fn float_value(name: &str, batch: Batch, shape: Shape) -> ValueInfo {
    let batch = match batch {
        Batch::One => Dimension::fixed(1),
        Batch::Dynamic => Dimension::symbolic(BATCH_NAME),
    };
    let dims = shape.dims().into_iter().map(Dimension::fixed);
    ValueInfo::float_tensor(name, std::iter::once(batch).chain(dims).collect())
}

fn entry(key: &str, value: &str) -> StringStringEntry {
    StringStringEntry {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}
