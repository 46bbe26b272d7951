//! A network as a list of layers, written once.
//!
//! [`torch`] lowers the list to libtorch for training, [`onnx`] to an ONNX file for inference; neither knows an architecture.
//! An architecture is one file that returns a [`Network`], such as [`alexnet`](mod@alexnet).

mod alexnet;
pub mod fold;
pub mod onnx;
mod resnet;
mod squeezenet;
pub mod torch;
mod vgg;

use strum::{EnumIter, EnumString, IntoStaticStr, VariantNames};

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

/// One step of a network. Sizes are in channels, features and pixels; windows are square.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// Convolution.
    Conv2d {
        /// Prefix of its parameters' names.
        name: String,
        /// Channels in.
        in_channels: usize,
        /// Channels out.
        out_channels: usize,
        /// Side of the window.
        kernel: usize,
        /// Step of the window.
        stride: usize,
        /// Zeros added on each side.
        padding: usize,
        /// Whether a bias is added; batch normalisation behind it makes one needless.
        has_bias: bool,
    },
    /// Batch normalisation by the running statistics, in training too: those of a few dozen frames would be worse than ImageNet's.
    BatchNorm2d {
        /// Prefix of its parameters' names.
        name: String,
        /// Channels in and out.
        channels: usize,
    },
    /// Negative values become 0.
    Relu,
    /// The greatest value in each window.
    MaxPool2d {
        /// Side of the window.
        kernel: usize,
        /// Step of the window.
        stride: usize,
        /// Border added on each side, which is never the greatest.
        padding: usize,
    },
    /// Means over windows chosen so that the output is `side` across and down.
    AdaptiveAvgPool2d {
        /// Side of the output.
        side: usize,
    },
    /// Channels, rows and columns become one row of features.
    Flatten,
    /// In training each value is zeroed with this probability; at inference nothing happens.
    Dropout {
        /// Probability, 0 to 1.
        probability: f64,
    },
    /// Fully connected, with bias.
    Linear {
        /// Prefix of its parameters' names.
        name: String,
        /// Features in.
        in_features: usize,
        /// Features out.
        out_features: usize,
    },
    /// Several lists of layers over the same input, whose outputs are joined; an empty list hands the input on.
    Branches {
        /// The lists of layers, whose outputs fit each other.
        branches: Vec<Vec<Layer>>,
        /// How the outputs become one.
        join: Join,
    },
}

/// How the outputs of [`Layer::Branches`] become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Added up, as in a residual block.
    Sum,
    /// The channels of the first, then those of the second, as in a fire module.
    Channels,
}

/// A network: 3x224x224 values in, one logit for each label out.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// The architecture, which names the network in manifests and on the command line.
    pub architecture: Architecture,
    /// All layers, in order.
    pub layers: Vec<Layer>,
    /// How many of the layers see what every image has, such as edges and textures; those behind them see parts of things.
    pub early_layers: usize,
    /// How many of the layers make features; the rest is the classifier.
    pub feature_layers: usize,
}

/// One parameter of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// As in PyTorch's `state_dict`.
    pub name: String,
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// What it holds before any training.
    pub start: Start,
    /// Whether an optimiser may change it; running statistics are not.
    pub is_trainable: bool,
}

/// What a parameter holds before any training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// Uniform within ±1/√fan_in, as PyTorch's `Conv2d` and `Linear` begin.
    Uniform {
        /// Values that flow into one output.
        fan_in: usize,
    },
    /// The same number everywhere.
    Constant(f64),
}

/// What flows between two layers, without the batch dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Channels, and a square of `side` pixels.
    Image {
        /// Channels.
        channels: usize,
        /// Pixels across and down.
        side: usize,
    },
    /// A row of features.
    Row(usize),
}

impl Network {
    /// What a network takes in.
    pub const INPUT: Shape = Shape::Image {
        channels: 3,
        side: INPUT_SIDE_PX,
    };

