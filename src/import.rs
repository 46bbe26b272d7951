//! Import of weights into a model store, as pretrained weights for trainings or as a model.
//!
//! The tensors of the file determine the network, and the last layer determines the number of outputs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use strum::IntoEnumIterator;
use time::OffsetDateTime;

use crate::classifier::ClassifierError;
use crate::classifier::onnx::OnnxClassifier;
use crate::dataset::Label;
use crate::disk::{self, Existing};
use crate::model_store::manifest::{FrameCounts, IMPORTED, Preprocessing};
use crate::model_store::{MANIFEST_VERSION, Manifest, ModelStore, ONNX_FILE, StoreError, StoredModel};
use crate::network::{Architecture, Layer, Network, parameters};
use crate::weights::pytorch::{self, PytorchError};
use crate::weights::{Weights, WeightsError};

/// Number of classes in ImageNet. A network with as many outputs is imported as pretrained weights.
const IMAGENET_CLASSES: usize = 1000;
/// Labels of a model from JetBot's notebooks, in the order of its outputs.
const JETBOT_LABELS: [&str; 2] = ["thumbsdown", "thumbsup"];
/// An imported model is not calibrated, because there are no frames to calibrate it with.
const TEMPERATURE: f64 = 1.0;
/// Number of bytes from which the file format is detected.
const FIRST_BYTES: u64 = 32;

/// Result of an import.
pub enum Imported {
    /// Pretrained weights, from which trainings of this network start.
    Pretrained {
        /// Name of the network.
        network: &'static str,
        /// Path of the weights in the store.
        path: PathBuf,
    },
    /// A model that is ready to use.
    Model(Box<StoredModel>),
}

/// Why a file cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read or written.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        cause: std::io::Error,
    },
    /// The PyTorch file cannot be read.
    #[error(transparent)]
    Pytorch(#[from] PytorchError),
    /// The safetensors file cannot be read, or the weights cannot be written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The tensors do not match any supported network.
    #[error("{path} does not match any supported network; the closest one is {network}, but {differences}")]
    UnknownNetwork {
        /// The file.
        path: PathBuf,
        /// The network with the fewest differences.
        network: &'static str,
        /// Tensors that are missing, misshaped or unexpected.
        differences: String,
    },
    /// Labels or activation were requested for pretrained weights.
    #[error(
        "{path} holds {content} and can only be imported as pretrained weights, which have no labels and cannot be activated; leave out --labels and --activate, then train a model"
    )]
    NotAModel {
        /// The file.
        path: PathBuf,
        /// Description of the content.
        content: &'static str,
    },
    /// The number of labels differs from the number of outputs.
    #[error(
        "the network has {outputs} outputs, but {given} label(s) are given; give one label for each output, in their order: --labels {example}"
    )]
    LabelCount {
        /// Number of outputs of the last layer.
        outputs: usize,
        /// Number of given labels.
        given: usize,
        /// A valid value of the option.
        example: String,
    },
    /// The same label is given for two outputs.
    #[error("label {0} is given for two outputs; each output needs its own label")]
    DuplicateLabel(Label),
    /// The model store reported an error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// ONNX Runtime cannot run the imported model.
    #[error("the imported model cannot be run: {0}")]
    Classifier(#[from] ClassifierError),
}

/// Imports a PyTorch file, in either of PyTorch's formats, or a safetensors file.
///
/// Weights with 1000 outputs and no `labels`, or without a classifier, become the pretrained weights of their network. Other
/// weights become a model with `labels`; for two outputs the labels default to those of JetBot's notebooks. `activate` makes
/// the model the active one.
///
/// # Errors
/// [`ImportError`]; the store is then unchanged, except that a model remains if only its activation failed.
pub fn import(
    file: &Path,
    store: &ModelStore,
    labels: &[Label],
    activate: bool,
) -> Result<Imported, ImportError> {
    let weights = read(file)?;
    let network = detect_network(file, &weights)?;
    let outputs = network.outputs();
    let has_last_layer = parameters(&network.layers[network.last_layer()..])
        .iter()
        .all(|parameter| weights.get(parameter).is_ok());
    let pretrained = match (has_last_layer, outputs) {
        (false, _) => Some("a backbone without a classifier"),
        (true, IMAGENET_CLASSES) if labels.is_empty() => Some("the 1000 classes of ImageNet"),
        (true, _) => None,
    };
    if let Some(content) = pretrained {
        if activate || !labels.is_empty() {
            return Err(ImportError::NotAModel {
                path: file.to_owned(),
                content,
            });
        }
        let path = write_pretrained(&weights, &network, store)?;
        return Ok(Imported::Pretrained {
            network: network.name(),
            path,
        });
    }
    let labels = labels_for(outputs, labels)?;
    let model = publish(file, &weights, &network, labels, store)?;
    if activate {
        store.activate(&model)?;
    }
    Ok(Imported::Model(Box::new(model)))
}

