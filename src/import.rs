//! Weights from elsewhere into a store: a pretrained start for trainings, or a model at once.
//!
//! What a file holds is told by its tensors: which network they fit, and how many outputs the last layer has.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use crate::classifier::ClassifierError;
use crate::classifier::onnx::OnnxClassifier;
use crate::dataset::Label;
use crate::disk;
use crate::model_store::manifest::{FrameCounts, IMPORTED, Preprocessing};
use crate::model_store::{MANIFEST_VERSION, Manifest, ModelStore, ONNX_FILE, StoreError, StoredModel};
use crate::network::{Network, parameters};
use crate::weights::pytorch::{self, PytorchError};
use crate::weights::{Weights, WeightsError};

/// As many outputs as ImageNet has classes: such a network is a start, not a model of gestures.
const IMAGENET_CLASSES: usize = 1000;
/// JetBot's directories, in the order in which its notebooks number them.
const JETBOT_LABELS: [&str; 2] = ["thumbsdown", "thumbsup"];
/// Nothing is known of its calibration.
const TEMPERATURE: f64 = 1.0;
/// As many bytes tell what a file is.
const FIRST_BYTES: u64 = 32;

/// What became of a file.
pub enum Imported {
    /// Trainings of this network start from it.
    Pretrained {
        /// The network.
        network: &'static str,
        /// Where it lies now.
        path: PathBuf,
    },
    /// A model.
    Model(Box<StoredModel>),
}

/// Why a file was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file system's word.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        cause: std::io::Error,
    },
    /// A file of PyTorch that cannot be read.
    #[error(transparent)]
    Pytorch(#[from] PytorchError),
    /// A safetensors file that cannot be read, or weights that cannot be written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The tensors are of none of the networks.
    #[error("{path} fits no network here; the nearest is {network}, whose {defects}")]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The network with the fewest differences.
        network: &'static str,
        /// What is missing, misshaped and too much.
        defects: String,
    },
    /// A model was asked for, by labels or by activating it, and the file is a start.
    #[error(
        "{path} holds {content}: it becomes a start of trainings, which has no labels and cannot be active; leave out --labels and --activate, then train"
    )]
    NoModel {
        /// The file.
        path: PathBuf,
        /// What it holds.
        content: &'static str,
    },
    /// The labels are not as many as the outputs.
    #[error(
        "the network has {outputs} outputs, and {given} label(s) are given; name each in the order of the outputs: --labels {example}"
    )]
    Labels {
        /// Outputs of the last layer.
        outputs: usize,
        /// Labels that were given.
        given: usize,
        /// How it would be right.
        example: String,
    },
    /// A label is given twice.
    #[error("label {0} is given for two outputs; each output needs a label of its own")]
    Twice(Label),
    /// The store's word.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The model does not run.
    #[error("the imported model does not run: {0}")]
    Classifier(#[from] ClassifierError),
}

