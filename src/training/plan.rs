//! What of a network stays frozen, and what is trained.
//!
//! Where the pretrained weights lack the hidden layers of the classifier, as those installed with AlexNet do, one linear layer
//! takes the classifier's place: a few dozen frames cannot teach 54 million randomly started weights anything that 27 thousand
//! would not learn, and a frame costs half the time.

use super::strategy::Strategy;
use crate::network::{Layer, Network, parameters};
use crate::weights::{Weights, WeightsError};

/// What is frozen and what is trained.
pub struct Plan {
    /// The network that comes out: the one asked for, or that with a linear classifier.
    pub network: Network,
    /// How many of its layers stay as they are; those behind them are trained.
    frozen: usize,
}

impl Plan {
    /// What a strategy means for a network, by what pretrained weights there are.
    pub fn new(network: &Network, strategy: Strategy, pretrained: &Weights) -> Plan {
        let is_linear = strategy != Strategy::Classifier && lacks_hidden_layers(network, pretrained);
        let network = match is_linear {
            true => network.with_linear_classifier(),
            false => network.clone(),
        };
        Plan {
            frozen: strategy.frozen_layers(&network),
            network,
        }
    }

    /// The layers that stay as they are.
    pub fn frozen(&self) -> &[Layer] {
        &self.network.layers[..self.frozen]
    }

    /// The layers that are trained behind them.
    pub fn trained(&self) -> &[Layer] {
        &self.network.layers[self.frozen..]
    }

    /// The last layer, where it is linear and nothing follows: a start for it can be computed.
    pub fn last_linear(&self) -> Option<&Layer> {
        self.trained()
            .last()
            .filter(|layer| matches!(layer, Layer::Linear { .. }))
    }

    /// All weights of the network, from the pretrained ones and the trained ones.
    ///
    /// # Errors
    /// A weight that is missing or misshaped.
    pub fn weights(&self, pretrained: &Weights, trained: &Weights) -> Result<Weights, WeightsError> {
        let mut all = Weights::default();
        for (layers, from) in [(self.frozen(), pretrained), (self.trained(), trained)] {
            for parameter in parameters(layers) {
                let tensor = from.get(&parameter)?.clone();
                all.insert(parameter.name, tensor);
            }
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

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;
    use tch::{Device, Kind};

    use super::*;
    use crate::network::torch::TorchModule;

    fn network(name: &str) -> Network {
        Network::named(name, 3).expect("known")
    }

    /// Random weights for some layers.
    fn random(layers: &[Layer]) -> Weights {
        tch::manual_seed(3);
        let module = TorchModule::with_pretrained(layers, &Weights::default(), Device::Cpu).expect("fits");
        module.weights().expect("copies")
    }

    #[test]
    fn the_network_computes_what_its_trained_part_does() {
        for name in ["alexnet", "squeezenet1_1", "resnet18"] {
            let network = network(name);
            let pretrained = random(network.features());
            for strategy in Strategy::iter() {
                let plan = Plan::new(&network, strategy, &pretrained);
                let trained = random(plan.trained());
                let weights = plan.weights(&pretrained, &trained).expect("fits");
                let batch = tch::Tensor::randn([2, 3, 224, 224], (Kind::Float, Device::Cpu));
                let run = |layers: &[Layer], weights: &Weights, batch: &tch::Tensor| {
                    let module = TorchModule::with_weights(layers, weights, Device::Cpu).expect("fits");
                    tch::no_grad(|| module.forward(batch, false)).expect("runs")
                };
                let expected = run(plan.trained(), &trained, &run(plan.frozen(), &pretrained, &batch));
                let found = run(&plan.network.layers, &weights, &batch);
                let difference = (expected - found).abs().max().double_value(&[]);
                assert!(difference < 1e-4, "{name} {strategy:?}: {difference}");
            }
        }
    }

    #[test]
    fn only_pretrained_hidden_layers_are_kept() {
        let network = network("alexnet");
        let last = network.last_layer();
        let all_but_last = random(&network.layers[..last]);
        let plan = Plan::new(&network, Strategy::LastLayer, &all_but_last);
        assert_eq!(plan.network, network);
        assert_eq!(plan.trained(), &network.layers[last..]);

        let features_alone = random(network.features());
        for strategy in [Strategy::LastLayer, Strategy::LateLayers, Strategy::Full] {
            let plan = Plan::new(&network, strategy, &features_alone);
            assert_eq!(plan.network, network.with_linear_classifier(), "{strategy:?}");
        }
        let plan = Plan::new(&network, Strategy::LastLayer, &features_alone);
        assert_eq!(plan.frozen(), network.features());
        assert_eq!(plan.trained().len(), 1);
        let plan = Plan::new(&network, Strategy::Classifier, &features_alone);
        assert_eq!(plan.network, network);
    }
}
