//! Layers -> a libtorch module, for training.

use tch::nn::{Path, VarStore};
use tch::{Device, Kind, TchError, Tensor};

use super::{Layer, ParameterSpec};
use crate::weights::{self, Weights, WeightsError};

/// Some layers with their weights, on one device.
pub struct TorchModule {
    layers: Vec<TorchLayer>,
    variables: VarStore,
}

/// Why a module cannot be made or run.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    /// The weights do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// libtorch's word.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

struct TorchLayer {
    layer: Layer,
    /// Weight and bias, where the layer has them.
    parameters: Vec<Tensor>,
}

impl TorchModule {
    /// The layers with the given weights.
    ///
    /// # Errors
    /// A weight that is missing or misshaped.
    pub fn with_weights(
        layers: &[Layer],
        weights: &Weights,
        device: Device,
    ) -> Result<TorchModule, TorchError> {
        TorchModule::new(layers, device, |parameter| {
            let tensor = weights.get(parameter)?;
            let shape: Vec<i64> = tensor.shape.iter().map(|&length| length as i64).collect();
            Ok(Tensor::f_from_slice(&tensor.values)?.f_reshape(shape)?)
        })
    }

    /// The layers with a random start: uniform within ±1/√fan_in, as PyTorch's `Conv2d` and `Linear` begin.
    ///
    /// The numbers come from libtorch's generator: seed it with [`tch::manual_seed`] for the same start each time.
    ///
    /// # Errors
    /// libtorch's word, such as too little memory.
    pub fn with_random_weights(layers: &[Layer], device: Device) -> Result<TorchModule, TorchError> {
        TorchModule::new(layers, device, |parameter| {
            let shape: Vec<i64> = parameter.shape.iter().map(|&length| length as i64).collect();
            let bound = 1.0 / (parameter.fan_in as f64).sqrt();
            let empty = Tensor::f_empty(shape, (Kind::Float, Device::Cpu))?;
            Ok(empty.f_uniform(-bound, bound)?)
        })
    }

    fn new(
        layers: &[Layer],
        device: Device,
        mut value: impl FnMut(&ParameterSpec) -> Result<Tensor, TorchError>,
    ) -> Result<TorchModule, TorchError> {
        let variables = VarStore::new(device);
        let mut lowered = Vec::with_capacity(layers.len());
        for layer in layers {
            let mut parameters = Vec::new();
            for parameter in layer.parameters() {
                let (path, leaf) = path_of(&variables, &parameter.name);
                parameters.push(path.f_var_copy(&leaf, &value(&parameter)?)?);
            }
            lowered.push(TorchLayer {
                layer: layer.clone(),
                parameters,
            });
        }
        Ok(TorchModule {
            layers: lowered,
            variables,
        })
    }

    /// The parameters, for an optimiser.
    pub fn variables(&self) -> &VarStore {
        &self.variables
    }

    /// Runs the layers over a batch; `train` turns dropout on.
    ///
    /// # Errors
    /// libtorch's word, such as an input of another shape.
    pub fn forward(&self, batch: &Tensor, train: bool) -> Result<Tensor, TorchError> {
        let mut values = batch.shallow_clone();
        for layer in &self.layers {
            values = layer.forward(&values, train)?;
        }
        Ok(values)
    }

    /// A copy of the weights.
    ///
    /// # Errors
    /// libtorch's word.
    pub fn weights(&self) -> Result<Weights, TorchError> {
        let mut weights = Weights::default();
        for layer in &self.layers {
            for (parameter, tensor) in layer.layer.parameters().into_iter().zip(&layer.parameters) {
                let flat = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_flatten(0, -1)?;
                let tensor = weights::Tensor {
                    shape: parameter.shape,
                    values: Vec::try_from(flat)?,
                };
                weights.insert(parameter.name, tensor);
            }
        }
        Ok(weights)
    }
}

impl TorchLayer {
    fn forward(&self, input: &Tensor, train: bool) -> Result<Tensor, TchError> {
        match (&self.layer, self.parameters.as_slice()) {
            (&Layer::Conv2d { stride, padding, .. }, [weight, bias]) => {
                let (stride, padding) = (stride as i64, padding as i64);
                input.f_conv2d(weight, Some(bias), [stride; 2], [padding; 2], [1; 2], 1)
            }
            (Layer::Linear { .. }, [weight, bias]) => input.f_linear(weight, Some(bias)),
            (&Layer::MaxPool2d { kernel, stride }, _) => {
                input.f_max_pool2d([kernel as i64; 2], [stride as i64; 2], [0; 2], [1; 2], false)
            }
            (&Layer::AdaptiveAvgPool2d { side }, _) => input.f_adaptive_avg_pool2d([side as i64; 2]),
            (Layer::Relu, _) => input.f_relu(),
            (Layer::Flatten, _) => input.f_flatten(1, -1),
            (&Layer::Dropout { probability }, _) => input.f_dropout(probability, train),
            (Layer::Conv2d { .. } | Layer::Linear { .. }, _) => {
                unreachable!("a layer with weights is made with a weight and a bias")
            }
        }
    }
}

/// Splits `classifier.1.weight` into the path `classifier.1` and the leaf `weight`: a leaf may hold no dot.
fn path_of<'a>(variables: &'a VarStore, name: &str) -> (Path<'a>, String) {
    let mut parts = name.split('.').collect::<Vec<_>>();
    let leaf = parts.pop().unwrap_or_default().to_owned();
    let path = parts.into_iter().fold(variables.root(), |path, part| path / part);
    (path, leaf)
}
