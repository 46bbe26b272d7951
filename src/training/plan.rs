//! What of a network stays frozen, what is trained, and how the trained part goes back into the network.
//!
//! Where the pretrained weights lack the hidden layers of the classifier, as those installed with AlexNet do, one linear layer
//! stands in for the classifier. What it computes is written into the network's own layers, to the last bit, by
//! [`Plan::weights`], so that the network keeps its geometry: a few dozen frames cannot teach 54 million randomly
//! started weights anything that 27 thousand would not learn.

use super::strategy::Strategy;
use crate::network::{self, Layer, Network, Shape, parameters};
use crate::weights::{Tensor, Weights, WeightsError};

/// Name of the stand-in's parameters while it is trained.
const STAND_IN: &str = "linear";

/// What is frozen and what is trained.
pub struct Plan<'a> {
    network: &'a Network,
    /// The layers that stay as they are.
    pub frozen: Vec<Layer>,
    /// The layers that are trained behind them; the last one with parameters is the last of the list where it is linear.
    pub trained: Vec<Layer>,
    has_stand_in: bool,
}

impl<'a> Plan<'a> {
    /// What a strategy means for a network, by what pretrained weights there are.
    pub fn new(network: &'a Network, strategy: Strategy, pretrained: &Weights) -> Plan<'a> {
        let has_stand_in = strategy != Strategy::Classifier && lacks_hidden_layers(network, pretrained);
        let frozen = strategy.frozen_layers(network);
        let (frozen, trained) = match has_stand_in {
            false => (frozen, network.layers[frozen..].to_vec()),
            true => {
                let frozen = frozen.min(network.feature_layers);
                let features = &network.layers[frozen..network.feature_layers];
                (frozen, [features, &[stand_in(network)]].concat())
            }
        };
        Plan {
            network,
            frozen: network.layers[..frozen].to_vec(),
            trained,
            has_stand_in,
        }
    }

    /// The last layer, where it is linear and nothing follows: a start for it can be computed.
    pub fn last_linear(&self) -> Option<&Layer> {
        self.trained
            .last()
            .filter(|layer| matches!(layer, Layer::Linear { .. }))
    }

    /// All weights of the network, from the pretrained ones and the trained ones.
    ///
    /// # Errors
    /// A weight that is missing or misshaped.
    pub fn weights(&self, pretrained: &Weights, trained: &Weights) -> Result<Weights, WeightsError> {
        let mut all = Weights::default();
        let mut copy = |layers: &[Layer], from: &Weights| {
            for parameter in parameters(layers) {
                all.insert(parameter.name.clone(), from.get(&parameter)?.clone());
            }
            Ok(())
        };
        copy(&self.frozen, pretrained)?;
        if !self.has_stand_in {
            copy(&self.trained, trained)?;
            return Ok(all);
        }
        if let Some((linear, features)) = self.trained.split_last() {
            copy(features, trained)?;
            all.extend(lay_in(self.network.classifier(), linear, trained)?);
        }
        Ok(all)
    }
}

fn lacks_hidden_layers(network: &Network, pretrained: &Weights) -> bool {
    let hidden = &network.layers[network.feature_layers..network.last_layer()];
    parameters(hidden)
        .iter()
        .any(|parameter| pretrained.get(parameter).is_err())
}

/// One fully connected layer, from the network's features to its labels.
fn stand_in(network: &Network) -> Layer {
    let features = network::output(network.features(), Network::INPUT);
    let labels = network::output(&network.layers, Network::INPUT);
    Layer::Linear {
        name: STAND_IN.to_owned(),
        in_features: features.values(),
        out_features: labels.values(),
    }
}

/// Writes a linear layer into a stack of fully connected layers with ReLUs between them.
///
/// A ReLU stops what is negative, so the first layer computes each logit z and -z in two units; the layers between hand both on;
/// the last subtracts: relu(z) - relu(-z) = z. All other weights are 0.
fn lay_in(stack: &[Layer], linear: &Layer, trained: &Weights) -> Result<Weights, WeightsError> {
    let [weight, bias] = &linear.parameters()[..] else {
        unreachable!("a fully connected layer has a weight and a bias");
    };
    let (weight, bias) = (trained.get(weight)?, trained.get(bias)?);
    let layers: Vec<&Layer> = stack
        .iter()
        .filter(|layer| matches!(layer, Layer::Linear { .. }))
        .collect();
    let mut laid_in = Weights::default();
    for (index, layer) in layers.iter().enumerate() {
        let Shape::Row(rows) = layer.output(Shape::Row(0)) else {
            unreachable!("a fully connected layer gives a row");
        };
        let columns = layer.parameters()[0].shape[1];
        let mut values = vec![0.0; rows * columns];
        let mut biases = vec![0.0; rows];
        for (label, features) in weight.values.chunks_exact(weight.shape[1]).enumerate() {
            for (unit, sign) in [(2 * label, 1.0), (2 * label + 1, -1.0)] {
                if index == 0 {
                    let row = &mut values[unit * columns..][..columns];
                    row.iter_mut()
                        .zip(features)
                        .for_each(|(value, feature)| *value = sign * feature);
                    biases[unit] = sign * bias.values[label];
                } else if index + 1 == layers.len() {
                    values[label * columns + unit] = sign;
                } else {
                    values[unit * columns + unit] = 1.0;
                }
            }
        }
        for (parameter, values) in layer.parameters().into_iter().zip([values, biases]) {
            let shape = parameter.shape;
            laid_in.insert(parameter.name, Tensor { shape, values });
        }
    }
    Ok(laid_in)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::network::torch::TorchModule;

    fn network(name: &str) -> Network {
        Network::named(name, 3).expect("known")
    }

    /// Random weights for some layers.
    fn random(layers: &[Layer]) -> Weights {
        tch::manual_seed(3);
        let module = TorchModule::with_start(layers, &Weights::default(), Device::Cpu).expect("fits");
        module.weights().expect("copies")
    }

    #[test]
    fn the_network_computes_what_its_trained_part_does() {
        for name in ["alexnet", "squeezenet1_1", "resnet18"] {
            let network = network(name);
            let pretrained = random(network.features());
            for strategy in Strategy::ALL {
                let plan = Plan::new(&network, strategy, &pretrained);
                let trained = random(&plan.trained);
                let weights = plan.weights(&pretrained, &trained).expect("fits");
                let batch = tch::Tensor::randn([2, 3, 224, 224], (Kind::Float, Device::Cpu));
                let run = |layers: &[Layer], weights: &Weights, batch: &tch::Tensor| {
                    let module = TorchModule::with_weights(layers, weights, Device::Cpu).expect("fits");
                    tch::no_grad(|| module.forward(batch, false)).expect("runs")
                };
                let expected = run(&plan.trained, &trained, &run(&plan.frozen, &pretrained, &batch));
                let found = run(&network.layers, &weights, &batch);
                let difference = (expected - found).abs().max().double_value(&[]);
                assert!(difference < 1e-4, "{name} {strategy:?}: {difference}");
            }
        }
    }

    #[test]
    fn with_pretrained_hidden_layers_nothing_stands_in() {
        let network = network("alexnet");
        let last = network.last_layer();
        let all_but_last = random(&network.layers[..last]);
        let plan = Plan::new(&network, Strategy::LastLayer, &all_but_last);
        assert_eq!(plan.frozen.len(), last);
        assert_eq!(plan.trained, network.layers[last..]);
        let features_alone = random(network.features());
        let plan = Plan::new(&network, Strategy::LastLayer, &features_alone);
        assert_eq!(plan.frozen.len(), network.feature_layers);
        assert_eq!(plan.trained.len(), 1);
    }
}
