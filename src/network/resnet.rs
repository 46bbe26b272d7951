//! ResNet-18 with the layer sizes of `torchvision.models.resnet18`.
//!
//! Reference: He et al., "Deep residual learning for image recognition", arXiv:1512.03385.

use super::{Architecture, Join, Layer, Network, conv, linear, max_pool};

/// ResNet-18 with `labels` outputs.
pub(super) fn resnet18(labels: usize) -> Network {
    let early = [
        conv_and_norm(["conv1", "bn1"], [3, 64], 7, 2),
        vec![Layer::Relu, max_pool(3, 2, 1)],
        stage("layer1", [64, 64], 1),
        stage("layer2", [64, 128], 2),
        stage("layer3", [128, 256], 2),
    ]
    .concat();
    let late = [
        stage("layer4", [256, 512], 2),
        vec![Layer::AdaptiveAvgPool2d { side: 1 }, Layer::Flatten],
    ]
    .concat();
    Network {
        architecture: Architecture::ResNet18,
        early_layers: early.len(),
        feature_layers: early.len() + late.len(),
        layers: [early, late, vec![linear("fc", [512, labels])]].concat(),
    }
}

/// Two residual blocks; with a `stride` of 2 the first one halves the width and height.
fn stage(name: &str, [in_channels, out_channels]: [usize; 2], stride: usize) -> Vec<Layer> {
    let first = block(&format!("{name}.0"), [in_channels, out_channels], stride);
    let second = block(&format!("{name}.1"), [out_channels, out_channels], 1);
    [first, second].concat()
}

/// A residual block: two convolutions, whose input is added to their output.
fn block(name: &str, channels: [usize; 2], stride: usize) -> Vec<Layer> {
    let named = |part: &str| format!("{name}.{part}");
    let [_, out_channels] = channels;
    let body = [
        conv_and_norm([&named("conv1"), &named("bn1")], channels, 3, stride),
        vec![Layer::Relu],
        conv_and_norm([&named("conv2"), &named("bn2")], [out_channels; 2], 3, 1),
    ]
    .concat();
    // The sum needs equal shapes: a block that changes the shape has a convolution on its shortcut.
    let shortcut = match stride {
        1 => Vec::new(),
        _ => conv_and_norm(
            [&named("downsample.0"), &named("downsample.1")],
            channels,
            1,
            stride,
        ),
    };
    let branches = vec![body, shortcut];
    vec![
        Layer::Branches {
            branches,
            join: Join::Sum,
        },
        Layer::Relu,
    ]
}

fn conv_and_norm(
    [conv_name, norm_name]: [&str; 2],
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
) -> Vec<Layer> {
    let mut convolution = conv(conv_name, channels, kernel, stride, kernel / 2);
    if let Layer::Conv2d { has_bias, .. } = &mut convolution {
        *has_bias = false;
    }
    let norm = Layer::BatchNorm2d {
        name: norm_name.to_owned(),
        channels: channels[1],
    };
    vec![convolution, norm]
}
