//! ONNX Runtime, loaded at run time through `ort`. On the CPU, in fp32.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{Outlet, TensorRef};

use super::{Classifier, ClassifierError};
use crate::network::onnx::int8::Ranges;
use crate::network::onnx::{INPUT_NAME, OUTPUT_NAME};
use crate::preprocess::{INPUT_LEN, INPUT_SIDE_PX};

const INPUT_SHAPE: [i64; 4] = [1, 3, INPUT_SIDE_PX as i64, INPUT_SIDE_PX as i64];

/// A session of ONNX Runtime.
pub struct OnnxClassifier {
    session: Session,
}

impl OnnxClassifier {
    /// Loads an ONNX file, whose external data lies beside it, and runs it once.
    ///
    /// # Errors
    /// A runtime that is not there, a file that is not whole or not of this form.
    pub fn load(path: &Path, labels: usize, threads: usize) -> Result<OnnxClassifier, ClassifierError> {
        let mut classifier = OnnxClassifier {
            session: session(path, threads)?,
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
        "onnx/cpu/fp32"
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
            session: session(path, crate::all_cores())?,
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

/// A session that does not spin: between frames its threads sleep, which at camera rate costs a seventh of the CPU time.
/// Nor are the weights packed anew: for one frame at a time that gains nothing, but takes AlexNet half a second and 80 MB.
fn session(path: &Path, threads: usize) -> Result<Session, ClassifierError> {
    let builder = Session::builder(environment()?)?;
    let options = || -> Result<_, ort::Error> {
        builder
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(threads)?
            .with_intra_op_spinning(false)?
            .with_prepacking(false)?
            .commit_from_file(path)
    };
    Ok(options()?)
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
