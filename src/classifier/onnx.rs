//! ONNX Runtime, loaded at run time through `ort`: on the CPU, or on an NVIDIA GPU by its TensorRT and CUDA providers.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::ep::{CUDA, ExecutionProvider, ExecutionProviderDispatch, TensorRT};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{Outlet, TensorRef};

use super::choice::Runtime;
use super::engines::Engine;
use super::settings::Precision;
use super::{Classifier, ClassifierError};
use crate::model_store::StoredModel;
use crate::network::onnx::int8::Ranges;
use crate::network::onnx::{INPUT_NAME, OUTPUT_NAME};
use crate::preprocess::{INPUT_LEN, INPUT_SIDE_PX};

const INPUT_SHAPE: [i64; 4] = [1, 3, INPUT_SIDE_PX as i64, INPUT_SIDE_PX as i64];

/// A session of ONNX Runtime.
pub struct OnnxClassifier {
    session: Session,
    name: String,
}

impl OnnxClassifier {
    /// Loads an ONNX file on the CPU, whose external data lies beside it, and runs it once.
    ///
    /// # Errors
    /// A runtime that is not there, a file that is not whole or not of this form.
    pub fn load(path: &Path, labels: usize, threads: usize) -> Result<OnnxClassifier, ClassifierError> {
        OnnxClassifier::load_on(path, labels, Runtime::OnnxCpu, Precision::Fp32, threads)
    }

    /// Loads a model's fp32 file with TensorRT, which makes an engine of it, or takes the one that it made before.
    ///
    /// # Errors
    /// As [`OnnxClassifier::load`], and a GPU that cannot be used.
    pub fn load_tensorrt(
        model: &StoredModel,
        precision: Precision,
    ) -> Result<OnnxClassifier, ClassifierError> {
        let engine = engine(model, precision);
        let (path, labels) = (model.onnx_file(), model.manifest.labels.len());
        let load = |folder: &Path| -> Result<OnnxClassifier, ClassifierError> {
            let providers = vec![tensorrt(precision, folder), cuda()];
            OnnxClassifier::load_with(&path, labels, Runtime::OnnxTensorRt, precision, 1, providers)
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
        runtime: Runtime,
        precision: Precision,
        threads: usize,
    ) -> Result<OnnxClassifier, ClassifierError> {
        let providers = match runtime {
            Runtime::OnnxCuda => vec![cuda()],
            _ => vec![],
        };
        OnnxClassifier::load_with(path, labels, runtime, precision, threads, providers)
    }

    fn load_with(
        path: &Path,
        labels: usize,
        runtime: Runtime,
        precision: Precision,
        threads: usize,
        providers: Vec<ExecutionProviderDispatch>,
    ) -> Result<OnnxClassifier, ClassifierError> {
        let mut classifier = OnnxClassifier {
            session: session(path, precision, threads, providers)?,
            name: format!("{}/{}", runtime.name(), precision.name()),
        };
        classifier.check_shapes(labels)?;
        classifier.logits(&vec![0.0; INPUT_LEN], &mut vec![0.0; labels])?;
        Ok(classifier)
    }

    fn check_shapes(&self, labels: usize) -> Result<(), ClassifierError> {
        let shape = |outlets: &[Outlet], name: &str| -> Vec<i64> {
            let outlet = outlets.iter().find(|outlet| outlet.name() == name);
            let shape = outlet.and_then(|outlet| outlet.dtype().tensor_shape());
            shape.map_or_else(Vec::new, |shape| shape.to_vec())
        };
        let inputs = shape(self.session.inputs(), INPUT_NAME);
        let outputs = shape(self.session.outputs(), OUTPUT_NAME);
        if inputs == INPUT_SHAPE && outputs == [1, labels as i64] {
            Ok(())
        } else {
            Err(ClassifierError::Shape {
                inputs,
                outputs,
                labels,
            })
        }
    }
}

impl Classifier for OnnxClassifier {
    fn logits(&mut self, input: &[f32], logits: &mut [f32]) -> Result<(), ClassifierError> {
        let input = TensorRef::from_array_view((INPUT_SHAPE, input))?;
        let outputs = self.session.run(ort::inputs![INPUT_NAME => input])?;
        let (_, found) = outputs[OUTPUT_NAME].try_extract_tensor::<f32>()?;
        logits.copy_from_slice(found);
        Ok(())
    }

    fn backend(&self) -> &str {
        &self.name
    }
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
            session: session(path, Precision::Fp32, crate::all_cores(), vec![])?,
            values,
        })
    }

    /// Widens the ranges to what one input makes of them.
    ///
    /// # Errors
    /// The runtime's word.
    pub fn see(&mut self, input: &[f32], ranges: &mut Ranges) -> Result<(), ClassifierError> {
        let tensor = TensorRef::from_array_view((INPUT_SHAPE, input))?;
        let outputs = self.session.run(ort::inputs![INPUT_NAME => tensor])?;
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
    threads: usize,
    providers: Vec<ExecutionProviderDispatch>,
) -> Result<Session, ClassifierError> {
    let builder = Session::builder(environment()?)?;
    let options = || -> Result<_, ort::Error> {
        builder
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(threads)?
            .with_intra_op_spinning(false)?
            .with_prepacking(precision == Precision::Int8)?
            .with_execution_providers(providers)?
            .commit_from_file(path)
    };
    Ok(options()?)
}

/// Whether TensorRT has an engine for a model already.
pub fn has_engine(model: &StoredModel, precision: Precision) -> bool {
    engine(model, precision).ready().is_some()
}

fn engine(model: &StoredModel, precision: Precision) -> Engine {
    Engine::of(model, precision.name(), &library_path())
}

/// A provider that fails would hand the model to the CPU without a word, if errors were not on.
fn cuda() -> ExecutionProviderDispatch {
    CUDA::default().build().error_on_failure()
}

fn tensorrt(precision: Precision, folder: &Path) -> ExecutionProviderDispatch {
    TensorRT::default()
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
