//! Self-contained ONNX files with their weights, in fp32, fp16 or int8.

use std::io::Write;
use std::path::Path;

use prost::Message;

use super::int8::{self, ActivationRanges, Target};
use super::lowering::nodes;
use super::proto::{self, Attribute, Graph, Node, Tensor};
use super::{Batch, ExportError, INPUT_NAME, OUTPUT_NAME, graph, model, with_features};
use crate::disk;
use crate::network::{Layer, Network, fold, parameters};
use crate::weights::Weights;

/// The precision of an exported file.
#[derive(Clone, Copy, Debug)]
pub enum ExportPrecision<'a> {
    /// The precision of the training.
    Fp32,
    /// Half the size of fp32. Input and output stay float32.
    Fp16,
    /// A quarter of the size of fp32: 8-bit weights and activations, with QuantizeLinear and DequantizeLinear nodes (QDQ).
    Int8 {
        /// Activation ranges from calibration.
        ranges: &'a ActivationRanges,
        /// The runtime that the file is for.
        target: Target,
    },
}

/// Writes the file of a network atomically: on failure there is no file, or the previous one.
///
/// `metadata` is stored in the file as keys and values.
///
/// # Errors
/// A weight is missing, misshaped or too large for fp16, an activation range is missing, or the file cannot be written.
pub fn export(
    path: &Path,
    network: &Network,
    weights: &Weights,
    precision: ExportPrecision,
    batch: Batch,
    metadata: &[(&str, String)],
) -> Result<(), ExportError> {
    write(path, precise_graph(network, weights, precision, batch)?, metadata)
}

/// As [`export`], for a file in the store: for any batch size, and with the output for [`crate::familiarity`].
///
/// # Errors
/// As [`export`].
pub(crate) fn export_for_store(
    path: &Path,
    network: &Network,
    weights: &Weights,
    precision: ExportPrecision,
    metadata: &[(&str, String)],
) -> Result<(), ExportError> {
    let graph = precise_graph(network, weights, precision, Batch::Dynamic)?;
    write(path, with_features(graph, network, Batch::Dynamic), metadata)
}

fn precise_graph(
    network: &Network,
    weights: &Weights,
    precision: ExportPrecision,
    batch: Batch,
) -> Result<Graph, ExportError> {
    let (layers, weights) = fold::fold_batch_norms(&network.layers, weights)?;
    let nodes = nodes(&layers);
    let (nodes, initializers) = match precision {
        ExportPrecision::Fp32 => (nodes, initializers(&layers, &weights, fp32)?),
        ExportPrecision::Fp16 => (to_fp16(nodes), initializers(&layers, &weights, fp16)?),
        ExportPrecision::Int8 { ranges, target } => int8::quantize(nodes, &layers, &weights, ranges, target)?,
    };
    Ok(graph(network, nodes, initializers, batch))
}

/// Writes an fp32 file for calibration, whose outputs include each activation that [`ExportPrecision::Int8`] quantizes.
///
/// Returns the names of these activations; the graph's input is one of them.
///
/// # Errors
/// A weight is missing or misshaped, or the file cannot be written.
pub(crate) fn export_with_activations(
    path: &Path,
    network: &Network,
    weights: &Weights,
) -> Result<Vec<String>, ExportError> {
    let (layers, weights) = fold::fold_batch_norms(&network.layers, weights)?;
    let nodes = nodes(&layers);
    let activations = int8::quantized_activations(&nodes);
    let initializers = initializers(&layers, &weights, fp32)?;
    let mut graph = graph(network, nodes, initializers, Batch::One);
    let inner = activations.iter().filter(|name| *name != INPUT_NAME);
    graph
        .outputs
        .extend(inner.map(|name| proto::ValueInfo::of_unknown_shape(name)));
    write(path, graph, &[])?;
    Ok(activations)
}

pub(super) fn write(path: &Path, graph: Graph, metadata: &[(&str, String)]) -> Result<(), ExportError> {
    let bytes = model(graph, metadata).encode_to_vec();
    disk::write_atomic(path, |writer| writer.write_all(&bytes)).map_err(|cause| ExportError::Io {
        path: path.to_owned(),
        cause,
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
        return Err(ExportError::Fp16Overflow(name));
    }
    let bits: Vec<u16> = halves.into_iter().map(half::f16::to_bits).collect();
    Ok(Tensor::inline(name, proto::FLOAT16, shape, &bits))
}

/// Puts the nodes between a cast to fp16 and a cast back to fp32.
fn to_fp16(mut nodes: Vec<Node>) -> Vec<Node> {
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
