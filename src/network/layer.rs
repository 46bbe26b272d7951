//! The layers of a network, their parameters and their output shapes.

use crate::weights::{Initialization, ParameterSpec};

/// Default `eps` of PyTorch's `BatchNorm2d`, and default `epsilon` of ONNX's `BatchNormalization`.
pub(super) const BATCH_NORM_EPSILON: f64 = 1e-5;

/// One layer of a network. Convolution and pooling windows are square.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// Convolution.
    Conv2d {
        /// Prefix of the parameter names.
        name: String,
        /// Number of input channels.
        in_channels: usize,
        /// Number of output channels.
        out_channels: usize,
        /// Side of the window, pixels.
        kernel: usize,
        /// Step of the window, pixels.
        stride: usize,
        /// Zeros added on each side, pixels.
        padding: usize,
        /// Whether a bias is added. A convolution before a batch normalization needs no bias.
        has_bias: bool,
    },
    /// Batch normalization with the running statistics, also during training: ImageNet's statistics are better than those
    /// of a few dozen frames.
    BatchNorm2d {
        /// Prefix of the parameter names.
        name: String,
        /// Number of channels.
        channels: usize,
    },
    /// `max(x, 0)` for each value.
    Relu,
    /// Maximum of each window.
    MaxPool2d {
        /// Side of the window, pixels.
        kernel: usize,
        /// Step of the window, pixels.
        stride: usize,
        /// Border added on each side, pixels, with values that are never the maximum.
        padding: usize,
    },
    /// Means of windows whose size follows from the input, so that the output has a fixed size.
    AdaptiveAvgPool2d {
        /// Width and height of the output, pixels.
        side: usize,
    },
    /// Joins channels, rows and columns into one vector of features.
    Flatten,
    /// Zeroes values at random during training; does nothing at inference.
    Dropout {
        /// Probability of a value to be zeroed, 0 to 1.
        probability: f64,
    },
    /// Fully connected layer with bias.
    Linear {
        /// Prefix of the parameter names.
        name: String,
        /// Number of input features.
        in_features: usize,
        /// Number of output features.
        out_features: usize,
    },
    /// Several lists of layers with the same input, whose outputs are joined. An empty list passes the input on.
    Branches {
        /// The lists of layers, with compatible outputs.
        branches: Vec<Vec<Layer>>,
        /// How the outputs are joined.
        join: Join,
    },
}

/// How the outputs of [`Layer::Branches`] are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Elementwise sum, as in a residual block.
    Sum,
    /// Concatenated channels, as in a fire module.
    Channels,
}

/// Shape of the values between two layers, without the batch dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Feature maps of `side` x `side` pixels.
    Image {
        /// Number of channels.
        channels: usize,
        /// Width and height, pixels.
        side: usize,
    },
    /// A vector with this number of features.
    Row(usize),
}

impl Layer {
    /// The layer's parameters: weight, bias if it has one, running statistics. [`Layer::Branches`] lists those of each branch in order.
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
                let weight = trainable(name, "weight", shape, Initialization::Uniform { fan_in });
                let bias = trainable(
                    name,
                    "bias",
                    vec![*out_channels],
                    Initialization::Uniform { fan_in },
                );
                std::iter::once(weight).chain(has_bias.then_some(bias)).collect()
            }
            Layer::Linear {
                name,
                in_features,
                out_features,
            } => {
                let initialization = Initialization::Uniform { fan_in: *in_features };
                let weight = trainable(name, "weight", vec![*out_features, *in_features], initialization);
                vec![
                    weight,
                    trainable(name, "bias", vec![*out_features], initialization),
                ]
            }
            Layer::BatchNorm2d { name, channels } => {
                let parameter =
                    |part, value| trainable(name, part, vec![*channels], Initialization::Constant(value));
                let statistic = |part, value| ParameterSpec {
                    is_trainable: false,
                    ..parameter(part, value)
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

    /// Shape of the output for an input of this shape. The layers of a [`super::Network`] are compatible, so this cannot fail.
    pub fn output_shape(&self, input: Shape) -> Shape {
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
                side: window_count(side, kernel, stride, padding),
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
                side: window_count(side, kernel, stride, padding),
            },
            (&Layer::AdaptiveAvgPool2d { side }, Shape::Image { channels, .. }) => {
                Shape::Image { channels, side }
            }
            (Layer::Flatten, Shape::Image { channels, side }) => Shape::Row(channels * side * side),
            (&Layer::Linear { out_features, .. }, _) => Shape::Row(out_features),
            (Layer::Branches { branches, join }, _) => join.output_shape(branches, input),
            _ => input,
        }
    }
}

impl Join {
    fn output_shape(self, branches: &[Vec<Layer>], input: Shape) -> Shape {
        let outputs: Vec<Shape> = branches
            .iter()
            .map(|layers| output_shape(layers, input))
            .collect();
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
    /// Length of each dimension, without the batch dimension.
    pub fn dims(self) -> Vec<usize> {
        match self {
            Shape::Image { channels, side } => vec![channels, side, side],
            Shape::Row(features) => vec![features],
        }
    }

    /// Number of values.
    pub fn value_count(self) -> usize {
        self.dims().iter().product()
    }

    fn channels(self) -> usize {
        match self {
            Shape::Image { channels, .. } => channels,
            Shape::Row(features) => features,
        }
    }
}

/// The parameters of these layers, in order.
pub fn parameters(layers: &[Layer]) -> Vec<ParameterSpec> {
    layers.iter().flat_map(Layer::parameters).collect()
}

/// Shape of the output of these layers for an input of this shape.
pub fn output_shape(layers: &[Layer], input: Shape) -> Shape {
    layers
        .iter()
        .fold(input, |shape, layer| layer.output_shape(shape))
}

/// Number of windows along one side of `side` pixels.
fn window_count(side: usize, kernel: usize, stride: usize, padding: usize) -> usize {
    (side + 2 * padding - kernel) / stride + 1
}

fn trainable(name: &str, part: &str, shape: Vec<usize>, initialization: Initialization) -> ParameterSpec {
    ParameterSpec {
        name: format!("{name}.{part}"),
        shape,
        initialization,
        is_trainable: true,
    }
}

/// A convolution with bias.
pub(super) fn conv(
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

pub(super) fn max_pool(kernel: usize, stride: usize, padding: usize) -> Layer {
    Layer::MaxPool2d {
        kernel,
        stride,
        padding,
    }
}

pub(super) fn linear(name: &str, [in_features, out_features]: [usize; 2]) -> Layer {
    Layer::Linear {
        name: name.to_owned(),
        in_features,
        out_features,
    }
}
