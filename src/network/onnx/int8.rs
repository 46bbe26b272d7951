//! A graph in fp32 -> the same graph with quantise-dequantise nodes (QDQ), which runtimes fuse into 8-bit operators.
//!
//! Weights are quantised symmetrically, channel by channel; values by the ranges that calibration saw (Jacob et al., "Quantization
//! and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", arXiv:1712.05877). The last layer with
//! weights stays in fp32: it is a fraction of the work, and it decides.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::INPUT_NAME;
use super::export::ExportError;
use super::proto::{self, Attribute, Node, Tensor};
use crate::network::{Layer, parameters};
use crate::weights::{self, Weights};

/// Between what the values that flow in a network lie, by their names in its graph.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ranges(BTreeMap<String, [f32; 2]>);

/// Who is to run an int8 file; they want different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// ONNX Runtime on a CPU: unsigned values, biases in int32; weights in 7 bits, because without VNNI two products of 8 bits
    /// saturate.
    Cpu,
    /// TensorRT: symmetric signed values, biases in fp32.
    TensorRt,
}

impl Ranges {
    /// Widens the range of a value to what was seen of it.
    pub fn see(&mut self, name: &str, values: &[f32]) {
        // 0 is in every range: padding must have a number of its own.
        let range = self.0.entry(name.to_owned()).or_insert([0.0, 0.0]);
        for value in values.iter().filter(|value| value.is_finite()) {
            range[0] = range[0].min(*value);
            range[1] = range[1].max(*value);
        }
    }

    fn get(&self, name: &str) -> Result<[f32; 2], ExportError> {
        let range = self.0.get(name).copied();
        range.ok_or_else(|| ExportError::Range(name.to_owned()))
    }
}

/// The names of the values whose ranges [`quantise`] asks for.
pub fn quantised_values(nodes: &[Node]) -> Vec<String> {
    let plan = Plan::new(nodes);
    let outputs = nodes.iter().flat_map(|node| &node.outputs);
    std::iter::once(&INPUT_NAME.to_owned())
        .chain(outputs)
        .filter(|value| plan.quantised(value) && plan.range_of(value) == *value)
        .cloned()
        .collect()
}

/// Puts QDQ nodes into a graph that computes `layers`; gives its nodes and its weights.
///
/// # Errors
/// A weight that is missing or misshaped, a range that is not known.
pub fn quantise(
    nodes: Vec<Node>,
    layers: &[Layer],
    weights: &Weights,
    ranges: &Ranges,
    target: Target,
) -> Result<(Vec<Node>, Vec<Tensor>), ExportError> {
    let plan = Plan::new(&nodes);
    let mut graph = Quantised {
        plan: &plan,
        ranges,
        target,
        nodes: Vec::new(),
        initializers: Vec::new(),
    };
    let specs = parameters(layers);
    let tensor = |name: &str| -> Result<&weights::Tensor, ExportError> {
        let spec = specs.iter().find(|spec| spec.name == name);
        let spec = spec.unwrap_or_else(|| unreachable!("the nodes are those of the layers"));
        Ok(weights.get(spec)?)
    };
    graph.value(INPUT_NAME)?;
    for (index, mut node) in nodes.into_iter().enumerate() {
        let data_inputs = if has_weights(&node) { 1 } else { node.inputs.len() };
        let data = node.inputs[0].clone();
        for input in &mut node.inputs[..data_inputs] {
            if plan.quantised(input) {
                *input = dequantised(input);
            }
        }
        if has_weights(&node) {
            let [weight, bias] = [tensor(&node.inputs[1])?, tensor(&node.inputs[2])?];
            match index < plan.last {
                true => graph.weights(&mut node, &data, weight, bias)?,
                false => {
                    graph.plain(&node.inputs[1], weight);
                    graph.plain(&node.inputs[2], bias);
                }
            }
        }
        let output = node.outputs[0].clone();
        graph.nodes.push(node);
        if plan.quantised(&output) {
            graph.value(&output)?;
        }
    }
    Ok((graph.nodes, graph.initializers))
}

/// Which values of a graph are quantised.
struct Plan {
    /// The last node with weights.
    last: usize,
    /// Every value that is quantised, and the one whose range it has.
    values: BTreeMap<String, String>,
}

impl Plan {
    fn new(nodes: &[Node]) -> Plan {
        let last = nodes.iter().rposition(has_weights).unwrap_or(0);
        let mut values = BTreeMap::from([(INPUT_NAME.to_owned(), INPUT_NAME.to_owned())]);
        for node in &nodes[..last] {
            let output = &node.outputs[0];
            let mut users = nodes.iter().filter(|user| user.inputs.contains(output));
            // What only a ReLU sees is computed together with it.
            let is_fused = users.next().is_some_and(|user| user.op_type == "Relu") && users.next().is_none();
            if is_fused {
                continue;
            }
            let range_of = match node.op_type.as_str() {
                // These hand values on as they are.
                "MaxPool" | "Flatten" => values.get(&node.inputs[0]).unwrap_or(output).clone(),
                _ => output.clone(),
            };
            values.insert(output.clone(), range_of);
        }
        Plan { last, values }
    }

    fn quantised(&self, value: &str) -> bool {
        self.values.contains_key(value)
    }

