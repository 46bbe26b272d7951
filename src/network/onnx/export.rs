//! An ONNX file that stands on its own: the weights inside, in fp32, fp16 or int8.

use std::io::Write;
use std::path::{Path, PathBuf};

use prost::Message;

use super::int8::{self, Ranges, Target};
use super::lowering::nodes;
use super::proto::{self, Attribute, Graph, Node, Tensor};
use super::{Batch, INPUT_NAME, OUTPUT_NAME, graph, model};
use crate::disk::{self, Existing};
use crate::network::{Layer, Network, fold, parameters};
use crate::weights::{Weights, WeightsError};

/// What a file computes with.
#[derive(Clone, Copy, Debug)]
pub enum Numbers<'a> {
    /// As trained.
    Fp32,
    /// Half the size; input and output stay float32.
    Fp16,
    /// A quarter of the size: 8-bit weights and values, by quantise-dequantise nodes (QDQ).
    Int8 {
        /// Between what the values lie.
        ranges: &'a Ranges,
        /// Who is to run it.
        target: Target,
    },
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A weight is missing or misshaped.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The ranges are of another network.
    #[error("the range of {0} is not known: these ranges are of another network, calibrate anew")]
    Range(String),
    /// fp16 reaches to 65504.
    #[error("{0} holds a weight that fp16 cannot hold; export it in fp32")]
    TooLarge(String),
    /// The file system's word.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong, such as a full disk.
        cause: std::io::Error,
    },
}

/// Writes a network's file; it appears whole or not at all.
///
/// `metadata` goes into the file as key and value.
///
/// # Errors
/// [`ExportError`].
pub fn export(
    path: &Path,
    network: &Network,
    weights: &Weights,
    numbers: Numbers,
    batch: Batch,
    metadata: &[(&str, String)],
) -> Result<(), ExportError> {
    let (layers, weights) = fold::fold_batch_norms(&network.layers, weights)?;
    let nodes = nodes(&layers);
    let (nodes, initializers) = match numbers {
        Numbers::Fp32 => (nodes, initializers(&layers, &weights, fp32)?),
        Numbers::Fp16 => (in_fp16(nodes), initializers(&layers, &weights, fp16)?),
        Numbers::Int8 { ranges, target } => int8::quantise(nodes, &layers, &weights, ranges, target)?,
    };
    write(path, graph(network, nodes, initializers, batch), metadata)
}

/// Writes a network's fp32 file which also gives every value whose range [`Numbers::Int8`] asks for; gives their names.
///
/// # Errors
/// [`ExportError`].
pub fn export_with_values(
    path: &Path,
    network: &Network,
    weights: &Weights,
) -> Result<Vec<String>, ExportError> {
    let (layers, weights) = fold::fold_batch_norms(&network.layers, weights)?;
    let nodes = nodes(&layers);
    let values = int8::quantised_values(&nodes);
    let initializers = initializers(&layers, &weights, fp32)?;
    let mut graph = graph(network, nodes, initializers, Batch::One);
    let inner = values.iter().filter(|value| *value != INPUT_NAME);
    graph
        .outputs
        .extend(inner.map(|value| proto::ValueInfo::of_unknown_shape(value)));
    write(path, graph, &[])?;
    Ok(values)
}

fn write(path: &Path, graph: Graph, metadata: &[(&str, String)]) -> Result<(), ExportError> {
    let bytes = model(graph, metadata).encode_to_vec();
    disk::write_atomic(path, Existing::Replace, |writer| writer.write_all(&bytes)).map_err(|cause| {
        ExportError::Io {
            path: path.to_owned(),
            cause,
        }
    })
}

fn initializers(
    layers: &[Layer],
    weights: &Weights,
    encode: impl Fn(String, &[usize], &[f32]) -> Result<Tensor, ExportError>,
) -> Result<Vec<Tensor>, ExportError> {
    let parameters = parameters(layers).into_iter();
    parameters
        .map(|parameter| {
            let tensor = weights.get(&parameter)?;
            encode(parameter.name, &tensor.shape, &tensor.values)
        })
        .collect()
}

fn fp32(name: String, shape: &[usize], values: &[f32]) -> Result<Tensor, ExportError> {
    Ok(Tensor::inline(name, proto::FLOAT, shape, values))
}

fn fp16(name: String, shape: &[usize], values: &[f32]) -> Result<Tensor, ExportError> {
    let halves: Vec<half::f16> = values.iter().map(|&value| half::f16::from_f32(value)).collect();
    if !halves.iter().all(|value| value.is_finite()) {
        return Err(ExportError::TooLarge(name));
    }
    let bits: Vec<u16> = halves.into_iter().map(half::f16::to_bits).collect();
    Ok(Tensor::inline(name, proto::FLOAT16, shape, &bits))
}

/// The nodes between two casts.
fn in_fp16(mut nodes: Vec<Node>) -> Vec<Node> {
    const INPUT: &str = "input_fp16";
    const OUTPUT: &str = "logits_fp16";
    let renamed = |names: &mut Vec<String>, from: &str, to: &str| {
        let names = names.iter_mut().filter(|name| *name == from);
        names.for_each(|name| to.clone_into(name));
    };
    for node in &mut nodes {
        renamed(&mut node.inputs, INPUT_NAME, INPUT);
        renamed(&mut node.outputs, OUTPUT_NAME, OUTPUT);
    }
    nodes.insert(0, cast(INPUT_NAME, INPUT, proto::FLOAT16));
    nodes.push(cast(OUTPUT, OUTPUT_NAME, proto::FLOAT));
    nodes
}

fn cast(input: &str, output: &str, data_type: i32) -> Node {
    Node {
        inputs: vec![input.to_owned()],
        outputs: vec![output.to_owned()],
        name: format!("cast_{input}"),
        op_type: "Cast".to_owned(),
        attributes: vec![Attribute::int("to", i64::from(data_type))],
    }
}
