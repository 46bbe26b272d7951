//! Static quantization to int8: inserts QuantizeLinear and DequantizeLinear nodes (QDQ) into an fp32 graph, which runtimes fuse
//! with the operators between them into 8-bit operators.
//!
//! Weights are quantized symmetrically and per channel, activations per tensor with the ranges from calibration (Jacob et al.,
//! "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", arXiv:1712.05877). The last
//! layer with weights stays in fp32: it takes little time, and its precision matters most.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::proto::{self, Attribute, Node, Tensor};
use super::{ExportError, INPUT_NAME};
use crate::network::{Layer, parameters};
use crate::weights::{self, Weights};

/// Smallest and largest value of each activation, by its name in the graph.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActivationRanges(BTreeMap<String, [f32; 2]>);

/// The runtime that an int8 file is for. Each runtime needs its own quantization scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// ONNX Runtime on a CPU: activations are asymmetric uint8, biases int32. Weights use only 7 bits, because without VNNI the sum
    /// of two 8-bit products saturates.
    Cpu,
    /// TensorRT: activations are symmetric int8, biases fp32.
    TensorRt,
}

impl ActivationRanges {
    /// Extends the range of an activation to include these values; values that are not finite are skipped.
    pub(crate) fn extend(&mut self, name: &str, values: &[f32]) {
        // Each range includes 0, which padding needs to be represented exactly.
        let range = self.0.entry(name.to_owned()).or_insert([0.0, 0.0]);
        for value in values.iter().filter(|value| value.is_finite()) {
            range[0] = range[0].min(*value);
            range[1] = range[1].max(*value);
        }
    }

    fn get(&self, name: &str) -> Result<[f32; 2], ExportError> {
        let range = self.0.get(name).copied();
        range.ok_or_else(|| ExportError::MissingRange(name.to_owned()))
    }
}

/// Names of the activations whose ranges [`quantize`] needs.
pub(super) fn quantized_activations(nodes: &[Node]) -> Vec<String> {
    let plan = Plan::new(nodes);
    let outputs = nodes.iter().flat_map(|node| &node.outputs);
    std::iter::once(&INPUT_NAME.to_owned())
        .chain(outputs)
        .filter(|name| plan.is_quantized(name) && plan.range_source(name) == *name)
        .cloned()
        .collect()
}

/// Inserts QDQ nodes into a graph that computes `layers`. Returns the nodes and the weights.
///
/// # Errors
/// A weight is missing or misshaped, or a range is missing.
pub(super) fn quantize(
    nodes: Vec<Node>,
    layers: &[Layer],
    weights: &Weights,
    ranges: &ActivationRanges,
    target: Target,
) -> Result<(Vec<Node>, Vec<Tensor>), ExportError> {
    let plan = Plan::new(&nodes);
    let mut graph = QuantizedGraph {
        plan: &plan,
        ranges,
        target,
        nodes: Vec::new(),
        initializers: Vec::new(),
    };
    let specs = parameters(layers);
    let tensor = |name: &str| -> Result<&weights::Tensor, ExportError> {
        let spec = specs.iter().find(|spec| spec.name == name);
        let spec = spec.unwrap_or_else(|| unreachable!("the nodes belong to the layers"));
        Ok(weights.get(spec)?)
    };
    graph.quantize_activation(INPUT_NAME)?;
    for (index, mut node) in nodes.into_iter().enumerate() {
        let data_inputs = if has_weights(&node) { 1 } else { node.inputs.len() };
        let data = node.inputs[0].clone();
        for input in &mut node.inputs[..data_inputs] {
            if plan.is_quantized(input) {
                *input = dequantized_name(input);
            }
        }
        if has_weights(&node) {
            let [weight, bias] = [tensor(&node.inputs[1])?, tensor(&node.inputs[2])?];
            if index < plan.last {
                graph.quantize_weights(&mut node, &data, weight, bias)?;
            } else {
                graph.add_fp32(&node.inputs[1], weight);
                graph.add_fp32(&node.inputs[2], bias);
            }
        }
        let output = node.outputs[0].clone();
        graph.nodes.push(node);
        if plan.is_quantized(&output) {
            graph.quantize_activation(&output)?;
        }
    }
    Ok((graph.nodes, graph.initializers))
}

