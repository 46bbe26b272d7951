//! Layers and weights -> an ONNX file.
//!
//! The graph takes `input`, batch x 3 x 224 x 224 float32, and gives `logits`, batch x labels float32. It uses only operators of
//! opset 13 that ONNX Runtime and TensorRT 8.6 and later read. [`write()`] makes a store's fp32 file, whose weights stay in their
//! safetensors file: both must lie in one directory. [`export`](mod@export) makes a file that stands on its own, in fp32, fp16 or int8.
//! The protobuf messages are the part of `onnx.proto3` that is written here.

pub mod export;
pub mod int8;
mod lowering;
mod proto;

use std::io::Write;
use std::path::Path;

use prost::Message;

use self::lowering::nodes;
use self::proto::{Dimension, Graph, Model, Node, OperatorSet, StringStringEntry, Tensor, ValueInfo};
use super::{Network, ParameterSpec, Shape};
use crate::weights::{Place, WeightsError, places_in_file};

/// Name of the graph's input.
pub const INPUT_NAME: &str = "input";
/// Name of the graph's output.
pub const OUTPUT_NAME: &str = "logits";
/// Name of the number of frames, where that is free.
pub const BATCH_NAME: &str = "batch";

const IR_VERSION: i64 = 8;
const OPSET_VERSION: i64 = 13;

/// How many frames a graph takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// One.
    One,
    /// Any number.
    Dynamic,
}

/// Writes the ONNX file of a network, for any number of frames, whose weights already lie in `weights_file`, in the same directory.
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
    let graph = graph(network, nodes(&network.layers), initializers, Batch::Dynamic);
    let bytes = model(graph, metadata).encode_to_vec();
    std::fs::File::create(path)
        .and_then(|mut file| file.write_all(&bytes))
        .map_err(|cause| WeightsError::Io {
            path: path.to_owned(),
            cause,
        })
}

/// The graph of a network, whatever its nodes compute with.
fn graph(network: &Network, nodes: Vec<Node>, initializers: Vec<Tensor>, batch: Batch) -> Graph {
    let output = super::output(&network.layers, Network::INPUT);
    Graph {
        name: network.name().to_owned(),
        nodes,
        initializers,
        inputs: vec![float_value(INPUT_NAME, batch, Network::INPUT)],
        outputs: vec![float_value(OUTPUT_NAME, batch, output)],
    }
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
        dims: proto::dims(&parameter.shape),
        data_type: proto::FLOAT,
        name: parameter.name.clone(),
        raw_data: Vec::new(),
        external_data: vec![
            entry("location", location),
            entry("offset", &place.offset.to_string()),
            entry("length", &place.length.to_string()),
        ],
        data_location: proto::EXTERNAL,
    })
}

fn float_value(name: &str, batch: Batch, shape: Shape) -> ValueInfo {
    let batch = match batch {
        Batch::One => Dimension::fixed(1),
        Batch::Dynamic => Dimension::free(BATCH_NAME),
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
