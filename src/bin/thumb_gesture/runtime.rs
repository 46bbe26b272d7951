//! The options for a model and its runtime that all commands that classify images share, and how they load the model.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use thumb_gesture::all_cores;
use thumb_gesture::classifier::settings::{Device, Precision, Settings};
use thumb_gesture::model_store::{ModelStore, StoreError};
use thumb_gesture::recognizer::model::{BUILTIN, LoadError, LoadedModel, Model};
use thumb_gesture::recognizer::settings::{FAMILIARITY_THRESHOLD, HandSettings, Method, RecognizerSettings};

use crate::names::names;
use crate::numbers::{parse_degrees, parse_share};

/// How to run a model.
#[derive(Args)]
pub(crate) struct RuntimeOptions {
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
    /// Maximum number of hands in a frame
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=4))]
    max_hands: u8,
    /// Rotation of the camera around its optical axis in degrees, clockwise as seen from behind it, -180 to 180
    #[arg(long, value_name = "DEGREES", default_value_t = HandSettings::default().camera_roll_deg, allow_negative_numbers = true, value_parser = parse_degrees)]
    camera_roll: f32,
}

/// A model, and how to run it.
#[derive(Args)]
pub(crate) struct ModelOptions {
    /// Directory of the model store [default: none, only the built-in recognizer]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Id of the model, or builtin [default: the active model, or the built-in recognizer if there is none]
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// What classifies frames: landmarks of hands, the crop of a hand, the whole image, or auto: landmarks where a hand is seen, the image elsewhere
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = names::<Method>())]
    recognizer: Method,
    /// Minimum familiarity of a frame that the whole image may decide on, 0 to 1; 0 disables the check
    #[arg(long, value_name = "P", default_value_t = FAMILIARITY_THRESHOLD, value_parser = parse_share::<f32>)]
    familiarity_threshold: f32,
    #[command(flatten)]
    runtime: RuntimeOptions,
}

impl ModelOptions {
    /// The model to use.
    pub(crate) fn chosen(&self) -> anyhow::Result<Model> {
        let store = match (&self.store, self.model.as_deref()) {
            (Some(store), _) => store,
            (None, None | Some(BUILTIN)) => return Ok(Model::builtin()),
            (None, Some(id)) => bail!("the model {id} is in a store: add --store with its directory"),
        };
        let store = ModelStore::open_existing(store)?;
        let id = Model::requested_id(&store, self.model.as_deref(), self.recognizer)?;
        let id = id.ok_or_else(|| StoreError::NoActiveModel(store.root().to_owned()))?;
        Ok(Model::open(&store, &id)?)
    }

    /// See [`RuntimeOptions::load`].
    pub(crate) fn load(&self, model: &Model) -> anyhow::Result<LoadedModel> {
        let mut loaded = explained(model, model.load_at_once(&self.settings()))?;
        loaded
            .recognizer
            .set_familiarity_threshold(self.familiarity_threshold);
        Ok(loaded)
    }

    /// Loads a model to measure its speed: for batches of `batch` frames, and with TensorRT if possible, even if it has to build an engine.
    pub(crate) fn load_for_benchmark(&self, model: &Model, batch: usize) -> anyhow::Result<LoadedModel> {
        let mut settings = self.settings();
        settings.network.batch = batch;
        explained(model, model.load(&settings))
    }

    /// The options that change the predictions of a model, by name.
    pub(crate) fn named_settings(&self) -> [(&'static str, String); 4] {
        [
            ("recognizer", self.recognizer.to_string()),
            ("familiarity-threshold", self.familiarity_threshold.to_string()),
            ("max-hands", self.runtime.max_hands.to_string()),
            ("camera-roll", self.runtime.camera_roll.to_string()),
        ]
    }

    pub(crate) fn threads(&self) -> usize {
        self.settings().network.threads
    }

    fn settings(&self) -> RecognizerSettings {
        RecognizerSettings {
            method: self.recognizer,
            ..self.runtime.settings()
        }
    }
}

impl RuntimeOptions {
    /// Loads a model without waiting for TensorRT to build an engine, which takes longer than it saves for a few images.
    pub(crate) fn load(&self, model: &Model) -> anyhow::Result<LoadedModel> {
        explained(model, model.load_at_once(&self.settings()))
    }

    /// Loads a model as a node with that number of cameras does, and builds the engines that it lacks.
    pub(crate) fn prepare(
        &self,
        model: &Model,
        method: Method,
        cameras: usize,
    ) -> anyhow::Result<LoadedModel> {
        let mut settings = self.settings();
        settings.method = method;
        settings.network.batch = cameras;
        Ok(model.load(&settings)?)
    }

    fn settings(&self) -> RecognizerSettings {
        RecognizerSettings {
            method: Method::default(),
            hands: HandSettings {
                max_hands: usize::from(self.max_hands),
                camera_roll_deg: self.camera_roll,
            },
            network: Settings {
                device: self.device,
                precision: self.precision,
                threads: self.threads.map_or_else(all_cores, usize::from),
                require_gpu: self.require_gpu,
                provider_library: self.provider_library.clone(),
                ..Settings::default()
            },
        }
    }
}

/// Says of the built-in recognizer, which nobody may have asked for, why it is needed.
fn explained(model: &Model, loaded: Result<LoadedModel, LoadError>) -> anyhow::Result<LoadedModel> {
    match model.stored() {
        Some(_) => Ok(loaded?),
        None => loaded.context("cannot load the built-in recognizer, which is used without a trained model"),
    }
}
