//! AlexNet in torchvision's geometry (`torchvision.models.alexnet`).
//!
//! After Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997.
//! tch's own `vision::alexnet` has other channel counts, so that torchvision's weights do not fit it.

use super::{Layer, Network};

/// The name it goes by.
pub const NAME: &str = "alexnet";

/// AlexNet with `labels` outputs; parameters are named as torchvision names them.
pub fn alexnet(labels: usize) -> Network {
    let pool = Layer::MaxPool2d { kernel: 3, stride: 2 };
    let features = vec![
        conv("features.0", [3, 64], 11, 4, 2),
        Layer::Relu,
        pool.clone(),
        conv("features.3", [64, 192], 5, 1, 2),
        Layer::Relu,
        pool.clone(),
        conv("features.6", [192, 384], 3, 1, 1),
        Layer::Relu,
        conv("features.8", [384, 256], 3, 1, 1),
        Layer::Relu,
        conv("features.10", [256, 256], 3, 1, 1),
        Layer::Relu,
        pool,
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
        name: NAME,
        feature_layers: features.len(),
        layers: [features, classifier].concat(),
    }
}

fn conv(
    name: &'static str,
    [in_channels, out_channels]: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: usize,
) -> Layer {
    Layer::Conv2d {
        name,
        in_channels,
        out_channels,
        kernel,
        stride,
        padding,
    }
}

fn linear(name: &'static str, [in_features, out_features]: [usize; 2]) -> Layer {
    Layer::Linear {
        name,
        in_features,
        out_features,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Shape, parameters};

    #[test]
    fn it_has_as_many_parameters_as_torchvisions() {
        let count: usize = parameters(&alexnet(1000).layers)
            .iter()
            .map(|parameter| parameter.shape.iter().product::<usize>())
            .sum();
        assert_eq!(count, 61_100_840);
    }

    #[test]
    fn the_layers_fit_each_other() {
        let network = alexnet(3);
        let through = |layers: &[Layer], input| layers.iter().fold(input, |shape, layer| layer.output(shape));
        let features = through(network.features(), Network::INPUT);
        assert_eq!(features, Shape::Row(9216));
        assert_eq!(through(network.classifier(), features), Shape::Row(3));
    }
}
