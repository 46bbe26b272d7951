//! ONNX Runtime, loaded at run time through `ort`: on the CPU, or on an NVIDIA GPU by its TensorRT and CUDA providers.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::ep::{CUDA, ExecutionProvider, ExecutionProviderDispatch, TensorRT};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{Outlet, TensorRef};

use super::choice::{Attempt, Runtime};
use super::engines::Engine;
use super::settings::{Precision, Settings};
use super::{Classifier, ClassifierError};
use crate::model_store::StoredModel;
use crate::network::onnx::int8::Ranges;
use crate::network::onnx::{BATCH_NAME, INPUT_NAME, OUTPUT_NAME};
use crate::preprocess::{INPUT_LEN, INPUT_SIDE_PX};

/// Of one frame.
const FRAME_SHAPE: [i64; 3] = [3, INPUT_SIDE_PX as i64, INPUT_SIDE_PX as i64];
/// What the shape of a file has for a number of frames that is free.
const FREE: i64 = -1;

/// A session of ONNX Runtime.
pub struct OnnxClassifier {
    session: Session,
    name: String,
    labels: usize,
    /// Frames that it takes at once.
    batch: usize,
}

impl OnnxClassifier {
    /// Loads an ONNX file on the CPU, whose external data lies beside it, and runs it once.
    ///
    /// # Errors
    /// A runtime that is not there, a file that is not whole or not of this form.
    pub fn load(path: &Path, labels: usize, threads: usize) -> Result<OnnxClassifier, ClassifierError> {
        let attempt = Attempt {
            runtime: Runtime::OnnxCpu,
            precision: Precision::Fp32,
            reason: None,
        };
        let settings = Settings {
            threads,
            batch: usize::MAX,
            ..Settings::default()
        };
        OnnxClassifier::load_on(path, labels, &attempt, &settings)
    }

    /// Loads a model's fp32 file with TensorRT, which makes an engine of it, or takes the one that it made before.
    ///
    /// # Errors
    /// As [`OnnxClassifier::load`], and a GPU that cannot be used.
    pub fn load_tensorrt(
        model: &StoredModel,
        attempt: &Attempt,
        settings: &Settings,
    ) -> Result<OnnxClassifier, ClassifierError> {
        let engine = engine(model, attempt, settings);
        let (path, labels) = (model.onnx_file(), model.manifest.labels.len());
        let load = |folder: &Path| -> Result<OnnxClassifier, ClassifierError> {
            let providers = vec![tensorrt(attempt.precision, settings.batch, folder), cuda()];
            OnnxClassifier::load_with(&path, labels, attempt, settings, providers)
        };
        if let Some(folder) = engine.ready() {
            match load(&folder) {
                Ok(classifier) => return Ok(classifier),
                // The next best serves, and the next time one is built.
                Err(error) => {
                    engine.discard()?;
                    return Err(error);
                }
            }
        }
        let draft = engine.draft()?;
        let classifier = load(draft.path())?;
        // Another process may have built the same meanwhile.
        if let Err(error) = engine.keep(draft)
            && engine.ready().is_none()
        {
            tracing::warn!("TensorRT's engine is not kept: {error}");
        }
        Ok(classifier)
    }

    /// Loads an ONNX file on what is named, but TensorRT, and on nothing else.
    ///
    /// # Errors
    /// As [`OnnxClassifier::load`], and a GPU that cannot be used.
    pub fn load_on(
        path: &Path,
        labels: usize,
        attempt: &Attempt,
        settings: &Settings,
    ) -> Result<OnnxClassifier, ClassifierError> {
        let providers = match attempt.runtime {
            Runtime::OnnxCuda => vec![cuda()],
            _ => vec![],
        };
        OnnxClassifier::load_with(path, labels, attempt, settings, providers)
    }

    fn load_with(
        path: &Path,
        labels: usize,
        attempt: &Attempt,
        settings: &Settings,
        providers: Vec<ExecutionProviderDispatch>,
    ) -> Result<OnnxClassifier, ClassifierError> {
        let session = session(path, attempt.precision, settings, providers)?;
        let mut classifier = OnnxClassifier {
            batch: batch_of(&session, labels)?.min(settings.batch),
            session,
            name: attempt.name(),
            labels,
        };
        classifier.logits(&vec![0.0; INPUT_LEN], &mut vec![0.0; labels])?;
        Ok(classifier)
    }
}

