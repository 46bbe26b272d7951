//! The options for a model and its runtime that all commands that classify images share, and how they load the model.

use std::path::PathBuf;

use clap::Args;
use thumb_gesture::all_cores;
use thumb_gesture::classifier::settings::{Backend, Device, Precision, Settings};
use thumb_gesture::classifier::{self, ClassifierError, LoadedClassifier};
use thumb_gesture::model_store::{ModelStore, StoreError, StoredModel};
use thumb_gesture::recognizer::Recognizer;

use crate::names::names;

/// How to run a model.
#[derive(Args)]
pub(crate) struct RuntimeOptions {
    /// Runtime of the network
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = names::<Backend>())]
    backend: Backend,
    /// Device that runs the network
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = names::<Device>())]
    device: Device,
    /// Number format of the computation
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = names::<Precision>())]
    precision: Precision,
    /// Number of threads on a CPU [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Option<u16>,
    /// Library of an execution provider for ONNX Runtime, such as TensorRT RTX or OpenVINO from PyPI; it is tried first
    #[arg(long, value_name = "FILE")]
    provider_library: Option<PathBuf>,
    /// Fail instead of falling back to the CPU
    #[arg(long)]
    require_gpu: bool,
}

/// A model of a store, and how to run it.
#[derive(Args)]
pub(crate) struct ModelOptions {
    /// Directory of the model store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Id of the model [default: the active model]
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    #[command(flatten)]
    runtime: RuntimeOptions,
}

/// A model that is ready to classify, and what was chosen to run it.
pub(crate) struct LoadedModel {
    pub(crate) recognizer: Recognizer,
    /// Why this backend was chosen; may be empty.
    pub(crate) reason: String,
}

impl LoadedModel {
    fn new(model: &StoredModel, loaded: LoadedClassifier) -> LoadedModel {
        LoadedModel {
            recognizer: Recognizer::new(loaded.classifier, &model.manifest),
            reason: loaded.reason,
        }
    }
}

impl ModelOptions {
    pub(crate) fn stored(&self) -> Result<StoredModel, StoreError> {
        ModelStore::open_existing(&self.store)?.model_or_active(self.model.as_deref())
    }

    /// See [`RuntimeOptions::load`].
    pub(crate) fn load(&self, model: &StoredModel) -> Result<LoadedModel, ClassifierError> {
        self.runtime.load(model)
    }

    /// Loads a model to measure its speed: for batches of `batch` frames, and with TensorRT if possible, even if it has to build an engine.
    pub(crate) fn load_for_benchmark(
        &self,
        model: &StoredModel,
        batch: usize,
    ) -> Result<LoadedModel, ClassifierError> {
        let settings = Settings {
            batch,
            ..self.runtime.settings()
        };
        Ok(LoadedModel::new(model, classifier::load(model, &settings)?))
    }

    pub(crate) fn threads(&self) -> usize {
        self.runtime.settings().threads
    }
}

impl RuntimeOptions {
    /// Loads a model without waiting for TensorRT to build an engine, which takes longer than it saves for a few images.
    pub(crate) fn load(&self, model: &StoredModel) -> Result<LoadedModel, ClassifierError> {
        let (loaded, _) = classifier::load_at_once(model, &self.settings())?;
        Ok(LoadedModel::new(model, loaded))
    }

    fn settings(&self) -> Settings {
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
