//! Conversion of layers to a libtorch module, for training.

use std::error::Error as _;
use std::sync::OnceLock;

use tch::nn::{Path, VarStore};
use tch::{Device, Kind, TchError, Tensor};

use super::{BATCH_NORM_EPSILON, Join, Layer, signed_dims};
use crate::weights::{self, Initialization, ParameterSpec, Weights, WeightsError};

/// Layers and their weights on one device.
pub struct TorchModule {
    layers: Vec<TorchLayer>,
    variables: VarStore,
}

/// Why a [`TorchModule`] cannot be created or run.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    /// The weights do not match the layers.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// libtorch reported an error; the C++ stack trace in its message is left out.
    #[error("libtorch: {0}")]
    Torch(String),
}

impl From<TchError> for TorchError {
    fn from(error: TchError) -> TorchError {
        let message = error.to_string();
        TorchError::Torch(message.lines().next().unwrap_or_default().to_owned())
    }
}

/// The first NVIDIA GPU, if libtorch can use it.
///
/// libtorch's CUDA part is a library of its own, which this function loads: a program that links it needs four times the memory and
/// starts a second later, even if it never uses a GPU. libtorch looks for that part only once, when it is first asked for a GPU or
/// seeds its generators, so this function is called before that.
///
/// # Errors
/// libtorch was installed without CUDA, a library that it needs is missing, or the driver has no GPU that it can use.
pub fn gpu() -> Result<Device, TorchError> {
    const CUDA_LIBRARY: &str = "libtorch_cuda.so";
    static GPU: OnceLock<Result<(), String>> = OnceLock::new();
    let found = GPU.get_or_init(|| {
        ort::util::preload_dylib(CUDA_LIBRARY).map_err(|error| {
            // The name of the missing library is in the source.
            let cause = error
                .source()
                .map_or_else(|| error.to_string(), ToString::to_string);
            format!("no CUDA: {cause}; scripts/setup.sh installs it if there is a GPU")
        })?;
        if tch::Cuda::is_available() {
            return Ok(());
        }
        Err("CUDA finds no NVIDIA GPU that it can use; nvidia-smi shows the GPU and its driver".to_owned())
    });
    found.clone().map_err(TorchError::Torch)?;
    Ok(Device::Cuda(0))
}

struct TorchLayer {
    layer: Layer,
    /// In the order of [`Layer::parameters`]; empty for [`Layer::Branches`], whose parameters are in `branches`.
    parameters: Vec<Tensor>,
    branches: Vec<Vec<TorchLayer>>,
}

impl TorchModule {
    /// Layers with the given weights.
    ///
    /// # Errors
    /// A tensor is missing or has the wrong shape.
    pub fn with_weights(
        layers: &[Layer],
        weights: &Weights,
        device: Device,
    ) -> Result<TorchModule, TorchError> {
        TorchModule::new(layers, device, |parameter| to_torch(weights.get(parameter)?))
    }

    /// Layers before a training: parameters that `weights` holds with the required shape get these values, the others are initialized
    /// as PyTorch initializes `Conv2d` and `Linear`, uniformly within ±1/√fan_in.
    ///
    /// The random numbers come from libtorch's generator; [`tch::manual_seed`] makes them reproducible.
    ///
    /// # Errors
    /// libtorch failed, for example for lack of memory.
    pub fn with_pretrained(
        layers: &[Layer],
        weights: &Weights,
        device: Device,
    ) -> Result<TorchModule, TorchError> {
        TorchModule::new(layers, device, |parameter| match weights.get(parameter) {
            Ok(tensor) => to_torch(tensor),
            Err(_) => initialized(parameter),
        })
    }

    fn new(
        layers: &[Layer],
        device: Device,
        mut value: impl FnMut(&ParameterSpec) -> Result<Tensor, TorchError>,
    ) -> Result<TorchModule, TorchError> {
        let variables = VarStore::new(device);
        let layers = lower(layers, &variables, &mut value)?;
        Ok(TorchModule { layers, variables })
    }

