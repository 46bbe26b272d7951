//! A network as a list of layers, written once.
//!
//! [`torch`] lowers the list to libtorch for training, [`onnx`] to an ONNX file for inference; neither knows an architecture.
//! An architecture is one file that returns a [`Network`], such as [`alexnet`](mod@alexnet).

pub mod alexnet;
pub mod onnx;
pub mod torch;

use crate::preprocess::INPUT_SIDE_PX;

/// One step of a network. Sizes are in channels, features and pixels; windows are square.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// Convolution with bias.
    Conv2d {
        /// Prefix of its parameters' names.
        name: &'static str,
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
    },
    /// Negative values become 0.
    Relu,
    /// The greatest value in each window, without padding.
    MaxPool2d {
        /// Side of the window.
        kernel: usize,
        /// Step of the window.
        stride: usize,
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
        name: &'static str,
        /// Features in.
        in_features: usize,
        /// Features out.
        out_features: usize,
    },
}

/// A network: 3x224x224 values in, one logit for each label out.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// The name it goes by, in manifests and on the command line.
    pub name: &'static str,
    /// All layers, in order.
    pub layers: Vec<Layer>,
    /// How many of the layers make features that a pretrained start brings along; the rest is the classifier.
    pub feature_layers: usize,
}

/// One parameter of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSpec {
    /// As in PyTorch's `state_dict`.
    pub name: String,
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// Values that flow into one output, which the random start scales by.
    pub fan_in: usize,
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

/// A network's name that is not known.
#[derive(Debug, thiserror::Error)]
#[error("unknown network {0:?}; known: alexnet")]
pub struct UnknownNetwork(String);

impl Network {
    /// The network of that name, with an output for each of `labels`.
    ///
    /// # Errors
    /// [`UnknownNetwork`], which lists the known ones.
    pub fn named(name: &str, labels: usize) -> Result<Network, UnknownNetwork> {
        match name {
            alexnet::NAME => Ok(alexnet::alexnet(labels)),
            _ => Err(UnknownNetwork(name.to_owned())),
        }
    }

    /// What a network takes in.
    pub const INPUT: Shape = Shape::Image {
        channels: 3,
        side: INPUT_SIDE_PX,
    };

    /// The layers whose weights a pretrained start brings.
    pub fn features(&self) -> &[Layer] {
        &self.layers[..self.feature_layers]
    }

    /// The layers behind the features.
    pub fn classifier(&self) -> &[Layer] {
        &self.layers[self.feature_layers..]
    }
}

impl Layer {
    /// The layer's parameters, the weight first.
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        let (name, shape, fan_in) = match *self {
            Layer::Conv2d {
                name,
                in_channels,
                out_channels,
                kernel,
                ..
            } => {
                let shape = vec![out_channels, in_channels, kernel, kernel];
                (name, shape, in_channels * kernel * kernel)
            }
            Layer::Linear {
                name,
                in_features,
                out_features,
            } => (name, vec![out_features, in_features], in_features),
            _ => return Vec::new(),
        };
        let bias_shape = vec![shape[0]];
        let parameter = |part: &str, shape| ParameterSpec {
            name: format!("{name}.{part}"),
            shape,
            fan_in,
        };
        vec![parameter("weight", shape), parameter("bias", bias_shape)]
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
            (&Layer::MaxPool2d { kernel, stride }, Shape::Image { channels, side }) => Shape::Image {
                channels,
                side: (side - kernel) / stride + 1,
            },
            (&Layer::AdaptiveAvgPool2d { side }, Shape::Image { channels, .. }) => {
                Shape::Image { channels, side }
            }
            (Layer::Flatten, Shape::Image { channels, side }) => Shape::Row(channels * side * side),
            (&Layer::Linear { out_features, .. }, _) => Shape::Row(out_features),
            _ => input,
        }
    }
}

/// The parameters of some layers, in the layers' order.
pub fn parameters(layers: &[Layer]) -> Vec<ParameterSpec> {
    layers.iter().flat_map(Layer::parameters).collect()
}