/// Which activations of a graph are quantized.
struct Plan {
    /// Index of the last node with weights, which stays in fp32.
    last: usize,
    /// Each quantized activation, and the activation whose range it shares.
    range_sources: BTreeMap<String, String>,
}

impl Plan {
    fn new(nodes: &[Node]) -> Plan {
        let last = nodes.iter().rposition(has_weights).unwrap_or(0);
        let mut range_sources = BTreeMap::from([(INPUT_NAME.to_owned(), INPUT_NAME.to_owned())]);
        for node in &nodes[..last] {
            let output = &node.outputs[0];
            let mut users = nodes.iter().filter(|user| user.inputs.contains(output));
            // Runtimes fuse a ReLU with the operator before it, which then needs no QDQ nodes of its own.
            let is_fused = users.next().is_some_and(|user| user.op_type == "Relu") && users.next().is_none();
            if is_fused {
                continue;
            }
            let range_source = match node.op_type.as_str() {
                // Each output value is one of the input values.
                "MaxPool" | "Flatten" => range_sources.get(&node.inputs[0]).unwrap_or(output).clone(),
                _ => output.clone(),
            };
            range_sources.insert(output.clone(), range_source);
        }
        Plan { last, range_sources }
    }

    fn is_quantized(&self, activation: &str) -> bool {
        self.range_sources.contains_key(activation)
    }

    /// The activation whose range this one shares, or itself.
    fn range_source<'a>(&'a self, activation: &'a str) -> &'a str {
        self.range_sources
            .get(activation)
            .map_or(activation, String::as_str)
    }
}

/// The quantized graph under construction.
struct QuantizedGraph<'a> {
    plan: &'a Plan,
    ranges: &'a ActivationRanges,
    target: Target,
    nodes: Vec<Node>,
    initializers: Vec<Tensor>,
}