fn read(file: &Path) -> Result<Weights, ImportError> {
    let mut first_bytes = Vec::new();
    let read = File::open(file).and_then(|opened| opened.take(FIRST_BYTES).read_to_end(&mut first_bytes));
    read.map_err(|cause| ImportError::Io {
        path: file.to_owned(),
        cause,
    })?;
    let is_safetensors = file
        .extension()
        .is_some_and(|extension| extension == "safetensors");
    if pytorch::is_pytorch(&first_bytes) || !is_safetensors {
        Ok(pytorch::read(file)?)
    } else {
        Ok(Weights::read(file)?)
    }
}

/// The network that the tensors belong to, with the number of outputs of their last layer.
fn detect_network(file: &Path, weights: &Weights) -> Result<Network, ImportError> {
    let mut closest: Option<(usize, &'static str, String)> = None;
    for architecture in Architecture::iter() {
        let last = parameters(&Network::new(architecture, 1).layers).pop();
        let outputs = last.and_then(|bias| weights.shape(&bias.name)?.first().copied());
        let network = Network::new(architecture, outputs.unwrap_or(IMAGENET_CLASSES).max(1));
        // Without any tensor of the classifier the file holds the backbone only.
        let layers = match outputs {
            Some(_) => &network.layers[..],
            None => network.features(),
        };
        let differences = differences(layers, weights);
        if differences.is_empty() {
            return Ok(network);
        }
        if closest
            .as_ref()
            .is_none_or(|(count, ..)| differences.len() < *count)
        {
            closest = Some((differences.len(), network.name(), summary(&differences)));
        }
    }
    let (_, network, differences) = closest.unwrap_or_default();
    Err(ImportError::UnknownNetwork {
        path: file.to_owned(),
        network,
        differences,
    })
}

/// Describes each tensor that is missing, misshaped or unexpected.
fn differences(layers: &[Layer], weights: &Weights) -> Vec<String> {
    let expected = parameters(layers);
    let mut differences = Vec::new();
    for parameter in &expected {
        match weights.shape(&parameter.name) {
            None => differences.push(format!("{} is missing", parameter.name)),
            Some(shape) if shape != parameter.shape => differences.push(format!(
                "{} has the shape {shape:?} instead of {:?}",
                parameter.name, parameter.shape
            )),
            Some(_) => {}
        }
    }
    let is_expected = |name: &&str| expected.iter().any(|parameter| parameter.name == **name);
    let unexpected = weights.names().filter(|name| !is_expected(name));
    differences.extend(unexpected.map(|name| format!("{name} is unexpected")));
    differences
}

fn summary(differences: &[String]) -> String {
    const MAX_LISTED: usize = 8;
    let listed = differences.len().min(MAX_LISTED);
    let mut summary = differences[..listed].join(", ");
    if differences.len() > listed {
        summary += &format!(", and {} more", differences.len() - listed);
    }
    summary
}

fn labels_for(outputs: usize, given: &[Label]) -> Result<Vec<Label>, ImportError> {
    if given.is_empty() && outputs == JETBOT_LABELS.len() {
        let label = |name| Label::new(name).unwrap_or_else(|_| unreachable!("{name} is a valid label"));
        return Ok(JETBOT_LABELS.map(label).to_vec());
    }
    if given.len() == outputs {
        let is_duplicate = |(index, label): &(usize, &Label)| given[..*index].contains(label);
        return match given.iter().enumerate().find(is_duplicate) {
            Some((_, label)) => Err(ImportError::DuplicateLabel(label.clone())),
            None => Ok(given.to_vec()),
        };
    }
    let example: Vec<String> = (1..=outputs.min(5))
        .map(|number| format!("label{number}"))
        .collect();
    Err(ImportError::LabelCount {
        outputs,
        given: given.len(),
        example: example.join(","),
    })
}

fn write_pretrained(
    weights: &Weights,
    network: &Network,
    store: &ModelStore,
) -> Result<PathBuf, ImportError> {
    let path = store.pretrained_file(network.name());
    let directory = path.parent().unwrap_or(store.root());
    let io_error = |cause| ImportError::Io {
        path: path.clone(),
        cause,
    };
    std::fs::create_dir_all(directory).map_err(io_error)?;
    let bytes = weights.to_bytes(&path)?;
    disk::write_atomic(&path, Existing::Replace, |writer| writer.write_all(&bytes)).map_err(io_error)?;
    Ok(path)
}

fn publish(
    file: &Path,
    weights: &Weights,
    network: &Network,
    labels: Vec<Label>,
    store: &ModelStore,
) -> Result<StoredModel, ImportError> {
    let now = OffsetDateTime::now_utc();
    let draft = store.draft(network.name(), now)?;
    draft.write_network(network, weights, &labels, TEMPERATURE)?;
    OnnxClassifier::load(&draft.path(ONNX_FILE), labels.len(), crate::all_cores())?;
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        id: String::new(),
        network: network.name().to_owned(),
        labels,
        created: now,
        preprocessing: Preprocessing::current(),
        temperature: TEMPERATURE,
        strategy: IMPORTED.to_owned(),
        frames: FrameCounts {
            train: 0,
            validation: 0,
        },
        metrics: None,
        int8: None,
        epochs: 0,
        seed: 0,
        dataset: file.display().to_string(),
        dataset_digest: String::new(),
        parent: None,
        sha256: BTreeMap::new(),
    };
    Ok(store.publish(draft, manifest)?)
}
