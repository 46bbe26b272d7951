//! Import of weights into a model store, as pretrained weights for trainings or as a model.
//!
//! The tensors of the file determine the network ([`recognize`]), and the last layer determines the number of outputs.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use self::labels::labels_for;
use self::source::Source;
use crate::classifier::onnx::OnnxClassifier;
use crate::dataset::Label;
use crate::disk;
use crate::model_store::manifest::{FrameCounts, IMPORTED};
use crate::model_store::{MANIFEST_VERSION, Manifest, ModelNetwork, ModelStore, ONNX_FILE, StoredModel};
use crate::network::Network;
use crate::preprocess::Preprocessing;
use crate::weights::Weights;

mod error;
mod labels;
mod recognize;
mod source;

pub use self::error::ImportError;

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
    /// How the model was trained to see images.
    pub preprocessing: Preprocessing,
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

/// Imports a PyTorch file, in either of PyTorch's formats, or a safetensors file.
///
/// Weights with 1000 outputs and no labels, or without a classifier, become the pretrained weights of their network. Other
/// weights become a model, whose labels are given or carried by the file.
///
/// # Errors
/// [`ImportError`]; the store is then unchanged, except that a model remains if only its activation failed.
pub fn import(file: &Path, store: &ModelStore, options: &Options) -> Result<Imported, ImportError> {
    options.preprocessing.validate()?;
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
        if options.preprocessing != Preprocessing::IMAGENET {
            return Err(ImportError::PretrainedPreprocessing {
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
    let model = publish(file, &weights, network, labels, options.preprocessing, store)?;
    if options.activate {
        store.activate(&model)?;
    }
    Ok(Imported::Model(Box::new(model)))
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
    disk::create_directory_inside(directory).map_err(io_error)?;
    let bytes = weights.to_bytes(&path)?;
    disk::write_atomic(&path, |writer| writer.write_all(&bytes)).map_err(io_error)?;
    Ok(path)
}

fn publish(
    file: &Path,
    weights: &Weights,
    network: &Network,
    labels: Vec<Label>,
    preprocessing: Preprocessing,
    store: &ModelStore,
) -> Result<StoredModel, ImportError> {
    let now = OffsetDateTime::now_utc();
    let draft = store.draft(network.name(), now)?;
    draft.write_network(
        ModelNetwork::Image,
        network,
        weights,
        &labels,
        TEMPERATURE,
        &preprocessing,
    )?;
    OnnxClassifier::load(&draft.path(ONNX_FILE), labels.len(), crate::all_cores())?;
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        id: String::new(),
        sequence: 0,
        network: network.name().to_owned(),
        labels,
        created: now,
        preprocessing,
        temperature: TEMPERATURE,
        strategy: IMPORTED.to_owned(),
        frames: FrameCounts {
            train: 0,
            validation: 0,
        },
        metrics: None,
        scenes: None,
        int8: None,
        landmarks: None,
        thumbless: None,
        hand: None,
        epochs: 0,
        seed: 0,
        dataset: file.display().to_string(),
        dataset_digest: String::new(),
        parent: None,
        sha256: BTreeMap::new(),
    };
    Ok(store.publish(draft, manifest)?)
}