impl QuantizedGraph<'_> {
    /// Adds a QDQ pair after an activation.
    fn quantize_activation(&mut self, name: &str) -> Result<(), ExportError> {
        let (scale, zero_point) = self.scale_of(name)?;
        let quantized = quantized_name(name);
        let parameters = quantization_parameters(name);
        let [scale_name, zero_point_name] = parameters.clone();
        let zero_point = match self.target {
            Target::Cpu => Tensor::inline(zero_point_name, proto::UINT8, &[], &[zero_point]),
            Target::TensorRt => Tensor::inline(zero_point_name, proto::INT8, &[], &[0i8]),
        };
        self.initializers.extend([
            Tensor::inline(scale_name, proto::FLOAT, &[], &[scale]),
            zero_point,
        ]);
        self.push_node("QuantizeLinear", name, &parameters, &quantized, vec![]);
        self.push_node(
            "DequantizeLinear",
            &quantized,
            &parameters,
            &dequantized_name(name),
            vec![],
        );
        Ok(())
    }

    /// Scale and zero point of an activation.
    fn scale_of(&self, name: &str) -> Result<(f32, u8), ExportError> {
        let [min, max] = self.ranges.get(self.plan.range_source(name))?;
        let scale = match self.target {
            Target::Cpu => (max - min) / 255.0,
            Target::TensorRt => max.max(-min) / 127.0,
        };
        // The range of an activation that is always 0 is empty; its scale has no effect.
        let scale = if scale > 0.0 { scale } else { 1.0 };
        Ok((scale, (-min / scale).round() as u8))
    }

    /// Adds the quantized weights of a node whose data input is the activation `data`.
    fn quantize_weights(
        &mut self,
        node: &mut Node,
        data: &str,
        weight: &weights::Tensor,
        bias: &weights::Tensor,
    ) -> Result<(), ExportError> {
        let (data_scale, _) = self.scale_of(data)?;
        let max_weight = match self.target {
            Target::Cpu => 64.0f32,
            Target::TensorRt => 127.0,
        };
        let channels = weight.shape[0];
        let channel_len = weight.values.len() / channels;
        let mut quantized = Vec::with_capacity(weight.values.len());
        let mut scales = Vec::with_capacity(channels);
        for (values, bias) in weight.values.chunks_exact(channel_len).zip(&bias.values) {
            let max = values.iter().fold(0.0f32, |max, value| max.max(value.abs()));
            // A smaller scale would overflow the 32 bits of the bias.
            let min_scale = bias.abs() / data_scale / (1u32 << 30) as f32;
            let scale = (max / max_weight).max(min_scale).max(f32::MIN_POSITIVE);
            quantized.extend(values.iter().map(|value| (value / scale).round() as i8));
            scales.push(scale);
        }
        let name = node.inputs[1].clone();
        node.inputs[1] = self.add_dequantized(&name, proto::INT8, &weight.shape, &quantized, &scales);

        let name = node.inputs[2].clone();
        if self.target == Target::TensorRt {
            self.add_fp32(&name, bias);
            return Ok(());
        }
        let scales: Vec<f32> = scales.iter().map(|scale| scale * data_scale).collect();
        let values = bias.values.iter().zip(&scales);
        let quantized: Vec<i32> = values
            .map(|(bias, scale)| (bias / scale).round() as i32)
            .collect();
        node.inputs[2] = self.add_dequantized(&name, proto::INT32, &bias.shape, &quantized, &scales);
        Ok(())
    }

    /// Adds a constant that is quantized per channel, and its DequantizeLinear node. Returns the name of the node's output.
    fn add_dequantized<T: bytemuck::NoUninit + Default>(
        &mut self,
        name: &str,
        data_type: i32,
        shape: &[usize],
        values: &[T],
        scales: &[f32],
    ) -> String {
        let channels = [scales.len()];
        let parameters = quantization_parameters(name);
        let [scale_name, zero_point_name] = parameters.clone();
        let zero_points = vec![T::default(); scales.len()];
        self.initializers.extend([
            Tensor::inline(quantized_name(name), data_type, shape, values),
            Tensor::inline(scale_name, proto::FLOAT, &channels, scales),
            Tensor::inline(zero_point_name, data_type, &channels, &zero_points),
        ]);
        let output = dequantized_name(name);
        let axis = vec![Attribute::int("axis", 0)];
        self.push_node(
            "DequantizeLinear",
            &quantized_name(name),
            &parameters,
            &output,
            axis,
        );
        output
    }

    /// Adds an fp32 constant.
    fn add_fp32(&mut self, name: &str, tensor: &weights::Tensor) {
        let tensor = Tensor::inline(name.to_owned(), proto::FLOAT, &tensor.shape, &tensor.values);
        self.initializers.push(tensor);
    }

    fn push_node(
        &mut self,
        op_type: &str,
        input: &str,
        parameters: &[String; 2],
        output: &str,
        attributes: Vec<Attribute>,
    ) {
        let [scale, zero_point] = parameters.clone();
        self.nodes.push(Node {
            inputs: vec![input.to_owned(), scale, zero_point],
            outputs: vec![output.to_owned()],
            name: format!("{op_type}_{output}"),
            op_type: op_type.to_owned(),
            attributes,
        });
    }
}

pub(super) fn has_weights(node: &Node) -> bool {
    ["Conv", "Gemm"].contains(&node.op_type.as_str())
}

/// Names of the scale and the zero point of an activation or constant.
fn quantization_parameters(name: &str) -> [String; 2] {
    [format!("{name}_scale"), format!("{name}_zero_point")]
}

fn quantized_name(name: &str) -> String {
    format!("{name}_quantized")
}

fn dequantized_name(name: &str) -> String {
    format!("{name}_dequantized")
}