    /// The parameters, for an optimizer.
    pub fn variables(&self) -> &VarStore {
        &self.variables
    }

    /// Sets parameters by name.
    ///
    /// # Errors
    /// libtorch failed, for example because a shape differs.
    ///
    /// # Panics
    /// The module has no parameter of that name.
    pub fn set(&self, values: impl IntoIterator<Item = (String, Tensor)>) -> Result<(), TorchError> {
        let variables = self.variables.variables();
        for (name, value) in values {
            let mut variable = variables[&name].shallow_clone();
            tch::no_grad(|| variable.f_copy_(&value))?;
        }
        Ok(())
    }

    /// Computes the output for a batch; `train` enables dropout.
    ///
    /// # Errors
    /// libtorch failed, for example because the input has the wrong shape.
    pub fn forward(&self, batch: &Tensor, train: bool) -> Result<Tensor, TorchError> {
        Ok(run(&self.layers, &channels_last(batch)?, train)?)
    }

    /// The output of the first `layers` layers for a batch, without dropout.
    ///
    /// # Errors
    /// As for [`TorchModule::forward`].
    pub(crate) fn forward_first(&self, layers: usize, batch: &Tensor) -> Result<Tensor, TorchError> {
        Ok(run(&self.layers[..layers], &channels_last(batch)?, false)?)
    }

    /// A copy of the weights.
    ///
    /// # Errors
    /// libtorch failed.
    pub fn weights(&self) -> Result<Weights, TorchError> {
        let mut weights = Weights::default();
        for (name, variable) in self.variables.variables() {
            let shape = variable.size().iter().map(|&length| length as usize).collect();
            let flat = variable.f_detach()?.f_to_device(Device::Cpu)?.f_flatten(0, -1)?;
            let values = Vec::try_from(flat)?;
            weights.insert(name, weights::Tensor { shape, values });
        }
        Ok(weights)
    }
}

fn to_torch(tensor: &weights::Tensor) -> Result<Tensor, TorchError> {
    Ok(Tensor::f_from_slice(&tensor.values)?.f_reshape(signed_dims(&tensor.shape))?)
}

fn initialized(parameter: &ParameterSpec) -> Result<Tensor, TorchError> {
    let mut empty = Tensor::f_empty(signed_dims(&parameter.shape), (Kind::Float, Device::Cpu))?;
    Ok(match parameter.initialization {
        Initialization::Uniform { fan_in } => {
            let bound = 1.0 / (fan_in as f64).sqrt();
            empty.f_uniform_(-bound, bound)?
        }
        Initialization::Constant(value) => empty.f_fill_(value)?,
    })
}

fn lower(
    layers: &[Layer],
    variables: &VarStore,
    value: &mut impl FnMut(&ParameterSpec) -> Result<Tensor, TorchError>,
) -> Result<Vec<TorchLayer>, TorchError> {
    let mut lowered = Vec::with_capacity(layers.len());
    for layer in layers {
        let (mut parameters, mut branches) = (Vec::new(), Vec::new());
        match layer {
            Layer::Branches { branches: lists, .. } => {
                for layers in lists {
                    branches.push(lower(layers, variables, value)?);
                }
            }
            _ => {
                for parameter in layer.parameters() {
                    let (path, leaf) = split_name(variables, &parameter.name);
                    let value = value(&parameter)?;
                    let trainable = parameter.is_trainable;
                    parameters.push(path.f_var_copy(&leaf, &value)?.f_set_requires_grad(trainable)?);
                }
            }
        }
        lowered.push(TorchLayer {
            layer: layer.clone(),
            parameters,
            branches,
        });
    }
    Ok(lowered)
}

