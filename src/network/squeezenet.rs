//! SqueezeNet 1.1 with the layer sizes of `torchvision.models.squeezenet1_1`.
//!
//! Reference: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size", arXiv:1602.07360.
//! torchvision's pooling layers use `ceil_mode`; at 224 pixels the windows fit exactly, so the rounding makes no difference.

use super::{Architecture, Join, Layer, Network, conv, max_pool};

/// SqueezeNet 1.1 with `labels` outputs.
pub(super) fn squeezenet1_1(labels: usize) -> Network {
    let early = [
        vec![
            conv("features.0", [3, 64], 3, 2, 0),
            Layer::Relu,
            max_pool(3, 2, 0),
        ],
        fire("features.3", [64, 16, 64]),
        fire("features.4", [128, 16, 64]),
        vec![max_pool(3, 2, 0)],
        fire("features.6", [128, 32, 128]),
        fire("features.7", [256, 32, 128]),
        vec![max_pool(3, 2, 0)],
        fire("features.9", [256, 48, 192]),
        fire("features.10", [384, 48, 192]),
    ]
    .concat();
    let late = [
        fire("features.11", [384, 64, 256]),
        fire("features.12", [512, 64, 256]),
    ]
    .concat();
    let classifier = vec![
        Layer::Dropout { probability: 0.5 },
        conv("classifier.1", [512, labels], 1, 1, 0),
        Layer::Relu,
        Layer::AdaptiveAvgPool2d { side: 1 },
        Layer::Flatten,
    ];
    Network {
        architecture: Architecture::SqueezeNet1_1,
        early_layers: early.len(),
        feature_layers: early.len() + late.len(),
        layers: [early, late, classifier].concat(),
    }
}

/// A fire module: a convolution that reduces the channels, then half of the output channels by 1x1 and half by 3x3 windows.
fn fire(name: &str, [channels, squeezed, expanded]: [usize; 3]) -> Vec<Layer> {
    let expand = |part: &str, kernel: usize| {
        let name = format!("{name}.{part}");
        vec![
            conv(name, [squeezed, expanded], kernel, 1, kernel / 2),
            Layer::Relu,
        ]
    };
    vec![
        conv(format!("{name}.squeeze"), [channels, squeezed], 1, 1, 0),
        Layer::Relu,
        Layer::Branches {
            branches: vec![expand("expand1x1", 1), expand("expand3x3", 3)],
            join: Join::Channels,
        },
    ]
}
