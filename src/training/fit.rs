//! Trains a linear classifier on frozen features, and lays it into the network's own classifier layers.
//!
//! With a few dozen frames a label, three randomly started fully connected layers of AlexNet's size do worse than a linear
//! classifier and take ten times as long: docs/training.md has the figures. What the linear classifier computes is
//! kept to the last bit by [`lay_in`], so that the network keeps its geometry.

use tch::nn::OptimizerConfig;
use tch::{Device, Kind, Reduction, TchError, Tensor, nn};

use super::Progress;
use super::features::Examples;
use crate::network::torch::{TorchError, TorchModule};
use crate::network::{Layer, Network};
use crate::weights::{self, Weights};

const BATCH: i64 = 32;
const LEARNING_RATE: f64 = 1e-3;
/// Name of the linear classifier's parameters while it is trained.
const LINEAR: &str = "linear";

/// Trains a linear classifier for some epochs, reporting each; what it makes of `held_out`, which may be empty, is part of the report.
///
/// Seed libtorch before, for the same result each time.
///
/// # Errors
/// libtorch's word, such as too little memory.
pub fn fit(
    network: &Network,
    train: &Examples,
    held_out: Option<&Examples>,
    epochs: u32,
    mut on_progress: impl FnMut(Progress),
) -> Result<TorchModule, TorchError> {
    let classifier = TorchModule::with_random_weights(&[linear_layer(network)], train.features.device())?;
    let mut optimizer = nn::AdamW::default().build(classifier.variables(), LEARNING_RATE)?;
    let held_out = held_out.filter(|held_out| held_out.frames() > 0);
    for epoch in 1..=epochs {
        let train_loss = train_epoch(&classifier, &mut optimizer, train)?;
        let validated = held_out
            .map(|held_out| validate(&classifier, held_out))
            .transpose()?;
        on_progress(Progress::Epoch {
            epoch,
            epochs,
            train_loss,
            validation_loss: validated.map(|(loss, _)| loss),
            accuracy: validated.map(|(_, accuracy)| accuracy),
        });
    }
    Ok(classifier)
}

/// The logits of each frame, without those of its copies.
///
/// # Errors
/// libtorch's word.
pub fn logits_of_frames(classifier: &TorchModule, examples: &Examples) -> Result<Vec<Vec<f32>>, TorchError> {
    if examples.frames() == 0 {
        return Ok(Vec::new());
    }
    let logits = tch::no_grad(|| classifier.forward(&examples.features_of_frames()?, false))?;
    Ok(Vec::try_from(logits.f_to_device(Device::Cpu)?)?)
}

/// One fully connected layer, from the network's features to its labels.
fn linear_layer(network: &Network) -> Layer {
    let (in_features, _) = sizes(linears(network).next());
    let (_, out_features) = sizes(linears(network).last());
    Layer::Linear {
        name: LINEAR.to_owned(),
        in_features,
        out_features,
    }
}

/// Writes a linear classifier into a stack of fully connected layers with ReLUs between them.
///
/// A ReLU stops what is negative, so the first layer computes each logit z and -z in two units; the layers between hand both on;
/// the last subtracts: relu(z) - relu(-z) = z. All other weights are 0. A stack of one layer takes the classifier as it is.
///
/// # Errors
/// A linear classifier that is not this network's.
pub fn lay_in(network: &Network, linear: &Weights) -> Result<Weights, weights::WeightsError> {
    let [weight, bias] = &linear_layer(network).parameters()[..] else {
        unreachable!("a fully connected layer has a weight and a bias");
    };
    let (weight, bias) = (linear.get(weight)?, linear.get(bias)?);
    let count = linears(network).count();
    let labels = bias.values.len();
    let mut laid_in = Weights::default();
    for (index, layer) in linears(network).enumerate() {
        let (columns, rows) = sizes(Some(layer));
        let mut values = vec![0.0; rows * columns];
        let mut biases = vec![0.0; rows];
        for label in 0..labels {
            let row_of_features = &weight.values[label * weight.shape[1]..][..weight.shape[1]];
            if count == 1 {
                values[label * columns..][..columns].copy_from_slice(row_of_features);
                biases[label] = bias.values[label];
                continue;
            }
            for (unit, sign) in [(2 * label, 1.0), (2 * label + 1, -1.0)] {
                if index == 0 {
                    let row = &mut values[unit * columns..][..columns];
                    row.iter_mut()
                        .zip(row_of_features)
                        .for_each(|(value, feature)| *value = sign * feature);
                    biases[unit] = sign * bias.values[label];
                } else if index + 1 == count {
                    values[label * columns + unit] = sign;
                } else {
                    values[unit * columns + unit] = 1.0;
                }
            }
        }
        for (parameter, values) in layer.parameters().into_iter().zip([values, biases]) {
            let shape = parameter.shape;
            laid_in.insert(parameter.name, weights::Tensor { shape, values });
        }
    }
    Ok(laid_in)
}

