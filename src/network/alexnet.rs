//! AlexNet with the layer sizes of `torchvision.models.alexnet`.
//!
//! Reference: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997.
//! `tch::vision::alexnet` has other channel counts and cannot load torchvision's weights.

use super::{Architecture, Layer, Network, conv, linear, max_pool};

/// AlexNet with `labels` outputs.
pub(super) fn alexnet(labels: usize) -> Network {
    let early = vec![
        conv("features.0", [3, 64], 11, 4, 2),
        Layer::Relu,
        max_pool(3, 2, 0),
        conv("features.3", [64, 192], 5, 1, 2),
        Layer::Relu,
        max_pool(3, 2, 0),
        conv("features.6", [192, 384], 3, 1, 1),
        Layer::Relu,
    ];
    let late = vec![
        conv("features.8", [384, 256], 3, 1, 1),
        Layer::Relu,
        conv("features.10", [256, 256], 3, 1, 1),
        Layer::Relu,
        max_pool(3, 2, 0),
        Layer::AdaptiveAvgPool2d { side: 6 },
        Layer::Flatten,
    ];
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
