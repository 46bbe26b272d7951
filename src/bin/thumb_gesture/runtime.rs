//! The options that say which model runs, and what runs it: the same for every command that classifies images.

use std::path::PathBuf;

use clap::Args;
use thumb_gesture::all_cores;
use thumb_gesture::classifier::settings::{Backend, Device, Precision, Settings};
use thumb_gesture::classifier::{self, ClassifierError};
use thumb_gesture::model_store::{ModelStore, StoreError, StoredModel};
use thumb_gesture::recognizer::Recognizer;

use crate::names::names;

/// What runs the model.
#[derive(Args)]
pub struct RuntimeOptions {
    /// What runs the network
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = names::<Backend>())]
    backend: Backend,
    /// What it runs on
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = names::<Device>())]
    device: Device,
    /// What it computes with
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = names::<Precision>())]
    precision: Precision,
    /// Threads for one frame [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Option<u16>,
    /// A library that brings an execution provider for ONNX Runtime, such as TensorRT RTX's or OpenVINO's from PyPI: tried first
    #[arg(long, value_name = "FILE")]
    provider_library: Option<PathBuf>,
    /// Fail rather than run on the CPU
    #[arg(long)]
    require_gpu: bool,
}

/// A model of a store, and what runs it.
#[derive(Args)]
pub struct ModelOptions {
    /// Directory of the trained models
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Which model [default: the active one]
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    #[command(flatten)]
    runtime: RuntimeOptions,
}

impl ModelOptions {
    /// The model, as it lies in the store.
    pub fn stored(&self) -> Result<StoredModel, StoreError> {
        ModelStore::open_existing(&self.store)?.model_or_active(self.model.as_deref())
    }

    /// What classifies images by it.
    pub fn load(&self, model: &StoredModel) -> Result<Recognizer, ClassifierError> {
        self.runtime.load(model)
    }
}

impl RuntimeOptions {
    /// What classifies images by a model; on a GPU too without waiting for an engine.
    pub fn load(&self, model: &StoredModel) -> Result<Recognizer, ClassifierError> {
        let (loaded, _) = classifier::load_at_once(model, &self.settings())?;
        Ok(Recognizer::new(loaded.classifier, &model.manifest))
    }

    /// As the library takes them.
    pub fn settings(&self) -> Settings {
        Settings {
            backend: self.backend,
            device: self.device,
            precision: self.precision,
            threads: self.threads.map_or_else(all_cores, usize::from),
            require_gpu: self.require_gpu,
            provider_library: self.provider_library.clone(),
            ..Settings::default()
        }
    }
}