    fn range_of<'a>(&'a self, value: &'a str) -> &'a str {
        self.values.get(value).map_or(value, String::as_str)
    }
}

/// A graph as it grows.
struct Quantised<'a> {
    plan: &'a Plan,
    ranges: &'a Ranges,
    target: Target,
    nodes: Vec<Node>,
    initializers: Vec<Tensor>,
}

impl Quantised<'_> {
    /// Quantises a value and dequantises it again.
    fn value(&mut self, name: &str) -> Result<(), ExportError> {
        let (scale, zero_point) = self.scale_of(name)?;
        let quantised = quantized_name(name);
        let parameters = parameter_names(name);
        let [scale_name, zero_point_name] = parameters.clone();
        let zero_point = match self.target {
            Target::Cpu => Tensor::inline(zero_point_name, proto::UINT8, &[], &[zero_point]),
            Target::TensorRt => Tensor::inline(zero_point_name, proto::INT8, &[], &[0i8]),
        };
        self.initializers.extend([
            Tensor::inline(scale_name, proto::FLOAT, &[], &[scale]),
            zero_point,
        ]);
        self.push("QuantizeLinear", name, &parameters, &quantised, vec![]);
        self.push(
            "DequantizeLinear",
            &quantised,
            &parameters,
            &dequantised(name),
            vec![],
        );
        Ok(())
    }

    /// Scale and zero point of a value.
    fn scale_of(&self, name: &str) -> Result<(f32, u8), ExportError> {
        let [least, greatest] = self.ranges.get(self.plan.range_of(name))?;
        let scale = match self.target {
            Target::Cpu => (greatest - least) / 255.0,
            Target::TensorRt => greatest.max(-least) / 127.0,
        };
        // A value that is always 0 has no range; any scale does.
        let scale = if scale > 0.0 { scale } else { 1.0 };
        Ok((scale, (-least / scale).round() as u8))
    }

    /// Quantises the weights of a node whose data is the value `data`.
    fn weights(
        &mut self,
        node: &mut Node,
        data: &str,
        weight: &weights::Tensor,
        bias: &weights::Tensor,
    ) -> Result<(), ExportError> {
        let (data_scale, _) = self.scale_of(data)?;
        let most = match self.target {
            Target::Cpu => 64.0f32,
            Target::TensorRt => 127.0,
        };
        let channels = weight.shape[0];
        let of_channel = weight.values.len() / channels;
        let mut quantised = Vec::with_capacity(weight.values.len());
        let mut scales = Vec::with_capacity(channels);
        for (values, bias) in weight.values.chunks_exact(of_channel).zip(&bias.values) {
            let greatest = values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            // Not so small that the bias would not fit into 32 bits.
            let least = bias.abs() / data_scale / (1u32 << 30) as f32;
            let scale = (greatest / most).max(least).max(f32::MIN_POSITIVE);
            quantised.extend(values.iter().map(|value| (value / scale).round() as i8));
            scales.push(scale);
        }
        let name = node.inputs[1].clone();
        node.inputs[1] = self.constant(&name, proto::INT8, &weight.shape, &quantised, &scales);

        let name = node.inputs[2].clone();
        if self.target == Target::TensorRt {
            self.plain(&name, bias);
            return Ok(());
        }
        let scales: Vec<f32> = scales.iter().map(|scale| scale * data_scale).collect();
        let values = bias.values.iter().zip(&scales);
        let quantised: Vec<i32> = values
            .map(|(bias, scale)| (bias / scale).round() as i32)
            .collect();
        node.inputs[2] = self.constant(&name, proto::INT32, &bias.shape, &quantised, &scales);
        Ok(())
    }

    /// Adds a quantised constant and its dequantisation, channel by channel; gives the name of what comes out.
    fn constant<T: bytemuck::NoUninit + Default>(
        &mut self,
        name: &str,
        data_type: i32,
        shape: &[usize],
        values: &[T],
        scales: &[f32],
    ) -> String {
        let channels = [scales.len()];
        let parameters = parameter_names(name);
        let [scale_name, zero_point_name] = parameters.clone();
        let zero_points = vec![T::default(); scales.len()];
        self.initializers.extend([
            Tensor::inline(quantized_name(name), data_type, shape, values),
            Tensor::inline(scale_name, proto::FLOAT, &channels, scales),
            Tensor::inline(zero_point_name, data_type, &channels, &zero_points),
        ]);
        let output = dequantised(name);
        let axis = vec![Attribute::int("axis", 0)];
        self.push(
            "DequantizeLinear",
            &quantized_name(name),
            &parameters,
            &output,
            axis,
        );
        output
    }

    /// Adds a constant in fp32.
    fn plain(&mut self, name: &str, tensor: &weights::Tensor) {
        let tensor = Tensor::inline(name.to_owned(), proto::FLOAT, &tensor.shape, &tensor.values);
        self.initializers.push(tensor);
    }

    fn push(
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

fn has_weights(node: &Node) -> bool {
    ["Conv", "Gemm"].contains(&node.op_type.as_str())
}

/// The names of a value's or constant's scale and zero point.
fn parameter_names(name: &str) -> [String; 2] {
    [format!("{name}_scale"), format!("{name}_zero_point")]
}

fn quantized_name(name: &str) -> String {
    format!("{name}_quantized")
}

fn dequantised(name: &str) -> String {
    format!("{name}_dequantized")
}
