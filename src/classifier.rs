//! From network inputs to logits: runs a network with ONNX Runtime, on a CPU or GPU.

pub mod candidates;
mod engines;
pub mod onnx;
mod reasons;
pub mod settings;

use std::path::PathBuf;

use crate::model_store::{ModelNetwork, StoreError, StoredModel};
use crate::names::UnknownName;
use crate::network::Network;
use crate::preprocess::{INPUT_SIDE_PX, PreprocessingError};
use crate::weights::WeightsError;
use candidates::{Candidate, Runtime, candidates};
use onnx::OnnxClassifier;
pub(crate) use reasons::for_people;
use settings::{Precision, Settings};

/// A network loaded into a runtime. It belongs to one thread.
pub trait Classifier: Send {
    /// Runs the network on one or more inputs of [`crate::preprocess::INPUT_LEN`] values each, concatenated, and writes one logit for each
    /// label and input, in the order of the inputs.
    ///
    /// # Errors
    /// The runtime failed.
    fn logits(&mut self, inputs: &[f32], logits: &mut [f32]) -> Result<(), ClassifierError> {
        self.logits_and_features(inputs, logits, &mut [])
    }

    /// As [`Classifier::logits`], and also writes [`Classifier::feature_values`] features for each input, unless `features` is empty.
    ///
    /// # Errors
    /// The runtime failed.
    fn logits_and_features(
        &mut self,
        inputs: &[f32],
        logits: &mut [f32],
        features: &mut [f32],
    ) -> Result<(), ClassifierError>;

    /// Number of features of one input, which are the inputs of the last layer; 0 if the network does not return them.
    fn feature_values(&self) -> usize;

    /// What runs the network, as `<runtime>/<device>/<precision>`.
    fn backend(&self) -> &str;
}

/// Why a model cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum ClassifierError {
    /// ONNX Runtime's library is missing or too old.
    #[error(
        "cannot load ONNX Runtime from {path}: {reason}; set ORT_DYLIB_PATH to a libonnxruntime.so of version 1.22 or later"
    )]
    Library {
        /// Path or name of the library.
        path: String,
        /// Why it was not loaded.
        reason: String,
    },
    /// ONNX Runtime reported an error.
    #[error("ONNX Runtime: {0}")]
    Onnx(String),
    /// A file of the installed hand networks is missing.
    #[error("the hand network {0} is missing; run scripts/setup.sh and build the package again")]
    NoHandNetwork(PathBuf),
    /// The library of an execution provider cannot be loaded, or supports no device of this machine.
    #[error("cannot use the execution provider library {path}: {reason}")]
    Plugin {
        /// Path of the library.
        path: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
    /// The model's weights cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The model store reported an error.
    #[error(transparent)]
    Store(#[from] Box<StoreError>),
    /// The cache of TensorRT engines cannot be read or written.
    #[error("cannot access the cache of TensorRT engines: {0}")]
    Engines(#[from] std::io::Error),
    /// [`Settings::require_gpu`] is set, and no GPU can run the model.
    #[error("require_gpu is set, but no GPU can run the model: {0}")]
    NoGpu(String),
    /// This version does not know the model's network.
    #[error(transparent)]
    Network(#[from] UnknownName),
    /// The shapes in the ONNX file do not match the manifest.
    #[error(
        "the ONNX file has the input shape {inputs:?} and the output shape {outputs:?}; with {labels} labels in the manifest they must be [1, 3, {INPUT_SIDE_PX}, {INPUT_SIDE_PX}] and [1, {labels}], or -1 in place of 1 for any batch size"
    )]
    Shape {
        /// Shape of the input; -1 is any size.
        inputs: Vec<i64>,
        /// Shape of the output; -1 is any size.
        outputs: Vec<i64>,
        /// Number of labels in the manifest.
        labels: usize,
    },
    /// The manifest describes preprocessing that this version does not implement.
    #[error(
        "the preprocessing in the model's manifest is not supported: {0}; train or import the model again"
    )]
    Preprocessing(#[from] PreprocessingError),
}

/// A network that is loaded and ready for its first frame.
pub struct LoadedClassifier {
    /// The network in its runtime.
    pub classifier: Box<dyn Classifier>,
    /// Why this backend was selected, including the failures of better ones; may be empty.
    pub reason: String,
}

/// Whether [`load_at_once`] left out a TensorRT engine that has to be built first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineState {
    /// No engine has to be built.
    UpToDate,
    /// [`load`] would build an engine, which can take minutes.
    ToBuild,
}

