//! ONNX Runtime, loaded at run time through `ort`: on the CPU, on an NVIDIA GPU by its TensorRT and CUDA providers, or on what a
//! plugin's library brings.

mod plugin;
mod session;

use std::path::Path;

use ort::session::Session;
use ort::value::{Outlet, TensorRef};

pub use self::session::has_provider;
use self::session::{Provider, library_path, session};

use super::choice::{Attempt, Runtime};
use super::engines::Engine;
use super::settings::{Precision, Settings};
use super::{Classifier, ClassifierError, warm_up};
use crate::model_store::StoredModel;
use crate::network::onnx::int8::ActivationRanges;
use crate::network::onnx::{INPUT_NAME, OUTPUT_NAME};
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
        let load = |directory: &Path| -> Result<OnnxClassifier, ClassifierError> {
            let provider = Provider::TensorRt { directory };
            OnnxClassifier::load_with(&path, labels, attempt, settings, provider)
        };
        if let Some(directory) = engine.ready() {
            match load(&directory) {
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
        let provider = match attempt.runtime {
            Runtime::OnnxCuda => Provider::Cuda,
            _ => Provider::Cpu,
        };
        OnnxClassifier::load_with(path, labels, attempt, settings, provider)
    }

    /// Loads an ONNX file on what the library of [`Settings::provider_library`] brings, frame by frame, and on nothing else.
    ///
    /// # Errors
    /// As [`OnnxClassifier::load`], a library that is none or needs what is not there, and a provider that cannot run all of the model.
    pub fn load_plugin(
        path: &Path,
        labels: usize,
        attempt: &Attempt,
        settings: &Settings,
    ) -> Result<OnnxClassifier, ClassifierError> {
        let device = plugin::device(settings)?;
        let name = format!("onnx/{}/{}", device.ep()?, attempt.precision);
        // What a plugin makes of a number of frames that is free is its own affair.
        let settings = Settings {
            batch: 1,
            ..settings.clone()
        };
        let provider = Provider::Plugin(device);
        let classifier = OnnxClassifier::load_with(path, labels, attempt, &settings, provider)?;
        Ok(OnnxClassifier { name, ..classifier })
    }

    fn load_with(
        path: &Path,
        labels: usize,
        attempt: &Attempt,
        settings: &Settings,
        provider: Provider,
    ) -> Result<OnnxClassifier, ClassifierError> {
        let session = session(path, attempt.precision, settings, provider)?;
        let mut classifier = OnnxClassifier {
            batch: batch_of(&session, labels)?.min(settings.batch),
            session,
            name: attempt.name(),
            labels,
        };
        for frames in warm_up(classifier.batch) {
            classifier.logits(&vec![0.0; frames * INPUT_LEN], &mut vec![0.0; frames * labels])?;
        }
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
            session: session(path, Precision::Fp32, &Settings::default(), Provider::Cpu)?,
            values,
        })
    }

    /// Widens the ranges to what one input makes of them.
    ///
    /// # Errors
    /// The runtime's word.
    pub fn see(&mut self, input: &[f32], ranges: &mut ActivationRanges) -> Result<(), ClassifierError> {
        let outputs = self.session.run(ort::inputs![INPUT_NAME => tensor(input)?])?;
        for name in &self.values {
            match outputs.get(name) {
                Some(value) => ranges.extend(name, value.try_extract_tensor::<f32>()?.1),
                None => ranges.extend(name, input),
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

/// Whether TensorRT has an engine for a model already.
pub fn has_engine(model: &StoredModel, attempt: &Attempt, settings: &Settings) -> bool {
    engine(model, attempt, settings).ready().is_some()
}

fn engine(model: &StoredModel, attempt: &Attempt, settings: &Settings) -> Engine {
    Engine::of(
        model,
        &attempt.precision.to_string(),
        settings.batch,
        &library_path(),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model_store::ModelStore;
    use crate::model_store::tests::published_with;

    fn attempt(runtime: Runtime) -> Attempt {
        Attempt {
            runtime,
            precision: Precision::Fp16,
            reason: None,
        }
    }

    #[test]
    fn an_engine_that_breaks_off_is_deleted_so_that_the_next_start_builds_one() {
        let root = tempfile::tempdir().expect("a directory");
        let store = ModelStore::open(root.path()).expect("opens");
        let model = published_with(&store, 1, b"weights");
        let (attempt, settings) = (attempt(Runtime::OnnxTensorRt), Settings::default());
        let engine = engine(&model, &attempt, &settings);
        let draft = engine.draft().expect("a directory");
        fs::write(draft.path().join("model.engine"), b"half an eng").expect("writes");
        engine.keep(draft).expect("keeps");
        assert!(has_engine(&model, &attempt, &settings));
        assert!(OnnxClassifier::load_tensorrt(&model, &attempt, &settings).is_err());
        assert!(!has_engine(&model, &attempt, &settings));
        let left = fs::read_dir(root.path().join("engines")).expect("reads").count();
        assert_eq!(left, 0, "nor does a build that fails leave anything");
    }

    /// As stores of earlier versions have them.
    #[test]
    fn a_file_that_takes_one_frame_is_run_frame_by_frame() {
        use crate::network::Network;
        use crate::network::onnx::Batch;
        use crate::network::onnx::export::{ExportPrecision, export};
        use crate::network::torch::TorchModule;
        use crate::weights::Weights;

        let network = Network::named("squeezenet1_1", 2).expect("known");
        tch::manual_seed(1);
        let module = TorchModule::with_pretrained(&network.layers, &Weights::default(), tch::Device::Cpu);
        let weights = module.and_then(|module| module.weights()).expect("random ones");
        let directory = tempfile::tempdir().expect("a directory");
        let inputs: Vec<f32> = (0..2 * INPUT_LEN).map(|index| (index as f32).sin()).collect();
        let [one, any] = [Batch::One, Batch::Dynamic].map(|batch| {
            let file = directory.path().join("model.onnx");
            export(&file, &network, &weights, ExportPrecision::Fp32, batch, &[]).expect("exports");
            let mut logits = [0.0; 4];
            let mut classifier = OnnxClassifier::load(&file, 2, 1).expect("loads");
            classifier.logits(&inputs, &mut logits).expect("runs");
            logits
        });
        let differences = one.iter().zip(any).map(|(a, b)| (a - b).abs());
        assert!(differences.fold(0.0, f32::max) < 1e-4, "{one:?}, not {any:?}");
    }
}