    /// A network with one output for each of `labels`; parameters are named as in torchvision.
    pub fn new(architecture: Architecture, labels: usize) -> Network {
        match architecture {
            Architecture::AlexNet => alexnet::alexnet(labels),
            Architecture::SqueezeNet1_1 => squeezenet::squeezenet1_1(labels),
            Architecture::Vgg11 => vgg::vgg11(labels),
            Architecture::Vgg16 => vgg::vgg16(labels),
            Architecture::ResNet18 => resnet::resnet18(labels),
        }
    }

    /// A network by the name of its architecture.
    ///
    /// # Errors
    /// [`UnknownName`], which lists the known names.
    pub fn named(name: &str, labels: usize) -> Result<Network, UnknownName> {
        Ok(Network::new(parse_name("network", name)?, labels))
    }

    /// The name of the architecture.
    pub fn name(&self) -> &'static str {
        self.architecture.into()
    }

    /// The layers that turn an image into features.
    pub fn features(&self) -> &[Layer] {
        &self.layers[..self.feature_layers]
    }

    /// The layers behind the features.
    pub fn classifier(&self) -> &[Layer] {
        &self.layers[self.feature_layers..]
    }

    /// The same features with one fully connected layer behind them.
    ///
    /// Its parameters have the names that they get in torchvision by `model.classifier = torch.nn.Linear(features, labels)`.
    pub fn with_linear_classifier(&self) -> Network {
        let features = output(self.features(), Network::INPUT).values();
        let classifier = linear("classifier", [features, self.outputs()]);
        Network {
            layers: [self.features(), &[classifier]].concat(),
            ..*self
        }
    }

    /// How many logits come out.
    pub fn outputs(&self) -> usize {
        output(&self.layers, Network::INPUT).values()
    }

    /// Where the last layer with parameters stands among the layers.
    pub fn last_layer(&self) -> usize {
        let has_parameters = |layer: &Layer| !layer.parameters().is_empty();
        self.layers.iter().rposition(has_parameters).unwrap_or(0)
    }
}

