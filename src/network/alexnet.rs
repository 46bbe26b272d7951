//! AlexNet with the layer sizes of `torchvision.models.alexnet`.
//!
//! Reference: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997.
//! `tch::vision::alexnet` has other channel counts and cannot load torchvision's weights.

use super::{Architecture, Join, Layer, Network, conv, linear, max_pool};

/// AlexNet with `labels` outputs.
pub(super) fn alexnet(labels: usize) -> Network {
    let early = early();
    let mut late = [conv4(), conv5()].concat();
    late.extend([
        max_pool(3, 2, 0),
        Layer::AdaptiveAvgPool2d { side: 6 },
        Layer::Flatten,
    ]);
    let classifier = vec![
        Layer::Dropout { probability: 0.5 },
        linear("classifier.1", [256 * 6 * 6, 4096]),
        Layer::Relu,
        Layer::Dropout { probability: 0.5 },
        linear("classifier.4", [4096, 4096]),
        Layer::Relu,
        linear("classifier.6", [4096, labels]),
    ];
    Network {
        architecture: Architecture::AlexNet,
        early_layers: early.len(),
        feature_layers: early.len() + late.len(),
        layers: [early, late, classifier].concat(),
    }
}

/// AlexNet's convolutions, with a linear classifier of the outputs of the last three, each averaged to 3x3.
///
/// On the crop of a hand, these features depend less on the person and the room than the last output alone.
pub(super) fn alexnet_for_hands(labels: usize) -> Network {
    const SIDE: usize = 3;
    let average = || vec![Layer::AdaptiveAvgPool2d { side: SIDE }];
    let joined = |branches: Vec<Vec<Layer>>| Layer::Branches {
        branches,
        join: Join::Channels,
    };
    let after_conv4 = joined(vec![average(), [conv5(), average()].concat()]);
    let after_conv3 = joined(vec![average(), [conv4(), vec![after_conv4]].concat()]);
    let early = early();
    let features = [early.clone(), vec![after_conv3, Layer::Flatten]].concat();
    let classifier = linear("classifier", [(384 + 256 + 256) * SIDE * SIDE, labels]);
    Network {
        architecture: Architecture::AlexNet,
        early_layers: early.len(),
        feature_layers: features.len(),
        layers: [features, vec![classifier]].concat(),
    }
}

/// The first three convolutions.
fn early() -> Vec<Layer> {
    vec![
        conv("features.0", [3, 64], 11, 4, 2),
        Layer::Relu,
        max_pool(3, 2, 0),
        conv("features.3", [64, 192], 5, 1, 2),
        Layer::Relu,
        max_pool(3, 2, 0),
        conv("features.6", [192, 384], 3, 1, 1),
        Layer::Relu,
    ]
}

fn conv4() -> Vec<Layer> {
    vec![conv("features.8", [384, 256], 3, 1, 1), Layer::Relu]
}

fn conv5() -> Vec<Layer> {
    vec![conv("features.10", [256, 256], 3, 1, 1), Layer::Relu]
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;
    use crate::network::torch::TorchModule;
    use crate::weights::Weights;

    #[test]
    fn features_for_hands_are_the_averages_of_the_last_three_convolutions() {
        tch::manual_seed(1);
        let network = alexnet_for_hands(2);
        let random = TorchModule::with_pretrained(network.features(), &Weights::default(), Device::Cpu);
        let weights = random
            .and_then(|module| module.weights())
            .expect("random weights");
        let image = Tensor::randn([1, 3, 224, 224], (Kind::Float, Device::Cpu));
        let run = |layers: &[Layer]| {
            let module = TorchModule::with_weights(layers, &weights, Device::Cpu).expect("fits");
            tch::no_grad(|| module.forward(&image, false)).expect("runs")
        };
        // After the third, fourth and fifth convolution, each followed by a ReLU.
        let outputs = [8, 10, 12].map(|layers| run(&alexnet(2).layers[..layers]));
        let averages = outputs.map(|output| output.adaptive_avg_pool2d([3, 3]));
        let expected = Tensor::cat(&averages, 1).flatten(1, -1);
        let found = run(network.features());
        assert_eq!(found.size(), expected.size());
        assert!((found - expected).abs().max().double_value(&[]) < 1e-5);
    }
}
