//! Import of weights into a model store, as pretrained weights for trainings or as a model.
//!
//! The tensors of the file determine the network ([`recognize`]), and the last layer determines the number of outputs.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use self::labels::labels_for;
use self::recognize::{Recognized, recognize};

use crate::classifier::ClassifierError;
use crate::classifier::onnx::OnnxClassifier;
use crate::dataset::Label;
use crate::disk::{self, Existing};
use crate::file_kind::FileKind;
use crate::model_store::manifest::{FrameCounts, IMPORTED, Preprocessing};
use crate::model_store::{MANIFEST_VERSION, Manifest, ModelStore, ONNX_FILE, StoreError, StoredModel};
use crate::network::Network;
use crate::weights::listing::Listing;
use crate::weights::pytorch::{self, PytorchError};
use crate::weights::{self, Weights, WeightsError};

mod labels;
mod recognize;

/// Number of classes in ImageNet. A network with as many outputs is imported as pretrained weights.
const IMAGENET_CLASSES: usize = 1000;
/// An imported model is not calibrated, because there are no frames to calibrate it with.
const TEMPERATURE: f64 = 1.0;

/// What to import.
pub struct Options<'a> {
    /// Labels of the model, in the order of its outputs; empty for those that the file carries.
    pub labels: &'a [Label],
    /// What precedes the names of the network's tensors, for a file that holds several networks.
    pub prefix: Option<&'a str>,
    /// Whether the model becomes the active one.
    pub activate: bool,
}

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
    /// The file is neither a PyTorch nor a safetensors file.
    #[error("{path} is {kind}; {fix}")]
    FileKind {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
        /// What to do.
        fix: &'static str,
    },
    /// The tensors do not match any supported network.
    #[error("{path} does not match any supported network; the closest one is {network}, but {differences}")]
    UnknownNetwork {
        /// The file.
        path: PathBuf,
        /// The network with the most tensors in common.
        network: &'static str,
        /// Tensors that are missing, misshaped or unexpected.
        differences: String,
    },
    /// No tensor matches any supported network.
    #[error(
        "{path} does not match any supported network ({supported}): no tensor has a name and shape of one of them; it holds {tensors}"
    )]
    NoNetwork {
        /// The file.
        path: PathBuf,
        /// Names of the networks.
        supported: String,
        /// The first tensors of the file.
        tensors: String,
    },
    /// The backbone is that of a supported network, the classifier is not.
    #[error(
        "{path} is {network} with a classifier that is not supported: {classifier}; supported: {supported}; train the model with one of these, or without its classifier import it as pretrained weights"
    )]
    UnknownClassifier {
        /// The file.
        path: PathBuf,
        /// The network.
        network: &'static str,
        /// The tensors of the classifier.
        classifier: String,
        /// The weights of the classifiers that are supported.
        supported: String,
    },
    /// The file holds several networks, such as a training's weights and their moving average.
    #[error(
        "{path} holds several networks: {networks}; select one with --prefix, for example --prefix {example}"
    )]
    SeveralNetworks {
        /// The file.
        path: PathBuf,
        /// Prefix and name of each network.
        networks: String,
        /// A valid value of the option.
        example: String,
    },
    /// No tensor has the requested prefix.
    #[error("{path} has no tensors under the prefix {prefix}; the names in it begin with {known}")]
    UnknownPrefix {
        /// The file.
        path: PathBuf,
        /// The requested prefix.
        prefix: String,
        /// First parts of the names.
        known: String,
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
        "the network has {outputs} outputs, but {given} label(s) are given; give one label for each output, in their order: {example}"
    )]
    LabelCount {
        /// Number of outputs of the last layer.
        outputs: usize,
        /// Number of given labels.
        given: usize,
        /// A valid value of the option.
        example: String,
    },
    /// Neither the command line nor the file names the outputs.
    #[error(
        "the network has {outputs} output(s), and {in_file}; give one label for each output, in their order: {example}; the order is that of the training: torchvision's ImageFolder sorts the names of the directories, JetBot's notebooks list the categories; a model of coordinates, as for road following, has no labels and cannot be imported"
    )]
    NoLabels {
        /// Number of outputs of the last layer.
        outputs: usize,
        /// What the file says about its outputs.
        in_file: String,
        /// A valid value of the option.
        example: String,
    },
    /// The same label is given for two outputs.
    #[error("label {0} is given for two outputs, perhaps in two spellings; each output needs its own label")]
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
/// Weights with 1000 outputs and no labels, or without a classifier, become the pretrained weights of their network. Other
/// weights become a model, whose labels are given or carried by the file.
///
/// # Errors
/// [`ImportError`]; the store is then unchanged, except that a model remains if only its activation failed.
pub fn import(file: &Path, store: &ModelStore, options: &Options) -> Result<Imported, ImportError> {
    let source = Source::open(file)?;
    let (recognized, weights) = source.network(file, options.prefix)?;
    let network = &recognized.network;
    let outputs = network.outputs();
    let pretrained = match (recognized.has_classifier, outputs) {
        (false, _) => Some("a backbone without a classifier"),
        (true, IMAGENET_CLASSES) if options.labels.is_empty() => Some("the 1000 classes of ImageNet"),
        (true, _) => None,
    };
    if let Some(content) = pretrained {
        if options.activate || !options.labels.is_empty() {
            return Err(ImportError::NotAModel {
                path: file.to_owned(),
                content,
            });
        }
        let path = write_pretrained(&weights, network, store)?;
        return Ok(Imported::Pretrained {
            network: network.name(),
            path,
        });
    }
    let labels = labels_for(outputs, options.labels, &source.listing.class_names)?;
    let model = publish(file, &weights, network, labels, store)?;
    if options.activate {
        store.activate(&model)?;
    }
    Ok(Imported::Model(Box::new(model)))
}

