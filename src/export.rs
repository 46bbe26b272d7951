//! Exports the networks of a stored model as ONNX files for another runtime, and calibrates the activation ranges for int8.

mod directory;

use std::path::{Path, PathBuf};

use crate::classifier::ClassifierError;
use crate::classifier::onnx::Observer;
use crate::disk::{self, DraftDirectory, WRITING_PREFIX};
use crate::model_store::{self, ModelNetwork, StoreError, StoredModel};
use crate::network::Network;
use crate::network::onnx::export::{self, ExportPrecision};
use crate::network::onnx::int8::ActivationRanges;
use crate::network::onnx::{self, Batch};
use crate::preprocess::Preprocessing;
use crate::weights::{Weights, WeightsError};

pub use directory::export_directory;

/// Why a model cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The network cannot be written as an ONNX file.
    #[error(transparent)]
    Network(#[from] onnx::ExportError),
    /// The model store reported an error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The model's weights cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The runtime failed.
    #[error(transparent)]
    Classifier(#[from] ClassifierError),
    /// int8 was requested for a model without activation ranges.
    #[error(
        "{0} has no activation ranges, which imported models lack; pass frames to calibrate on with --dataset DIR"
    )]
    NoRanges(String),
    /// The activation ranges of the model cannot be read.
    #[error("cannot read {path}: {cause}; pass frames to calibrate on with --dataset DIR")]
    Ranges {
        /// The file.
        path: PathBuf,
        /// The error of the file system or the parser.
        cause: std::io::Error,
    },
    /// The directory of the exported files cannot be created.
    #[error("cannot write {path}: {cause}; pass a new or empty directory with --directory DIR")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The error of the file system.
        cause: std::io::Error,
    },
    /// A temporary file or the activation ranges cannot be written.
    #[error("cannot write a file: {0}")]
    Io(#[from] std::io::Error),
}

/// Writes a network of a stored model as an ONNX file, atomically: on failure there is no file, or the previous one. Removes what killed
/// processes left next to it.
///
/// # Errors
/// The weights cannot be read, or the file cannot be written.
pub fn export(
    model: &StoredModel,
    network: ModelNetwork,
    path: &Path,
    precision: ExportPrecision,
    batch: Batch,
) -> Result<(), ExportError> {
    disk::sweep(disk::parent(path), WRITING_PREFIX);
    let manifest = &model.manifest;
    let weights = Weights::read(&model.path(network.weights_file()))?;
    let preprocessing = match network {
        ModelNetwork::Image => &manifest.preprocessing,
        ModelNetwork::Hand => &Preprocessing::IMAGENET,
    };
    let metadata = model_store::metadata(
        &manifest.id,
        &manifest.labels,
        model.temperature(network),
        preprocessing,
    );
    export::export(
        path,
        &model.network(network)?,
        &weights,
        precision,
        batch,
        &metadata,
    )?;
    Ok(())
}

/// The activation ranges of a network that the training stored with the model.
///
/// # Errors
/// [`ExportError::NoRanges`] if there are none, for example because the model was imported; [`ExportError::Ranges`] if their file is
/// damaged.
pub fn stored_ranges(model: &StoredModel, network: ModelNetwork) -> Result<ActivationRanges, ExportError> {
    let path = model.path(network.ranges_file());
    if !path.exists() {
        return Err(ExportError::NoRanges(model.manifest.id.clone()));
    }
    let read =
        || -> std::io::Result<ActivationRanges> { Ok(serde_json::from_slice(&std::fs::read(&path)?)?) };
    read().map_err(|cause| ExportError::Ranges {
        path: path.clone(),
        cause,
    })
}

/// Stores the activation ranges of a network.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_ranges(path: &Path, ranges: &ActivationRanges) -> Result<(), ExportError> {
    let write = disk::write_atomic(path, |writer| Ok(serde_json::to_writer(writer, ranges)?));
    Ok(write?)
}

/// Measures the activation ranges of a network.
pub struct Calibration {
    observer: Observer,
    ranges: ActivationRanges,
}

impl Calibration {
    /// A calibration without frames. `directory` temporarily holds the network as an ONNX file.
    ///
    /// # Errors
    /// A weight is missing or has another shape, the file cannot be written, or the runtime failed.
    pub fn new(network: &Network, weights: &Weights, directory: &Path) -> Result<Calibration, ExportError> {
        let directory = DraftDirectory::create(directory, WRITING_PREFIX)?;
        let file = directory.path().join("activations.onnx");
        let activations = export::export_with_activations(&file, network, weights)?;
        Ok(Calibration {
            observer: Observer::load(&file, activations)?,
            ranges: ActivationRanges::default(),
        })
    }

    /// Extends the ranges to include the activations for one input of [`crate::preprocess::INPUT_LEN`] values.
    ///
    /// # Errors
    /// The runtime failed.
    pub fn observe(&mut self, input: &[f32]) -> Result<(), ExportError> {
        Ok(self.observer.observe(input, &mut self.ranges)?)
    }

    /// The ranges so far.
    pub fn ranges(&self) -> &ActivationRanges {
        &self.ranges
    }
}
