//! Network input -> logits and probabilities, on whatever runs the network.

pub mod choice;
mod engines;
pub mod onnx;
pub mod settings;
pub mod torch;

use std::path::PathBuf;

use crate::model_store::manifest::Preprocessing;
use crate::model_store::{INT8_FILE, ONNX_FILE, StoreError, StoredModel};
use crate::names::UnknownName;
use crate::preprocess::INPUT_SIDE_PX;
use crate::weights::WeightsError;
use choice::{Attempt, Runtime, attempts};
use onnx::OnnxClassifier;
use settings::{Precision, Settings};
use torch::TorchClassifier;

/// A loaded model. One thread owns it.
pub trait Classifier: Send {
    /// Runs the network on one or more inputs of [`crate::preprocess::INPUT_LEN`] values each; writes one logit for each label, one
    /// input's after the other's.
    ///
    /// # Errors
    /// The runtime's word.
    fn logits(&mut self, inputs: &[f32], logits: &mut [f32]) -> Result<(), ClassifierError>;

    /// What really runs it, as `<runtime>/<device>/<precision>`.
    fn backend(&self) -> &str;
}

/// Why a model cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum ClassifierError {
    /// The runtime's library is not there or too old.
    #[error(
        "cannot load ONNX Runtime from {path}: {reason}; set ORT_DYLIB_PATH to a libonnxruntime.so of version 1.22 or later"
    )]
    Runtime {
        /// Where it was looked for.
        path: String,
        /// What the loader said.
        reason: String,
    },
    /// ONNX Runtime's word.
    #[error("ONNX Runtime: {0}")]
    Onnx(String),
    /// The library of an execution provider is none, or finds nothing to run on.
    #[error("the execution provider in {path:?}: {reason}")]
    Plugin {
        /// The library.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// libtorch's word.
    #[error("{0}")]
    Torch(String),
    /// The model's weights cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The store's word.
    #[error(transparent)]
    Store(#[from] Box<StoreError>),
    /// The directory of TensorRT's engines.
    #[error("the directory of TensorRT's engines: {0}")]
    Engines(#[from] std::io::Error),
    /// The CPU will not do.
    #[error("no GPU runs the model, and require_gpu is set: {0}")]
    NoGpu(String),
    /// The model is of an architecture that is not known here.
    #[error(transparent)]
    Network(#[from] UnknownName),
    /// The model's file and its manifest do not belong together.
    #[error(
        "the model takes {inputs:?} and gives {outputs:?}; with its {labels} labels it should take [1, 3, {INPUT_SIDE_PX}, {INPUT_SIDE_PX}] and give [1, {labels}]"
    )]
    Shape {
        /// Shape of the input.
        inputs: Vec<i64>,
        /// Shape of the output.
        outputs: Vec<i64>,
        /// Labels in the manifest.
        labels: usize,
    },
    /// The model was trained on frames that went through something else.
    #[error("the model wants other preprocessing than this version does: {0}")]
    Preprocessing(String),
}

/// A model that is ready for its first frame.
pub struct Loaded {
    /// What runs it.
    pub classifier: Box<dyn Classifier>,
    /// Why it is that, in words; empty where there is nothing to say.
    pub reason: String,
}

/// Whether what was loaded is the last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineState {
    /// It is.
    Settled,
    /// [`load`] builds an engine of TensorRT, which takes a while.
    ToBuild,
}

/// Loads a model on the best there is of what is asked for, and runs it once, so that its first frame is as fast as the others.
///
/// # Errors
/// A model that does not fit this version or its own manifest; a runtime that is not there; with [`Settings::require_gpu`] a GPU that
/// cannot be used.
pub fn load(model: &StoredModel, settings: &Settings) -> Result<Loaded, ClassifierError> {
    Ok(load_first(model, settings, |_| false)?.0)
}

/// Loads a model on the best that is there at once: as [`load`], but for an engine of TensorRT that is still to be built. Where
/// there is one, `load` builds it.
///
/// # Errors
/// As [`load`].
pub fn load_at_once(
    model: &StoredModel,
    settings: &Settings,
) -> Result<(Loaded, EngineState), ClassifierError> {
    let is_slow = |attempt: &Attempt| {
        attempt.runtime == Runtime::OnnxTensorRt
            && is_there(attempt.runtime)
            && !onnx::has_engine(model, attempt, settings)
    };
    let (mut loaded, engine) = load_first(model, settings, is_slow)?;
    if engine == EngineState::ToBuild {
        loaded.reason += " (TensorRT's engine is being built)";
    }
    Ok((loaded, engine))
}

fn load_first(
    model: &StoredModel,
    settings: &Settings,
    is_slow: impl Fn(&Attempt) -> bool,
) -> Result<(Loaded, EngineState), ClassifierError> {
    let manifest = &model.manifest;
    if manifest.preprocessing != Preprocessing::current() {
        return Err(ClassifierError::Preprocessing(format!(
            "{:?}",
            manifest.preprocessing
        )));
    }
    crate::network::Network::named(&manifest.network, manifest.labels.len())?;
    let attempts = attempts(settings, manifest.int8.as_ref(), is_there);
    first_that_loads(attempts, settings.require_gpu, is_slow, |attempt| {
        load_on(model, attempt, settings)
    })
}

