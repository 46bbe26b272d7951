//! Networks as lists of layers.
//!
//! Each architecture is one function that returns a [`Network`], such as `alexnet::alexnet`.
//! [`torch`] converts the layers to libtorch for training, [`onnx`] to an ONNX graph for inference. Neither depends on an
//! architecture.

mod alexnet;
pub(crate) mod fold;
mod layer;
pub mod onnx;
mod resnet;
mod squeezenet;
#[cfg(feature = "torch")]
pub mod torch;
mod vgg;

use strum::{EnumIter, EnumString, IntoStaticStr, VariantNames};

use self::layer::{BATCH_NORM_EPSILON, conv, linear, max_pool};
pub use self::layer::{Join, Layer, Shape, output_shape, parameters};
use crate::names::{UnknownName, parse_name};
use crate::preprocess::INPUT_SIDE_PX;

/// The architectures, with torchvision's names. The first one is the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum Architecture {
    /// 61 million parameters.
    AlexNet,
    /// 1.2 million parameters.
    SqueezeNet1_1,
    /// 133 million parameters.
    Vgg11,
    /// 138 million parameters.
    Vgg16,
    /// 12 million parameters.
    ResNet18,
}

/// A network: its input is a 3x224x224 image, its output one logit for each label.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// The architecture, whose name stands for the network in manifests and on the command line.
    pub architecture: Architecture,
    /// All layers, in order.
    pub layers: Vec<Layer>,
    /// Number of leading layers with generic features such as edges and textures; later layers detect parts of objects.
    pub early_layers: usize,
    /// Number of layers in the backbone; the remaining ones are the classifier.
    pub feature_layers: usize,
}

impl Network {
    /// Shape of the input: red, green and blue.
    pub const INPUT: Shape = Shape::Image {
        channels: 3,
        side: INPUT_SIDE_PX,
    };

    /// A network with one output for each of `labels`. Parameters are named as in torchvision.
    pub fn new(architecture: Architecture, labels: usize) -> Network {
        match architecture {
            Architecture::AlexNet => alexnet::alexnet(labels),
            Architecture::SqueezeNet1_1 => squeezenet::squeezenet1_1(labels),
            Architecture::Vgg11 => vgg::vgg11(labels),
            Architecture::Vgg16 => vgg::vgg16(labels),
            Architecture::ResNet18 => resnet::resnet18(labels),
        }
    }

    /// The network for crops of hands, with one output for each of `labels`.
    pub fn for_hands(labels: usize) -> Network {
        alexnet::alexnet_for_hands(labels)
    }

    /// A network by the name of its architecture.
    ///
    /// # Errors
    /// The name is unknown; the error lists the known names.
    pub fn named(name: &str, labels: usize) -> Result<Network, UnknownName> {
        Ok(Network::new(parse_name("network", name)?, labels))
    }

    /// The name of the architecture.
    pub fn name(&self) -> &'static str {
        self.architecture.into()
    }

    /// The layers of the backbone, which compute features from an image.
    pub fn features(&self) -> &[Layer] {
        &self.layers[..self.feature_layers]
    }

    /// The layers after the backbone.
    pub fn classifier(&self) -> &[Layer] {
        &self.layers[self.feature_layers..]
    }

    /// The same backbone with a single fully connected layer as its classifier.
    ///
    /// The parameters of that layer are named as after `model.classifier = torch.nn.Linear(features, labels)` in torchvision.
    pub fn with_linear_classifier(&self) -> Network {
        let features = output_shape(self.features(), Network::INPUT).value_count();
        let classifier = linear("classifier", [features, self.outputs()]);
        Network {
            layers: [self.features(), &[classifier]].concat(),
            ..*self
        }
    }

    /// Number of logits in the output.
    pub fn outputs(&self) -> usize {
        output_shape(&self.layers, Network::INPUT).value_count()
    }

    /// Index of the last layer with parameters.
    pub fn last_layer(&self) -> usize {
        let has_parameters = |layer: &Layer| !layer.parameters().is_empty();
        self.layers.iter().rposition(has_parameters).unwrap_or(0)
    }
}

/// The lengths of a shape as signed integers, as libtorch and ONNX represent them.
fn signed_dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&length| length as i64).collect()
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    /// The expected counts are `num_params` in torchvision's documentation, which does not include running statistics.
    #[test]
    fn parameter_counts_equal_torchvision() {
        let expected = [61_100_840, 1_235_496, 132_863_336, 138_357_544, 11_689_512];
        for (architecture, expected) in Architecture::iter().zip(expected) {
            let count: usize = parameters(&Network::new(architecture, 1000).layers)
                .iter()
                .filter(|parameter| parameter.is_trainable)
                .map(|parameter| parameter.shape.iter().product::<usize>())
                .sum();
            assert_eq!(count, expected, "{architecture:?}");
        }
    }

    #[test]
    fn layers_of_each_network_are_compatible() {
        for architecture in Architecture::iter() {
            let network = Network::new(architecture, 3);
            let output = output_shape(&network.layers, Network::INPUT);
            assert_eq!(output, Shape::Row(3), "{architecture:?}");
            assert!(network.early_layers < network.feature_layers, "{architecture:?}");
            assert!(network.feature_layers <= network.last_layer(), "{architecture:?}");
        }
    }

    #[test]
    fn unknown_network_is_rejected_with_the_known_names() {
        let error = Network::named("lenet", 3).expect_err("unknown");
        assert!(
            error.to_string().contains("alexnet, squeezenet1_1, vgg11"),
            "{error}"
        );
    }
}
