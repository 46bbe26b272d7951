//! The graph of a classifier of landmarks: features, a fully connected layer and a softmax.

use std::path::Path;

use super::export::write;
use super::proto::{self, Attribute, Dimension, Graph, Node, Tensor, ValueInfo};
use super::{BATCH_NAME, Batch, ExportError};

/// Name of the input of the graph, batch x landmarks x 3.
pub const LANDMARKS_INPUT: &str = "landmarks";
/// Name of the output of the graph, batch x labels.
pub const PROBABILITIES_OUTPUT: &str = "probabilities";

/// A classifier of landmarks. Its features are the positions of all landmarks, followed by the distance of each pair, without depth.
pub struct LandmarkGraph<'a> {
    /// Number of landmarks.
    pub landmarks: usize,
    /// The mean of these landmarks is the origin of the positions.
    pub palm: &'a [usize],
    /// The mean distance of these pairs, with depth, is the unit of positions and distances.
    pub sides: &'a [[usize; 2]],
    /// The values for each label, concatenated.
    pub weight: &'a [f32],
    /// One value for each label.
    pub bias: &'a [f32],
}

impl LandmarkGraph<'_> {
    /// Writes the graph as an ONNX file, atomically. `metadata` is stored in the file as keys and values.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path, batch: Batch, metadata: &[(&str, String)]) -> Result<(), ExportError> {
        let value = |name: &str, dims: &[usize]| {
            let batch = match batch {
                Batch::One => Dimension::fixed(1),
                Batch::Dynamic => Dimension::symbolic(BATCH_NAME),
            };
            let dims = dims.iter().copied().map(Dimension::fixed);
            ValueInfo::float_tensor(name, std::iter::once(batch).chain(dims).collect())
        };
        let graph = Graph {
            name: LANDMARKS_INPUT.to_owned(),
            nodes: self.nodes(),
            initializers: self.initializers(),
            inputs: vec![value(LANDMARKS_INPUT, &[self.landmarks, 3])],
            outputs: vec![value(PROBABILITIES_OUTPUT, &[self.bias.len()])],
        };
        write(path, graph, metadata)
    }

    fn nodes(&self) -> Vec<Node> {
        let axis = |axis: i64| vec![Attribute::int("axis", axis)];
        let over = |axis: i64, keeps_it: i64| {
            let axes = Attribute::ints("axes", vec![axis]);
            vec![axes, Attribute::int("keepdims", keeps_it)]
        };
        vec![
            node("Gather", &[LANDMARKS_INPUT, "plane"], "positions", axis(2)),
            node("Gather", &["positions", "palm"], "palm_positions", axis(1)),
            node("ReduceMean", &["palm_positions"], "origin", over(1, 1)),
            node("Gather", &[LANDMARKS_INPUT, "side_begins"], "begins", axis(1)),
            node("Gather", &[LANDMARKS_INPUT, "side_ends"], "ends", axis(1)),
            node("Sub", &["begins", "ends"], "sides", vec![]),
            node("ReduceL2", &["sides"], "side_lengths", over(2, 1)),
            node("ReduceMean", &["side_lengths"], "palm_size", over(1, 1)),
            node("Max", &["palm_size", "smallest"], "unit", vec![]),
            node("Sub", &["positions", "origin"], "centered", vec![]),
            node("Div", &["centered", "unit"], "points", vec![]),
            node("Gather", &["points", "pair_begins"], "firsts", axis(1)),
            node("Gather", &["points", "pair_ends"], "seconds", axis(1)),
            node("Sub", &["firsts", "seconds"], "differences", vec![]),
            node("ReduceL2", &["differences"], "distances", over(2, 0)),
            node("Flatten", &["points"], "coordinates", axis(1)),
            node("Concat", &["coordinates", "distances"], "features", axis(1)),
            node(
                "Gemm",
                &["features", "weight", "bias"],
                "logits",
                vec![Attribute::int("transB", 1)],
            ),
            node("Softmax", &["logits"], PROBABILITIES_OUTPUT, axis(1)),
        ]
    }

    fn initializers(&self) -> Vec<Tensor> {
        let indices = |name: &str, values: Vec<usize>| {
            let values: Vec<i64> = values.into_iter().map(|index| index as i64).collect();
            Tensor::inline(name.to_owned(), proto::INT64, &[values.len()], &values)
        };
        let floats = |name: &str, shape: &[usize], values: &[f32]| {
            Tensor::inline(name.to_owned(), proto::FLOAT, shape, values)
        };
        let pairs = (0..self.landmarks)
            .flat_map(|first| (first + 1..self.landmarks).map(move |second| [first, second]));
        let (pair_begins, pair_ends) = pairs.map(|[first, second]| (first, second)).unzip();
        let (side_begins, side_ends) = self.sides.iter().map(|[first, second]| (*first, *second)).unzip();
        let labels = self.bias.len();
        vec![
            indices("plane", vec![0, 1]),
            indices("palm", self.palm.to_vec()),
            indices("side_begins", side_begins),
            indices("side_ends", side_ends),
            indices("pair_begins", pair_begins),
            indices("pair_ends", pair_ends),
            floats("smallest", &[], &[f32::MIN_POSITIVE]),
            floats("weight", &[labels, self.weight.len() / labels], self.weight),
            floats("bias", &[labels], self.bias),
        ]
    }
}

/// A node that is named after its output.
fn node(op_type: &str, inputs: &[&str], output: &str, attributes: Vec<Attribute>) -> Node {
    Node {
        inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
        outputs: vec![output.to_owned()],
        name: output.to_owned(),
        op_type: op_type.to_owned(),
        attributes,
    }
}
