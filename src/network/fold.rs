//! Folding of batch normalization into the preceding convolution, for inference.
//!
//! y = γ (conv(x) + b − μ) / √(σ² + ε) + β is a convolution whose weights are scaled by γ / √(σ² + ε)
//! (Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
//! arXiv:1712.05877, section 3.2).

use super::{BATCH_NORM_EPSILON, Layer};
use crate::weights::{Tensor, Weights, WeightsError};

/// Returns equivalent layers without batch normalization, and their weights.
///
/// # Errors
/// A tensor is missing or has the wrong shape.
pub(crate) fn fold_batch_norms(
    layers: &[Layer],
    weights: &Weights,
) -> Result<(Vec<Layer>, Weights), WeightsError> {
    let mut folded = Weights::default();
    let layers = fold(layers, weights, &mut folded)?;
    Ok((layers, folded))
}

fn fold(layers: &[Layer], weights: &Weights, folded: &mut Weights) -> Result<Vec<Layer>, WeightsError> {
    let mut result: Vec<Layer> = Vec::new();
    for layer in layers {
        match (result.last_mut(), layer) {
            (Some(conv @ Layer::Conv2d { .. }), Layer::BatchNorm2d { .. }) => {
                scale_conv(conv, layer, weights, folded)?;
            }
            (_, Layer::Branches { branches, join }) => {
                let branches = branches.iter().map(|branch| fold(branch, weights, folded));
                result.push(Layer::Branches {
                    branches: branches.collect::<Result<_, _>>()?,
                    join: *join,
                });
            }
            _ => {
                for parameter in layer.parameters() {
                    let tensor = weights.get(&parameter)?.clone();
                    folded.insert(parameter.name, tensor);
                }
                result.push(layer.clone());
            }
        }
    }
    Ok(result)
}

/// Applies a batch normalization to the convolution before it, whose weights are already in `folded`.
fn scale_conv(
    conv: &mut Layer,
    norm: &Layer,
    weights: &Weights,
    folded: &mut Weights,
) -> Result<(), WeightsError> {
    let norm_parameters = norm.parameters();
    let [gamma, beta, mean, variance] = [0, 1, 2, 3].map(|part| weights.get(&norm_parameters[part]));
    let (gamma, beta, mean, variance) = (gamma?, beta?, mean?, variance?);
    let scales: Vec<f32> = gamma
        .values
        .iter()
        .zip(&variance.values)
        .map(|(gamma, variance)| gamma / (variance + BATCH_NORM_EPSILON as f32).sqrt())
        .collect();

    let before = conv.parameters();
    if let Layer::Conv2d { has_bias, .. } = conv {
        *has_bias = true;
    }
    let mut after = conv.parameters();
    let (bias, weight) = (after.remove(1), after.remove(0));
    let mut kernel = folded.get(&weight)?.clone();
    let channel_len = kernel.values.len() / scales.len();
    for (values, scale) in kernel.values.chunks_exact_mut(channel_len).zip(&scales) {
        values.iter_mut().for_each(|value| *value *= scale);
    }
    let own_bias = match before.get(1) {
        Some(bias) => folded.get(bias)?.values.clone(),
        None => vec![0.0; scales.len()],
    };
    let biases = (0..scales.len())
        .map(|channel| (own_bias[channel] - mean.values[channel]) * scales[channel] + beta.values[channel]);
    let biases = Tensor {
        shape: bias.shape,
        values: biases.collect(),
    };
    folded.insert(weight.name, kernel);
    folded.insert(bias.name, biases);
    Ok(())
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::network::torch::TorchModule;
    use crate::network::{Network, parameters};

    #[test]
    fn folded_network_has_the_same_output() {
        let network = Network::named("resnet18", 3).expect("known");
        tch::manual_seed(7);
        let module =
            TorchModule::with_pretrained(&network.layers, &Weights::default(), Device::Cpu).expect("fits");
        let mut weights = module.weights().expect("copies");
        // In a new network a batch normalization changes nothing: its parameters and statistics are 0 and 1.
        for parameter in parameters(&network.layers) {
            let mut tensor = weights.get(&parameter).expect("exists").clone();
            if tensor.shape.len() == 1 {
                let values = tensor.values.iter_mut().enumerate();
                values.for_each(|(index, value)| *value += (index % 5) as f32 / 20.0);
            }
            weights.insert(parameter.name, tensor);
        }
        let (folded, folded_weights) = fold_batch_norms(&network.layers, &weights).expect("folds");
        assert!(!format!("{folded:?}").contains("BatchNorm2d"));
        assert_eq!(parameters(&folded).len(), folded_weights.names().count());

        let batch = tch::Tensor::randn([2, 3, 224, 224], (Kind::Float, Device::Cpu));
        let run = |layers: &[Layer], weights: &Weights| {
            let module = TorchModule::with_weights(layers, weights, Device::Cpu).expect("fits");
            tch::no_grad(|| module.forward(&batch, false)).expect("runs")
        };
        let (expected, found) = (run(&network.layers, &weights), run(&folded, &folded_weights));
        let difference = (&expected - found).abs().max() / expected.abs().max();
        assert!(difference.double_value(&[]) < 1e-4, "{difference:?}");
    }
}