fn linears(network: &Network) -> impl Iterator<Item = &Layer> {
    network
        .classifier()
        .iter()
        .filter(|layer| matches!(layer, Layer::Linear { .. }))
}

/// Features in and out of a fully connected layer.
fn sizes(layer: Option<&Layer>) -> (usize, usize) {
    match layer {
        Some(&Layer::Linear {
            in_features,
            out_features,
            ..
        }) => (in_features, out_features),
        _ => unreachable!("every network ends in a fully connected layer"),
    }
}

/// One round over the examples in random order; gives their mean loss.
fn train_epoch(
    classifier: &TorchModule,
    optimizer: &mut nn::Optimizer,
    train: &Examples,
) -> Result<f64, TorchError> {
    let count = train.len() as i64;
    let order = Tensor::f_randperm(count, (Kind::Int64, train.labels.device()))?;
    let mut loss_sum = 0.0;
    for start in (0..count).step_by(BATCH as usize) {
        let picked = order.f_narrow(0, start, BATCH.min(count - start))?;
        let features = train.features.f_index_select(0, &picked)?;
        let labels = train.labels.f_index_select(0, &picked)?;
        let loss = cross_entropy(&classifier.forward(&features, true)?, &labels)?;
        loss_sum += loss.f_double_value(&[])? * picked.size()[0] as f64;
        optimizer.zero_grad();
        loss.f_backward()?;
        optimizer.step();
    }
    Ok(loss_sum / count as f64)
}

/// Mean loss and accuracy on held-out frames.
fn validate(classifier: &TorchModule, held_out: &Examples) -> Result<(f64, f64), TorchError> {
    tch::no_grad(|| {
        let logits = classifier.forward(&held_out.features_of_frames()?, false)?;
        let labels: Vec<i64> = held_out.labels_of_frames().map(|index| index as i64).collect();
        let labels = Tensor::f_from_slice(&labels)?.f_to_device(logits.device())?;
        let loss = cross_entropy(&logits, &labels)?.f_double_value(&[])?;
        let hits = logits.f_argmax(-1, false)?.f_eq_tensor(&labels)?;
        let accuracy = hits
            .f_to_kind(Kind::Double)?
            .f_mean(Kind::Double)?
            .f_double_value(&[])?;
        Ok((loss, accuracy))
    })
}

fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor, TchError> {
    const NO_LABEL: i64 = -100;
    logits.f_cross_entropy_loss::<Tensor>(labels, None, Reduction::Mean, NO_LABEL, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::alexnet::alexnet;

    #[test]
    fn the_network_computes_what_the_linear_classifier_does() {
        tch::manual_seed(3);
        let network = alexnet(3);
        let linear = TorchModule::with_random_weights(&[linear_layer(&network)], Device::Cpu).expect("fits");
        let laid_in = lay_in(&network, &linear.weights().expect("copies")).expect("fits");
        let stack = TorchModule::with_weights(network.classifier(), &laid_in, Device::Cpu).expect("fits");
        let features = Tensor::randn([5, 9216], (Kind::Float, Device::Cpu));
        let expected = linear.forward(&features, false).expect("runs");
        let found = stack.forward(&features, false).expect("runs");
        assert_eq!(found.size(), [5, 3]);
        let difference = (expected - found).abs().max().double_value(&[]);
        assert!(difference < 1e-5, "{difference}");
    }
}
