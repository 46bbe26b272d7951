//! The pretrained weights with which a training starts.

use std::path::{Path, PathBuf};

use tch::Device;

use crate::model_store::ModelStore;
use crate::network::torch::gpu;
use crate::network::{Network, parameters};
use crate::training::error::TrainingError;
use crate::weights::{self, Weights, WeightsError};

/// A network with pretrained weights.
pub(super) struct PretrainedNetwork {
    pub(super) network: Network,
    /// The weights of the feature layers, and those of the classifier's hidden layers that the file has in the right shape.
    pub(super) weights: Weights,
    pub(super) path: PathBuf,
    /// The device that the training runs on: a GPU if libtorch can use one, otherwise the CPU.
    pub(super) device: Device,
}

impl PretrainedNetwork {
    /// Loads the weights in `file`; without a file, those imported into the store, and if there are none, the installed ones.
    ///
    /// # Errors
    /// There are no weights for the network, or they lack a parameter of a feature layer.
    pub(super) fn load(
        network: Network,
        store: &ModelStore,
        file: Option<&Path>,
    ) -> Result<PretrainedNetwork, TrainingError> {
        let candidates = [store.pretrained_file(network.name()), installed(network.name())];
        let found = candidates.into_iter().find(|path| path.exists());
        let Some(path) = file.map(PathBuf::from).or(found) else {
            return Err(TrainingError::NoPretrained {
                network: network.name(),
                store: store.root().to_owned(),
            });
        };
        let pretrained_error = |cause| match cause {
            // These name the file.
            WeightsError::Io { .. } | WeightsError::Kind { .. } | WeightsError::Format { .. } => {
                TrainingError::Weights(cause)
            }
            cause => TrainingError::Pretrained {
                path: path.clone(),
                cause,
            },
        };
        let available = Weights::read(&path).map_err(pretrained_error)?;
        let mut weights = Weights::default();
        for parameter in parameters(network.features()) {
            let tensor = available.get(&parameter).map_err(pretrained_error)?.clone();
            weights.insert(parameter.name, tensor);
        }
        let hidden = &network.layers[network.feature_layers..network.last_layer()];
        for parameter in parameters(hidden) {
            if let Ok(tensor) = available.get(&parameter) {
                weights.insert(parameter.name.clone(), tensor.clone());
            }
        }
        Ok(PretrainedNetwork {
            network,
            weights,
            path,
            device: gpu().unwrap_or(Device::Cpu),
        })
    }
}

/// The weights installed with this program.
fn installed(network: &str) -> PathBuf {
    weights::installed_directory().join(format!("{network}_imagenet.safetensors"))
}