/// Tries what is not slow, in order, and then what is. A slow one that stood before what has loaded is still to be built.
fn first_that_loads(
    attempts: Vec<Attempt>,
    require_gpu: bool,
    is_slow: impl Fn(&Attempt) -> bool,
    mut load: impl FnMut(&Attempt) -> Result<Box<dyn Classifier>, ClassifierError>,
) -> Result<(Loaded, EngineState), ClassifierError> {
    let mut failures = Vec::new();
    let mut last_error = None;
    let places = attempts.into_iter().enumerate();
    let (slow, at_once): (Vec<_>, Vec<_>) = places.partition(|(_, attempt)| is_slow(attempt));
    let first_slow = slow.first().map(|(place, _)| *place);
    for (place, attempt) in at_once.into_iter().chain(slow) {
        match load(&attempt) {
            Ok(classifier) => {
                tracing::debug!("{} runs the model", classifier.backend());
                let engine = match first_slow {
                    Some(slow) if slow < place => EngineState::ToBuild,
                    _ => EngineState::Settled,
                };
                failures.extend(attempt.reason);
                let reason = failures.join("; ");
                return Ok((Loaded { classifier, reason }, engine));
            }
            Err(error) => {
                tracing::debug!("{} does not run the model: {error}", attempt.name());
                failures.push(format!("{}: {error}", attempt.runtime));
                last_error = Some(error);
            }
        }
    }
    match last_error {
        Some(_) if require_gpu => Err(ClassifierError::NoGpu(failures.join("; "))),
        Some(error) => Err(error),
        None => Err(ClassifierError::NoGpu(
            "device is cpu, which excludes one".to_owned(),
        )),
    }
}

fn is_there(runtime: Runtime) -> bool {
    match runtime {
        Runtime::OnnxTensorRt | Runtime::OnnxCuda => onnx::has_provider(runtime),
        Runtime::TorchCuda => torch::has_gpu(),
        Runtime::OnnxPlugin | Runtime::OnnxCpu | Runtime::TorchCpu => true,
    }
}

fn load_on(
    model: &StoredModel,
    attempt: &Attempt,
    settings: &Settings,
) -> Result<Box<dyn Classifier>, ClassifierError> {
    match attempt.runtime {
        Runtime::TorchCpu | Runtime::TorchCuda => {
            Ok(Box::new(TorchClassifier::load(model, attempt, settings)?))
        }
        Runtime::OnnxTensorRt => Ok(Box::new(OnnxClassifier::load_tensorrt(model, attempt, settings)?)),
        runtime => {
            let file = match attempt.precision {
                Precision::Int8 => INT8_FILE,
                _ => ONNX_FILE,
            };
            let load = match runtime {
                Runtime::OnnxPlugin => OnnxClassifier::load_plugin,
                _ => OnnxClassifier::load_on,
            };
            let labels = model.manifest.labels.len();
            Ok(Box::new(load(&model.path(file), labels, attempt, settings)?))
        }
    }
}

/// The numbers of frames to run before a model counts as loaded: on a GPU each number may go another way.
fn warm_up(batch: usize) -> impl Iterator<Item = usize> {
    std::iter::once(1).chain((batch > 1).then_some(batch))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Classifier for Nothing {
        fn logits(&mut self, _: &[f32], _: &mut [f32]) -> Result<(), ClassifierError> {
            Ok(())
        }

        fn backend(&self) -> &str {
            ""
        }
    }

    /// What loads of these, where TensorRT is slow and those in `broken` fail, and whether an engine is still to be built.
    fn loaded(attempts: &[Runtime], broken: &[Runtime]) -> Option<(Runtime, EngineState)> {
        let attempts = attempts.iter().map(|&runtime| Attempt {
            runtime,
            precision: Precision::Fp32,
            reason: None,
        });
        let is_slow = |attempt: &Attempt| attempt.runtime == Runtime::OnnxTensorRt;
        let mut last = None;
        let load = |attempt: &Attempt| -> Result<Box<dyn Classifier>, ClassifierError> {
            last = Some(attempt.runtime);
            match broken.contains(&attempt.runtime) {
                true => Err(ClassifierError::Onnx("broken".to_owned())),
                false => Ok(Box::new(Nothing)),
            }
        };
        let (_, engine) = first_that_loads(attempts.collect(), false, is_slow, load).ok()?;
        Some((last?, engine))
    }

    #[test]
    fn the_next_best_serves_while_an_engine_is_built_and_none_is_built_that_would_not_serve() {
        use EngineState::{Settled, ToBuild};
        use Runtime::{OnnxCpu, OnnxCuda, OnnxPlugin, OnnxTensorRt};
        let on_gpu = [OnnxTensorRt, OnnxCuda, OnnxCpu];
        assert_eq!(loaded(&on_gpu, &[]), Some((OnnxCuda, ToBuild)));
        assert_eq!(loaded(&on_gpu, &[OnnxCuda]), Some((OnnxCpu, ToBuild)));
        let nothing_else = loaded(&on_gpu, &[OnnxCuda, OnnxCpu]);
        assert_eq!(nothing_else, Some((OnnxTensorRt, Settled)));
        let with_plugin = [OnnxPlugin, OnnxTensorRt, OnnxCpu];
        assert_eq!(loaded(&with_plugin, &[]), Some((OnnxPlugin, Settled)));
        assert_eq!(loaded(&with_plugin, &[OnnxPlugin]), Some((OnnxCpu, ToBuild)));
        assert_eq!(loaded(&[OnnxCpu], &[OnnxCpu]), None);
    }
}
