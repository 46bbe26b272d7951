//! Which pretrained weights a training starts from: named ones, imported ones, or those installed with the program.

use std::path::{Path, PathBuf};

use super::TrainingError;
use crate::model_store::ModelStore;
use crate::network::{Network, parameters};
use crate::weights::Weights;

/// Weights to start from.
pub struct Pretrained {
    /// Those of the features, and those of the classifier's layers that fit.
    pub weights: Weights,
    /// The file they came from.
    pub path: PathBuf,
}

/// Loads the weights for a network: of `named`, else of what was imported into the store, else of what was installed.
///
/// # Errors
/// No weights for this network, and weights that lack one of the features'.
pub fn load(
    network: &Network,
    store: &ModelStore,
    named: Option<&Path>,
) -> Result<Pretrained, TrainingError> {
    let candidates = [store.pretrained_file(network.name()), installed(network.name())];
    let found = candidates.into_iter().find(|path| path.exists());
    let path = named.map(PathBuf::from).or(found);
    let Some(path) = path else {
        return Err(TrainingError::NoPretrained {
            network: network.name(),
            store: store.root().to_owned(),
        });
    };
    let pretrained_error = |cause| TrainingError::Pretrained {
        path: path.clone(),
        cause,
    };
    let file = Weights::read(&path).map_err(pretrained_error)?;
    let mut weights = Weights::default();
    for parameter in parameters(network.features()) {
        let tensor = file.get(&parameter).map_err(pretrained_error)?.clone();
        weights.insert(parameter.name, tensor);
    }
    let hidden = &network.layers[network.feature_layers..network.last_layer()];
    for parameter in parameters(hidden) {
        if let Ok(tensor) = file.get(&parameter) {
            weights.insert(parameter.name.clone(), tensor.clone());
        }
    }
    Ok(Pretrained { weights, path })
}

/// The weights that were installed with the running program; `THUMB_GESTURE_PRETRAINED` names another directory.
fn installed(network: &str) -> PathBuf {
    const IN_PREFIX: &str = "share/thumb_gesture/weights";
    let directory = match std::env::var_os("THUMB_GESTURE_PRETRAINED") {
        Some(directory) => PathBuf::from(directory),
        None => {
            // The programs lie in <prefix>/lib/thumb_gesture.
            let program = std::env::current_exe()
                .and_then(std::fs::canonicalize)
                .unwrap_or_default();
            program
                .ancestors()
                .nth(3)
                .unwrap_or(Path::new(""))
                .join(IN_PREFIX)
        }
    };
    directory.join(format!("{network}_imagenet.safetensors"))
}