/// Imports a file: `.pth` in both of PyTorch's formats, or safetensors.
///
/// With 1000 outputs and no labels it becomes the pretrained start of its network, and so does a file that holds only a network's features; with
/// fewer outputs a model with `labels`, or, if it has two outputs and none are given, with those of JetBot's notebooks. `activate` makes the model the
/// active one.
///
/// # Errors
/// [`ImportError`]; then the store is as it was.
pub fn import(
    file: &Path,
    store: &ModelStore,
    labels: &[Label],
    activate: bool,
) -> Result<Imported, ImportError> {
    let weights = read(file)?;
    let network = recognise(file, &weights)?;
    let outputs = network.outputs();
    let has_last_layer = parameters(&network.layers[network.last_layer()..])
        .iter()
        .all(|parameter| weights.get(parameter).is_ok());
    let start = match (has_last_layer, outputs) {
        (false, _) => Some("a network's features alone"),
        (true, IMAGENET_CLASSES) if labels.is_empty() => Some("the 1000 classes of ImageNet"),
        (true, _) => None,
    };
    if let Some(content) = start {
        if activate || !labels.is_empty() {
            return Err(ImportError::NoModel {
                path: file.to_owned(),
                content,
            });
        }
        let path = write_pretrained(&weights, &network, store)?;
        return Ok(Imported::Pretrained {
            network: network.name,
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
    match pytorch::is_pytorch(&first_bytes) || !is_safetensors {
        true => Ok(pytorch::read(file)?),
        false => Ok(Weights::read(file)?),
    }
}

/// The network that the tensors are of, with as many outputs as its last layer has.
fn recognise(file: &Path, weights: &Weights) -> Result<Network, ImportError> {
    let mut nearest: Option<(usize, &'static str, String)> = None;
    for name in Network::NAMES {
        let known = |outputs| Network::named(name, outputs).unwrap_or_else(|_| unreachable!("is listed"));
        let last = parameters(&known(1).layers).pop();
        let outputs = last.and_then(|bias| weights.shape(&bias.name)?.first().copied());
        let network = known(outputs.unwrap_or(IMAGENET_CLASSES).max(1));
        // The classifier may be missing altogether: features alone are a start too.
        let wanted = match outputs {
            Some(_) => &network.layers[..],
            None => network.features(),
        };
        let defects = defects(wanted, weights);
        if defects.is_empty() {
            return Ok(network);
        }
        if nearest.as_ref().is_none_or(|(count, ..)| defects.len() < *count) {
            nearest = Some((defects.len(), network.name, in_words(&defects)));
        }
    }
    let (_, network, defects) = nearest.unwrap_or_default();
    Err(ImportError::Unknown {
        path: file.to_owned(),
        network,
        defects,
    })
}

/// Each tensor that is missing, misshaped or too much.
fn defects(layers: &[crate::network::Layer], weights: &Weights) -> Vec<String> {
    let wanted = parameters(layers);
    let mut defects = Vec::new();
    for parameter in &wanted {
        match weights.shape(&parameter.name) {
            None => defects.push(format!("{} is missing", parameter.name)),
            Some(shape) if shape != parameter.shape => defects.push(format!(
                "{} is {shape:?} instead of {:?}",
                parameter.name, parameter.shape
            )),
            Some(_) => {}
        }
    }
    let is_wanted = |name: &&str| wanted.iter().any(|parameter| parameter.name == **name);
    let extra = weights.names().filter(|name| !is_wanted(name));
    defects.extend(extra.map(|name| format!("{name} is too much")));
    defects
}

fn in_words(defects: &[String]) -> String {
    const MOST_NAMED: usize = 8;
    let mut words = defects[..defects.len().min(MOST_NAMED)].join(", ");
    if defects.len() > MOST_NAMED {
        words += &format!(", and {} more", defects.len() - MOST_NAMED);
    }
    words
}

fn labels_for(outputs: usize, given: &[Label]) -> Result<Vec<Label>, ImportError> {
    if given.is_empty() && outputs == JETBOT_LABELS.len() {
        let label = |name| Label::new(name).unwrap_or_else(|_| unreachable!("keeps the rule"));
        return Ok(JETBOT_LABELS.map(label).to_vec());
    }
    if given.len() == outputs {
        let is_twice = |(index, label): &(usize, &Label)| given[..*index].contains(label);
        return match given.iter().enumerate().find(is_twice) {
            Some((_, label)) => Err(ImportError::Twice(label.clone())),
            None => Ok(given.to_vec()),
        };
    }
    let example: Vec<String> = (1..=outputs.min(5))
        .map(|number| format!("label{number}"))
        .collect();
    Err(ImportError::Labels {
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
    let path = store.pretrained_file(network.name);
    let directory = path.parent().unwrap_or(store.root());
    let io_error = |cause| ImportError::Io {
        path: path.clone(),
        cause,
    };
    std::fs::create_dir_all(directory).map_err(io_error)?;
    let bytes = weights.to_bytes(&path)?;
    disk::write_atomic(&path, disk::Existing::Replace, |writer| {
        std::io::Write::write_all(writer, &bytes)
    })
    .map_err(io_error)?;
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
    let draft = store.draft(network.name, now)?;
    draft.write_network(network, weights, &labels, TEMPERATURE)?;
    OnnxClassifier::load(&draft.path(ONNX_FILE), labels.len(), crate::all_cores())?;
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        id: String::new(),
        network: network.name.to_owned(),
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
        sha256: Default::default(),
    };
    Ok(store.publish(draft, manifest)?)
}