/// Loads a network of a model into the best runtime that the settings allow, and runs it once, so that its first frame is as fast as later
/// ones.
///
/// # Errors
/// The model does not match this version or its own manifest, no runtime can run it, or [`Settings::require_gpu`] is set and no GPU can be
/// used.
pub fn load(
    model: &StoredModel,
    network: ModelNetwork,
    settings: &Settings,
) -> Result<LoadedClassifier, ClassifierError> {
    Ok(load_first(model, network, settings, |_| false)?.0)
}

/// Like [`load`], but prefers what can be loaded at once over a TensorRT engine that would have to be built first. The second value says
/// whether there is such an engine, which `load` would build.
///
/// # Errors
/// As [`load`].
pub fn load_at_once(
    model: &StoredModel,
    network: ModelNetwork,
    settings: &Settings,
) -> Result<(LoadedClassifier, EngineState), ClassifierError> {
    let is_slow = |candidate: &Candidate| {
        candidate.runtime == Runtime::OnnxTensorRt
            && is_available(candidate.runtime)
            && !onnx::has_engine(model, network, candidate, settings)
    };
    let (mut loaded, engine) = load_first(model, network, settings, is_slow)?;
    if engine == EngineState::ToBuild {
        loaded.reason += " (the TensorRT engine is being built)";
    }
    Ok((loaded, engine))
}

fn load_first(
    model: &StoredModel,
    network: ModelNetwork,
    settings: &Settings,
    is_slow: impl Fn(&Candidate) -> bool,
) -> Result<(LoadedClassifier, EngineState), ClassifierError> {
    let manifest = &model.manifest;
    manifest.preprocessing.validate()?;
    Network::named(&manifest.network, manifest.labels.len())?;
    let candidates = candidates(settings, model.int8_agreement(network), is_available);
    let (classifier, reason, engine) =
        load_first_of(candidates, settings.require_gpu, is_slow, |candidate| {
            load_candidate(model, network, candidate, settings)
        })?;
    Ok((LoadedClassifier { classifier, reason }, engine))
}

/// Loads networks that are no model of the store, in fp32 with ONNX Runtime. Without a store, TensorRT has no cache for its engine, so only
/// CUDA and the CPU are tried. The second value is the reason, as in [`LoadedClassifier`].
///
/// # Errors
/// No runtime can run the networks, or [`Settings::require_gpu`] is set and no GPU can be used.
pub(crate) fn load_without_store<T>(
    settings: &Settings,
    load: impl FnMut(&Candidate) -> Result<T, ClassifierError>,
) -> Result<(T, String), ClassifierError> {
    let settings = Settings {
        precision: Precision::Fp32,
        provider_library: None,
        ..settings.clone()
    };
    let mut candidates = candidates(&settings, None, is_available);
    candidates.retain(|candidate| matches!(candidate.runtime, Runtime::OnnxCuda | Runtime::OnnxCpu));
    let (loaded, reason, _) = load_first_of(candidates, settings.require_gpu, |_| false, load)?;
    Ok((loaded, reason))
}

/// Tries the fast candidates in their order, then the slow ones. A slow candidate before the one that was loaded is still to be built.
/// Returns the reason for the choice as well.
fn load_first_of<T>(
    candidates: Vec<Candidate>,
    require_gpu: bool,
    is_slow: impl Fn(&Candidate) -> bool,
    mut load: impl FnMut(&Candidate) -> Result<T, ClassifierError>,
) -> Result<(T, String, EngineState), ClassifierError> {
    let mut failures = Vec::new();
    let mut last_error = None;
    let ranked = candidates.into_iter().enumerate();
    let (slow, fast): (Vec<_>, Vec<_>) = ranked.partition(|(_, candidate)| is_slow(candidate));
    let first_slow = slow.first().map(|(rank, _)| *rank);
    for (rank, candidate) in fast.into_iter().chain(slow) {
        match load(&candidate) {
            Ok(loaded) => {
                tracing::debug!("{} runs the model", candidate.backend());
                let engine = match first_slow {
                    Some(slow) if slow < rank => EngineState::ToBuild,
                    _ => EngineState::UpToDate,
                };
                failures.extend(candidate.reason);
                return Ok((loaded, failures.join("; "), engine));
            }
            Err(error) => {
                tracing::debug!("{} cannot run the model: {error}", candidate.backend());
                failures.push(format!("{}: {}", candidate.runtime, for_people(&error)));
                last_error = Some(error);
            }
        }
    }
    match last_error {
        Some(_) if require_gpu => Err(ClassifierError::NoGpu(failures.join("; "))),
        Some(error) => Err(error),
        // Only a required GPU together with device cpu leaves no candidates.
        None => Err(ClassifierError::NoGpu(
            "device is cpu; set it to auto or cuda".to_owned(),
        )),
    }
}