/// How many frames a model takes at once; what is free takes any number.
///
/// # Errors
/// A model that takes or gives something else.
fn batch_of(session: &Session, labels: usize) -> Result<usize, ClassifierError> {
    let shape = |outlets: &[Outlet], name: &str| -> Vec<i64> {
        let outlet = outlets.iter().find(|outlet| outlet.name() == name);
        let shape = outlet.and_then(|outlet| outlet.dtype().tensor_shape());
        shape.map_or_else(Vec::new, |shape| shape.to_vec())
    };
    let inputs = shape(session.inputs(), INPUT_NAME);
    let outputs = shape(session.outputs(), OUTPUT_NAME);
    match (inputs.as_slice(), outputs.as_slice()) {
        ([batch @ (1 | FREE), frame @ ..], [of_outputs, of_labels])
            if frame == FRAME_SHAPE && of_outputs == batch && *of_labels == labels as i64 =>
        {
            Ok(if *batch == FREE { usize::MAX } else { 1 })
        }
        _ => Err(ClassifierError::Shape {
            inputs,
            outputs,
            labels,
        }),
    }
}

impl Classifier for OnnxClassifier {
    fn logits(&mut self, inputs: &[f32], logits: &mut [f32]) -> Result<(), ClassifierError> {
        let inputs = inputs.chunks(self.batch.saturating_mul(INPUT_LEN));
        for (inputs, logits) in inputs.zip(logits.chunks_mut(self.batch.saturating_mul(self.labels))) {
            let outputs = self.session.run(ort::inputs![INPUT_NAME => tensor(inputs)?])?;
            let (_, found) = outputs[OUTPUT_NAME].try_extract_tensor::<f32>()?;
            logits.copy_from_slice(found);
        }
        Ok(())
    }

    fn backend(&self) -> &str {
        &self.name
    }
}

/// One or more inputs as the graph takes them.
fn tensor(inputs: &[f32]) -> Result<TensorRef<'_, f32>, ort::Error> {
    let [channels, rows, columns] = FRAME_SHAPE;
    let frames = (inputs.len() / INPUT_LEN) as i64;
    TensorRef::from_array_view(([frames, channels, rows, columns], inputs))
}

/// Runs a file that gives the values inside the network too, and sees between what they lie.
pub struct Observer {
    session: Session,
    values: Vec<String>,
}

impl Observer {
    /// Loads a file whose outputs are the logits and `values`.
    ///
    /// # Errors
    /// As [`OnnxClassifier::load`].
    pub fn load(path: &Path, values: Vec<String>) -> Result<Observer, ClassifierError> {
        Ok(Observer {
            session: session(path, Precision::Fp32, &Settings::default(), vec![])?,
            values,
        })
    }

    /// Widens the ranges to what one input makes of them.
    ///
    /// # Errors
    /// The runtime's word.
    pub fn see(&mut self, input: &[f32], ranges: &mut Ranges) -> Result<(), ClassifierError> {
        let outputs = self.session.run(ort::inputs![INPUT_NAME => tensor(input)?])?;
        for name in &self.values {
            match outputs.get(name) {
                Some(value) => ranges.see(name, value.try_extract_tensor::<f32>()?.1),
                None => ranges.see(name, input),
            }
        }
        Ok(())
    }
}

impl From<ort::Error> for ClassifierError {
    fn from(error: ort::Error) -> ClassifierError {
        ClassifierError::Onnx(error.to_string())
    }
}

/// Whether the library is there, and was built with what it takes to run on a GPU.
pub fn has_provider(runtime: Runtime) -> bool {
    // First the library: ort panics where it has to look for one itself.
    environment().is_ok() && is_built_in(runtime).unwrap_or(false)
}