/// A file of weights.
struct Source {
    listing: Listing,
    /// The tensors of a safetensors file. Those of a PyTorch file are read when their names are known, since a checkpoint also
    /// holds the state of the optimizer, which is larger than the network.
    tensors: Option<Weights>,
}

impl Source {
    fn open(file: &Path) -> Result<Source, ImportError> {
        let kind = FileKind::of_file(file).map_err(|cause| ImportError::Io {
            path: file.to_owned(),
            cause,
        })?;
        match kind {
            FileKind::Safetensors => {
                let (weights, listing) = weights::read_with_listing(file)?;
                Ok(Source {
                    listing,
                    tensors: Some(weights),
                })
            }
            // The reader says what is damaged.
            FileKind::PytorchZip | FileKind::PytorchLegacy | FileKind::DamagedZip => Ok(Source {
                listing: pytorch::list(file)?,
                tensors: None,
            }),
            kind => Err(ImportError::FileKind {
                path: file.to_owned(),
                kind: kind.name(),
                fix: fix(kind),
            }),
        }
    }

    /// The network in the file, with its weights under the names of its parameters.
    fn network(&self, file: &Path, prefix: Option<&str>) -> Result<(Recognized, Weights), ImportError> {
        let mut all = recognize(file, &self.listing, prefix)?.into_iter();
        let first = all
            .next()
            .unwrap_or_else(|| unreachable!("at least one is recognized"));
        let weights = self.weights(file, &first)?;
        // Two names may stand for one network, whose weights are then equal.
        for other in all.as_slice() {
            if other.network != first.network || self.weights(file, other)? != weights {
                return Err(several(file, std::iter::once(&first).chain(all.as_slice())));
            }
        }
        Ok((first, weights))
    }

    fn weights(&self, file: &Path, recognized: &Recognized) -> Result<Weights, ImportError> {
        match &self.tensors {
            Some(tensors) => Ok(tensors.renamed(&recognized.names)),
            None => Ok(pytorch::read_renamed(file, &recognized.names)?),
        }
    }
}

/// How to get weights that can be imported.
fn fix(kind: FileKind) -> &'static str {
    if let Some(fix) = kind.fix() {
        return fix;
    }
    match kind {
        FileKind::TorchScript => {
            "save its weights with torch.save(torch.jit.load(path).state_dict(), \"weights.pth\") and import those"
        }
        FileKind::TorchExport => {
            "save its weights with torch.save(torch.export.load(path).state_dict, \"weights.pth\") and import those"
        }
        FileKind::Onnx => {
            "import the PyTorch weights that it was exported from, written by torch.save(model.state_dict(), path)"
        }
        FileKind::TensorRt => {
            "it only runs on the GPU and TensorRT version it was compiled for; import the PyTorch weights that it was made from"
        }
        FileKind::Hdf5 | FileKind::Keras | FileKind::TfLite | FileKind::TensorFlow => {
            "models of TensorFlow and Keras cannot be imported; train one of the supported networks in PyTorch or with `thumb_gesture train`"
        }
        FileKind::Pickle => {
            "import a file of torch.save(model.state_dict(), path); if it is data.pkl of an unpacked .pth file, use the .pth file itself"
        }
        _ => "import a file of torch.save(model.state_dict(), path), or a safetensors file",
    }
}

fn several<'r>(file: &Path, networks: impl Iterator<Item = &'r Recognized>) -> ImportError {
    const ROOT: &str = ".";
    let networks: Vec<(&str, &str)> = networks
        .map(|recognized| match recognized.prefix.as_str() {
            "" => (ROOT, recognized.network.name()),
            prefix => (prefix, recognized.network.name()),
        })
        .collect();
    let described: Vec<String> = networks
        .iter()
        .map(|(prefix, network)| format!("{prefix} ({network})"))
        .collect();
    ImportError::SeveralNetworks {
        path: file.to_owned(),
        networks: described.join(", "),
        example: networks.first().map_or(ROOT, |(prefix, _)| prefix).to_owned(),
    }
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
