//! A stored model as one ONNX file for a runtime elsewhere, and the calibration that int8 needs.

use std::path::Path;

use crate::classifier::ClassifierError;
use crate::classifier::onnx::Observer;
use crate::disk::{self, Existing};
use crate::model_store::{self, Draft, StoreError, StoredModel, WEIGHTS_FILE};
use crate::network::Network;
use crate::network::onnx::Batch;
use crate::network::onnx::export::{self, Numbers};
use crate::network::onnx::int8::Ranges;
use crate::weights::{Weights, WeightsError};

/// In a model's directory: between what the values in the network lay, on frames that it was trained on.
pub const RANGES_FILE: &str = "ranges.json";

/// Why a model was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The network's word.
    #[error(transparent)]
    Network(#[from] export::ExportError),
    /// The store's word.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The model's weights cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The runtime's word.
    #[error(transparent)]
    Classifier(#[from] ClassifierError),
    /// int8 without any frames.
    #[error(
        "{0} has no ranges.json, as a model that was not trained here: name frames to calibrate on, --dataset DIR"
    )]
    NoRanges(String),
    /// The file system's word.
    #[error("calibration: {0}")]
    Io(#[from] std::io::Error),
}

/// Writes a stored model's file; it appears whole or not at all.
///
/// # Errors
/// [`ExportError`].
pub fn export(model: &StoredModel, path: &Path, numbers: Numbers, batch: Batch) -> Result<(), ExportError> {
    let manifest = &model.manifest;
    let weights = Weights::read(&model.path(WEIGHTS_FILE))?;
    let metadata = model_store::metadata(&manifest.id, &manifest.labels, manifest.temperature);
    export::export(path, &model.network()?, &weights, numbers, batch, &metadata)?;
    Ok(())
}

/// Between what a model's values lay when it was trained.
///
/// # Errors
/// [`ExportError::NoRanges`] for a model that was not trained here.
pub fn stored_ranges(model: &StoredModel) -> Result<Ranges, ExportError> {
    let bytes = std::fs::read(model.path(RANGES_FILE)).unwrap_or_default();
    serde_json::from_slice(&bytes).map_err(|_| ExportError::NoRanges(model.manifest.id.clone()))
}

/// Keeps the ranges beside the model that they are of.
///
/// # Errors
/// What the file system says.
pub fn write_ranges(draft: &Draft, ranges: &Ranges) -> Result<(), ExportError> {
    let write = disk::write_atomic(&draft.path(RANGES_FILE), Existing::Replace, |writer| {
        Ok(serde_json::to_writer(writer, ranges)?)
    });
    Ok(write?)
}

/// Runs a network on frames and sees between what its values lie.
pub struct Calibration {
    observer: Observer,
    ranges: Ranges,
}

impl Calibration {
    /// No frame yet. The network lies in `directory` for a moment.
    ///
    /// # Errors
    /// A weight that is missing or misshaped, a full disk, and the runtime's word.
    pub fn new(network: &Network, weights: &Weights, directory: &Path) -> Result<Calibration, ExportError> {
        let directory = tempfile::tempdir_in(directory)?;
        let file = directory.path().join("values.onnx");
        let values = export::export_with_values(&file, network, weights)?;
        Ok(Calibration {
            observer: Observer::load(&file, values)?,
            ranges: Ranges::default(),
        })
    }

    /// Widens the ranges to what one input of [`crate::preprocess::INPUT_LEN`] values makes of them.
    ///
    /// # Errors
    /// The runtime's word.
    pub fn see(&mut self, input: &[f32]) -> Result<(), ExportError> {
        Ok(self.observer.see(input, &mut self.ranges)?)
    }

    /// The ranges so far.
    pub fn ranges(&self) -> &Ranges {
        &self.ranges
    }
}
