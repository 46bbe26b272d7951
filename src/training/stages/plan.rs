//! Which layers of a network stay frozen and which are trained.
//!
//! If the pretrained weights lack the hidden layers of the classifier, as the installed ones of AlexNet do, one linear layer
//! replaces the classifier: with a few dozen frames, 54 million randomly initialized weights classify no better than the 27 thousand
//! of the linear layer, and inference takes twice the time.

use crate::network::{Layer, Network, parameters};
use crate::training::strategy::Strategy;
use crate::weights::{Weights, WeightsError};

/// A network, divided into frozen and trained layers.
pub(super) struct Plan {
    /// The network of the new model: the requested one, or the same with a linear classifier.
    pub(super) network: Network,
    /// Number of frozen layers; the ones after them are trained.
    frozen: usize,
}

impl Plan {
    /// The plan of a strategy for a network with the given pretrained weights.
    pub(super) fn new(network: &Network, strategy: Strategy, pretrained: &Weights) -> Plan {
        let is_linear = strategy != Strategy::Classifier && lacks_hidden_layers(network, pretrained);
        let network = if is_linear {
            network.with_linear_classifier()
        } else {
            network.clone()
        };
        Plan {
            frozen: strategy.frozen_layers(&network),
            network,
        }
    }

    pub(super) fn frozen(&self) -> &[Layer] {
        &self.network.layers[..self.frozen]
    }

    pub(super) fn trained(&self) -> &[Layer] {
        &self.network.layers[self.frozen..]
    }

    /// Number of trained layers before the last one with parameters.
    pub(super) fn trained_before_last(&self) -> usize {
        self.network.last_layer() - self.frozen
    }

    /// The last layer if it is linear, so that its initial weights can be computed.
    pub(super) fn last_linear(&self) -> Option<&Layer> {
        self.trained()
            .last()
            .filter(|layer| matches!(layer, Layer::Linear { .. }))
    }

    /// All weights of the network: the pretrained ones of the frozen layers and the trained ones.
    ///
    /// # Errors
    /// A weight is missing or has the wrong shape.
    pub(super) fn weights(&self, pretrained: &Weights, trained: &Weights) -> Result<Weights, WeightsError> {
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

    fn random_weights(layers: &[Layer]) -> Weights {
        tch::manual_seed(3);
        let module = TorchModule::with_pretrained(layers, &Weights::default(), Device::Cpu).expect("fits");
        module.weights().expect("copies")
    }

    #[test]
    fn network_equals_frozen_layers_followed_by_trained_layers() {
        for name in ["alexnet", "squeezenet1_1", "resnet18"] {
            let network = network(name);
            let pretrained = random_weights(network.features());
            for strategy in Strategy::iter() {
                let plan = Plan::new(&network, strategy, &pretrained);
                let trained = random_weights(plan.trained());
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
    fn classifier_without_pretrained_hidden_layers_becomes_linear() {
        let network = network("alexnet");
        let last = network.last_layer();
        let all_but_last = random_weights(&network.layers[..last]);
        let plan = Plan::new(&network, Strategy::LastLayer, &all_but_last);
        assert_eq!(plan.network, network);
        assert_eq!(plan.trained(), &network.layers[last..]);

        let features_only = random_weights(network.features());
        for strategy in [Strategy::LastLayer, Strategy::LateLayers, Strategy::Full] {
            let plan = Plan::new(&network, strategy, &features_only);
            assert_eq!(plan.network, network.with_linear_classifier(), "{strategy:?}");
        }
        let plan = Plan::new(&network, Strategy::LastLayer, &features_only);
        assert_eq!(plan.frozen(), network.features());
        assert_eq!(plan.trained().len(), 1);
        let plan = Plan::new(&network, Strategy::Classifier, &features_only);
        assert_eq!(plan.network, network);
    }
}