fn is_available(runtime: Runtime) -> bool {
    match runtime {
        Runtime::OnnxTensorRt | Runtime::OnnxCuda => onnx::has_provider(runtime),
        Runtime::OnnxTensorRtRtx => onnx::tensorrt_rtx().exists(),
        Runtime::OnnxPlugin | Runtime::OnnxCpu => true,
    }
}

fn load_candidate(
    model: &StoredModel,
    network: ModelNetwork,
    candidate: &Candidate,
    settings: &Settings,
) -> Result<Box<dyn Classifier>, ClassifierError> {
    let file = model.path(match candidate.precision {
        Precision::Int8 => network.int8_file(),
        _ => network.onnx_file(),
    });
    let labels = model.manifest.labels.len();
    let classifier = match candidate.runtime {
        Runtime::OnnxTensorRt => OnnxClassifier::load_tensorrt(model, network, candidate, settings),
        Runtime::OnnxPlugin => OnnxClassifier::load_plugin(&file, labels, candidate, settings),
        Runtime::OnnxTensorRtRtx => {
            let settings = Settings {
                provider_library: Some(onnx::tensorrt_rtx()),
                ..settings.clone()
            };
            OnnxClassifier::load_plugin(&file, labels, candidate, &settings)
        }
        Runtime::OnnxCuda | Runtime::OnnxCpu => OnnxClassifier::load_on(&file, labels, candidate, settings),
    };
    Ok(Box::new(classifier?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which runtime is loaded, and whether an engine is still to be built, if TensorRT is slow and the runtimes in `broken` fail.
    fn loaded(runtimes: &[Runtime], broken: &[Runtime]) -> Option<(Runtime, EngineState)> {
        let candidates = runtimes.iter().map(|&runtime| Candidate {
            runtime,
            precision: Precision::Fp32,
            reason: None,
        });
        let is_slow = |candidate: &Candidate| candidate.runtime == Runtime::OnnxTensorRt;
        let load = |candidate: &Candidate| {
            if broken.contains(&candidate.runtime) {
                return Err(ClassifierError::Onnx("broken".to_owned()));
            }
            Ok(candidate.runtime)
        };
        let (runtime, _, engine) = load_first_of(candidates.collect(), false, is_slow, load).ok()?;
        Some((runtime, engine))
    }

    /// An engine is to be built only if it would replace what was loaded.
    #[test]
    fn next_best_runtime_is_loaded_while_an_engine_is_to_be_built() {
        use EngineState::{ToBuild, UpToDate};
        use Runtime::{OnnxCpu, OnnxCuda, OnnxPlugin, OnnxTensorRt};
        let on_gpu = [OnnxTensorRt, OnnxCuda, OnnxCpu];
        assert_eq!(loaded(&on_gpu, &[]), Some((OnnxCuda, ToBuild)));
        assert_eq!(loaded(&on_gpu, &[OnnxCuda]), Some((OnnxCpu, ToBuild)));
        let nothing_else = loaded(&on_gpu, &[OnnxCuda, OnnxCpu]);
        assert_eq!(nothing_else, Some((OnnxTensorRt, UpToDate)));
        let with_plugin = [OnnxPlugin, OnnxTensorRt, OnnxCpu];
        assert_eq!(loaded(&with_plugin, &[]), Some((OnnxPlugin, UpToDate)));
        assert_eq!(loaded(&with_plugin, &[OnnxPlugin]), Some((OnnxCpu, ToBuild)));
        assert_eq!(loaded(&[OnnxCpu], &[OnnxCpu]), None);
    }

    #[test]
    fn networks_without_a_store_run_with_cuda_or_on_the_cpu_in_fp32() {
        let tried = |settings: &Settings| {
            let mut tried = Vec::new();
            let result = load_without_store(settings, |candidate| {
                tried.push(candidate.backend());
                match candidate.runtime {
                    Runtime::OnnxCuda => Err(ClassifierError::Onnx("no driver".to_owned())),
                    _ => Ok(()),
                }
            });
            (tried, result.map(|((), reason)| reason))
        };
        let settings = Settings {
            device: settings::Device::Cuda,
            precision: Precision::Int8,
            ..Settings::default()
        };
        let (backends, reason) = tried(&settings);
        assert_eq!(backends, ["onnx/cuda/fp32", "onnx/cpu/fp32"]);
        assert!(
            reason
                .expect("the CPU")
                .contains("onnx/cuda: ONNX Runtime: no driver")
        );
        let (backends, reason) = tried(&Settings {
            require_gpu: true,
            ..settings
        });
        assert_eq!(backends, ["onnx/cuda/fp32"]);
        assert!(matches!(reason, Err(ClassifierError::NoGpu(_))));
    }
}