/// Converts images to the `channels_last` memory format, on which oneDNN's convolutions are a sixth faster.
fn channels_last(batch: &Tensor) -> Result<Tensor, TchError> {
    match batch.dim() {
        4 => batch
            .f_permute([0, 2, 3, 1])?
            .f_contiguous()?
            .f_permute([0, 3, 1, 2]),
        _ => Ok(batch.shallow_clone()),
    }
}

fn run(layers: &[TorchLayer], batch: &Tensor, train: bool) -> Result<Tensor, TchError> {
    let mut values = batch.shallow_clone();
    for layer in layers {
        values = layer.forward(&values, train)?;
    }
    Ok(values)
}

impl TorchLayer {
    fn forward(&self, input: &Tensor, train: bool) -> Result<Tensor, TchError> {
        match (&self.layer, self.parameters.as_slice()) {
            (&Layer::Conv2d { stride, padding, .. }, [weight, bias @ ..]) => {
                let (stride, padding) = (stride as i64, padding as i64);
                // As `conv2d` with PyTorch's defaults, except that a GPU does not compute in TF32.
                input.f_internal_convolution(
                    weight,
                    bias.first(),
                    [stride; 2],
                    [padding; 2],
                    [1; 2],
                    false,
                    [0; 2],
                    1,
                    false,
                    false,
                    true,
                    false,
                )
            }
            (Layer::BatchNorm2d { .. }, [weight, bias, mean, variance]) => {
                // PyTorch's default. It has no effect, since the running statistics are not updated.
                const MOMENTUM: f64 = 0.1;
                let (weight, bias) = (Some(weight), Some(bias));
                let (mean, variance) = (Some(mean), Some(variance));
                input.f_batch_norm(
                    weight,
                    bias,
                    mean,
                    variance,
                    false,
                    MOMENTUM,
                    BATCH_NORM_EPSILON,
                    false,
                )
            }
            (Layer::Linear { .. }, [weight, bias]) => input.f_linear(weight, Some(bias)),
            (
                &Layer::MaxPool2d {
                    kernel,
                    stride,
                    padding,
                },
                _,
            ) => {
                let (kernel, stride, padding) = (kernel as i64, stride as i64, padding as i64);
                input.f_max_pool2d([kernel; 2], [stride; 2], [padding; 2], [1; 2], false)
            }
            (&Layer::AdaptiveAvgPool2d { side }, _) => input.f_adaptive_avg_pool2d([side as i64; 2]),
            (Layer::Relu, _) => input.f_relu(),
            (Layer::Flatten, _) => input.f_flatten(1, -1),
            (&Layer::Dropout { probability }, _) => input.f_dropout(probability, train),
            (Layer::Branches { join, .. }, _) => self.forward_branches(*join, input, train),
            (Layer::Conv2d { .. } | Layer::BatchNorm2d { .. } | Layer::Linear { .. }, _) => {
                unreachable!("a layer has all of its parameters")
            }
        }
    }

    fn forward_branches(&self, join: Join, input: &Tensor, train: bool) -> Result<Tensor, TchError> {
        let mut outputs = Vec::with_capacity(self.branches.len());
        for layers in &self.branches {
            outputs.push(run(layers, input, train)?);
        }
        match join {
            Join::Channels => Tensor::f_cat(&outputs, 1),
            Join::Sum => {
                let mut outputs = outputs.into_iter();
                let first = outputs.next().unwrap_or_else(|| input.shallow_clone());
                outputs.try_fold(first, |sum, output| sum.f_add(&output))
            }
        }
    }
}

/// Splits `classifier.1.weight` into the path `classifier.1` and the variable `weight`, whose name must not contain a dot.
fn split_name<'a>(variables: &'a VarStore, name: &str) -> (Path<'a>, String) {
    let mut parts = name.split('.').collect::<Vec<_>>();
    let leaf = parts.pop().unwrap_or_default().to_owned();
    let path = parts.into_iter().fold(variables.root(), |path, part| path / part);
    (path, leaf)
}
