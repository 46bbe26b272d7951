//! VGG-11 and VGG-16 without batch normalization, with the layer sizes of `torchvision.models.vgg11` and `vgg16`.
//!
//! Reference: Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition", arXiv:1409.1556.

use super::{Architecture, Layer, Network, conv, linear, max_pool};

/// VGG-11 with `labels` outputs.
pub(super) fn vgg11(labels: usize) -> Network {
    vgg(Architecture::Vgg11, [1, 1, 2, 2, 2], labels)
}

/// VGG-16 with `labels` outputs.
pub(super) fn vgg16(labels: usize) -> Network {
    vgg(Architecture::Vgg16, [2, 2, 3, 3, 3], labels)
}

/// Five blocks with these numbers of convolutions. A max pooling layer after each block halves the width and height.
fn vgg(architecture: Architecture, convolutions: [usize; 5], labels: usize) -> Network {
    const CHANNELS: [usize; 5] = [64, 128, 256, 512, 512];
    let mut features = Vec::new();
    let mut channels = 3;
    let mut early_layers = 0;
    for (count, out_channels) in convolutions.into_iter().zip(CHANNELS) {
        early_layers = features.len();
        for _ in 0..count {
            let name = format!("features.{}", features.len());
            features.push(conv(name, [channels, out_channels], 3, 1, 1));
            features.push(Layer::Relu);
            channels = out_channels;
        }
        features.push(max_pool(2, 2, 0));
    }
    features.extend([Layer::AdaptiveAvgPool2d { side: 7 }, Layer::Flatten]);
    let classifier = vec![
        linear("classifier.0", [512 * 7 * 7, 4096]),
        Layer::Relu,
        Layer::Dropout { probability: 0.5 },
        linear("classifier.3", [4096, 4096]),
        Layer::Relu,
        Layer::Dropout { probability: 0.5 },
        linear("classifier.6", [4096, labels]),
    ];
    Network {
        architecture,
        early_layers,
        feature_layers: features.len(),
        layers: [features, classifier].concat(),
    }
}