fn is_built_in(runtime: Runtime) -> Result<bool, ort::Error> {
    match runtime {
        Runtime::OnnxTensorRt => TensorRT::is_available(),
        Runtime::OnnxCuda => CUDA::is_available(),
        Runtime::OnnxCpu | Runtime::TorchCuda | Runtime::TorchCpu => Ok(true),
    }
}

/// A session that does not spin: between frames its threads sleep, which at camera rate costs a seventh of the CPU time.
/// Nor are fp32 weights packed anew: for one frame at a time that gains nothing, but takes memory and time.
fn session(
    path: &Path,
    precision: Precision,
    settings: &Settings,
    providers: Vec<ExecutionProviderDispatch>,
) -> Result<Session, ClassifierError> {
    let builder = Session::builder(environment()?)?;
    let options = || -> Result<_, ort::Error> {
        let mut builder = builder
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(settings.threads)?
            .with_intra_op_spinning(false)?
            .with_prepacking(precision == Precision::Int8)?
            .with_execution_providers(providers)?;
        if let Some(affinity) = affinity_of_helpers(settings) {
            builder = builder.with_config_entry("session.intra_op_thread_affinities", affinity)?;
        }
        // What is known when the session is made need not be asked for each frame.
        if settings.batch == 1 {
            builder = builder.with_dimension_override(BATCH_NAME, 1)?;
        }
        builder.commit_from_file(path)
    };
    Ok(options()?)
}

/// The same CPUs for each of the threads but the first, which is the caller's own; ONNX Runtime counts CPUs from 1 on.
fn affinity_of_helpers(settings: &Settings) -> Option<String> {
    let cpus: Vec<String> = settings
        .affinity
        .iter()
        .map(|cpu| (cpu + 1).to_string())
        .collect();
    let has_helpers = settings.threads > 1 && !cpus.is_empty();
    has_helpers.then(|| vec![cpus.join(","); settings.threads - 1].join(";"))
}

/// Whether TensorRT has an engine for a model already.
pub fn has_engine(model: &StoredModel, attempt: &Attempt, settings: &Settings) -> bool {
    engine(model, attempt, settings).ready().is_some()
}

fn engine(model: &StoredModel, attempt: &Attempt, settings: &Settings) -> Engine {
    Engine::of(model, attempt.precision.name(), settings.batch, &library_path())
}

/// A provider that fails would hand the model to the CPU without a word, if errors were not on.
fn cuda() -> ExecutionProviderDispatch {
    CUDA::default().build().error_on_failure()
}

/// Its engine takes up to `batch` frames; without a word on that it would be built anew for each number that comes.
fn tensorrt(precision: Precision, batch: usize, folder: &Path) -> ExecutionProviderDispatch {
    let [channels, rows, columns] = FRAME_SHAPE;
    let shape = |frames: usize| format!("{INPUT_NAME}:{frames}x{channels}x{rows}x{columns}");
    let provider = match batch {
        1 => TensorRT::default(),
        batch => TensorRT::default()
            .with_profile_min_shapes(shape(1))
            .with_profile_opt_shapes(shape(batch))
            .with_profile_max_shapes(shape(batch)),
    };
    provider
        .with_fp16(precision == Precision::Fp16)
        .with_engine_cache(true)
        .with_engine_cache_path(folder.display())
        .with_timing_cache(true)
        .with_timing_cache_path(folder.display())
        .build()
        .error_on_failure()
}

/// The library, loaded once in a process.
fn environment() -> Result<&'static Environment, ClassifierError> {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let path = library_path();
    let runtime_error = |reason: String| ClassifierError::Runtime {
        path: path.display().to_string(),
        reason,
    };
    let builder = ort::init_from(&path).map_err(|error| runtime_error(error.to_string()))?;
    let environment = builder
        .with_name(env!("CARGO_PKG_NAME"))
        .with_telemetry(false)
        .build()
        .map_err(|error| runtime_error(error.to_string()))?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

/// `ORT_DYLIB_PATH`, or the name under which the system's loader may find it.
fn library_path() -> PathBuf {
    std::env::var_os("ORT_DYLIB_PATH").map_or_else(|| PathBuf::from("libonnxruntime.so"), PathBuf::from)
}