impl Layer {
    /// The layer's parameters, those of its branches in order: the weight, the bias where there is one, the running statistics.
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        match self {
            Layer::Conv2d {
                name,
                in_channels,
                out_channels,
                kernel,
                has_bias,
                ..
            } => {
                let fan_in = in_channels * kernel * kernel;
                let shape = vec![*out_channels, *in_channels, *kernel, *kernel];
                let weight = trainable(name, "weight", shape, Start::Uniform { fan_in });
                let bias = trainable(name, "bias", vec![*out_channels], Start::Uniform { fan_in });
                std::iter::once(weight).chain(has_bias.then_some(bias)).collect()
            }
            Layer::Linear {
                name,
                in_features,
                out_features,
            } => {
                let start = Start::Uniform { fan_in: *in_features };
                let weight = trainable(name, "weight", vec![*out_features, *in_features], start);
                vec![weight, trainable(name, "bias", vec![*out_features], start)]
            }
            Layer::BatchNorm2d { name, channels } => {
                let parameter = |part, start| trainable(name, part, vec![*channels], Start::Constant(start));
                let statistic = |part, start| ParameterSpec {
                    is_trainable: false,
                    ..parameter(part, start)
                };
                vec![
                    parameter("weight", 1.0),
                    parameter("bias", 0.0),
                    statistic("running_mean", 0.0),
                    statistic("running_var", 1.0),
                ]
            }
            Layer::Branches { branches, .. } => {
                branches.iter().flat_map(|layers| parameters(layers)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What comes out when `input` goes in. The layers of one network fit each other, so there is no error.
    pub fn output(&self, input: Shape) -> Shape {
        match (self, input) {
            (
                &Layer::Conv2d {
                    out_channels,
                    kernel,
                    stride,
                    padding,
                    ..
                },
                Shape::Image { side, .. },
            ) => Shape::Image {
                channels: out_channels,
                side: (side + 2 * padding - kernel) / stride + 1,
            },
            (
                &Layer::MaxPool2d {
                    kernel,
                    stride,
                    padding,
                },
                Shape::Image { channels, side },
            ) => Shape::Image {
                channels,
                side: (side + 2 * padding - kernel) / stride + 1,
            },
            (&Layer::AdaptiveAvgPool2d { side }, Shape::Image { channels, .. }) => {
                Shape::Image { channels, side }
            }
            (Layer::Flatten, Shape::Image { channels, side }) => Shape::Row(channels * side * side),
            (&Layer::Linear { out_features, .. }, _) => Shape::Row(out_features),
            (Layer::Branches { branches, join }, _) => join.output(branches, input),
            _ => input,
        }
    }
}

impl Join {
    fn output(self, branches: &[Vec<Layer>], input: Shape) -> Shape {
        let outputs: Vec<Shape> = branches.iter().map(|layers| output(layers, input)).collect();
        match (self, outputs.as_slice()) {
            (Join::Channels, [Shape::Image { side, .. }, ..]) => Shape::Image {
                channels: outputs.iter().map(|shape| shape.channels()).sum(),
                side: *side,
            },
            (_, [first, ..]) => *first,
            (_, []) => input,
        }
    }
}

impl Shape {
    /// The lengths, without the batch.
    pub fn dims(self) -> Vec<usize> {
        match self {
            Shape::Image { channels, side } => vec![channels, side, side],
            Shape::Row(features) => vec![features],
        }
    }

    /// How many values.
    pub fn values(self) -> usize {
        self.dims().iter().product()
    }

    fn channels(self) -> usize {
        match self {
            Shape::Image { channels, .. } => channels,
            Shape::Row(features) => features,
        }
    }
}

/// The parameters of some layers, in the layers' order.
pub fn parameters(layers: &[Layer]) -> Vec<ParameterSpec> {
    layers.iter().flat_map(Layer::parameters).collect()
}

/// What comes out of some layers when `input` goes in.
pub fn output(layers: &[Layer], input: Shape) -> Shape {
    layers.iter().fold(input, |shape, layer| layer.output(shape))
}

fn trainable(name: &str, part: &str, shape: Vec<usize>, start: Start) -> ParameterSpec {
    ParameterSpec {
        name: format!("{name}.{part}"),
        shape,
        start,
        is_trainable: true,
    }
}

/// A convolution with bias, as most networks here have it.
fn conv(
    name: impl Into<String>,
    [in_channels, out_channels]: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: usize,
) -> Layer {
    Layer::Conv2d {
        name: name.into(),
        in_channels,
        out_channels,
        kernel,
        stride,
        padding,
        has_bias: true,
    }
}

fn max_pool(kernel: usize, stride: usize, padding: usize) -> Layer {
    Layer::MaxPool2d {
        kernel,
        stride,
        padding,
    }
}

fn linear(name: &str, [in_features, out_features]: [usize; 2]) -> Layer {
    Layer::Linear {
        name: name.to_owned(),
        in_features,
        out_features,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// torchvision's counts, of its documentation ("num_params"), which leave out the running statistics.
    #[test]
    fn every_network_has_as_many_parameters_as_torchvisions() {
        let expected = [61_100_840, 1_235_496, 132_863_336, 138_357_544, 11_689_512];
        for (name, expected) in Architecture::VARIANTS.iter().zip(expected) {
            let network = Network::named(name, 1000).expect("known");
            let count: usize = parameters(&network.layers)
                .iter()
                .filter(|parameter| parameter.is_trainable)
                .map(|parameter| parameter.shape.iter().product::<usize>())
                .sum();
            assert_eq!(count, expected, "{name}");
        }
    }

    #[test]
    fn the_layers_of_every_network_fit_each_other() {
        for name in Architecture::VARIANTS {
            let network = Network::named(name, 3).expect("known");
            assert_eq!(output(&network.layers, Network::INPUT), Shape::Row(3), "{name}");
            assert!(network.early_layers < network.feature_layers, "{name}");
            assert!(network.feature_layers <= network.last_layer(), "{name}");
        }
    }

    #[test]
    fn an_unknown_network_is_refused_with_those_there_are() {
        let error = Network::named("lenet", 3).expect_err("unknown");
        assert!(
            error.to_string().contains("alexnet, squeezenet1_1, vgg11"),
            "{error}"
        );
    }
}
