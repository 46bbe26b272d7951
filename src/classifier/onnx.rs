//! Runs a network with ONNX Runtime, which `ort` loads at run time: on the CPU, on an NVIDIA GPU with the TensorRT or CUDA execution
//! provider, or with an execution provider from a separate library.

mod network;
mod plugin;
mod session;

use std::path::Path;

use ort::session::Session;
use ort::value::{Outlet, TensorRef};

pub use self::network::OnnxNetwork;
use self::session::{Provider, library_path, session};
pub(super) use self::session::{has_provider, tensorrt_rtx};

use super::candidates::{Candidate, Runtime};
use super::engines::Engine;
use super::settings::{Precision, Settings};
use super::{Classifier, ClassifierError};
use crate::model_store::{ModelNetwork, StoredModel};
use crate::network::onnx::int8::ActivationRanges;
use crate::network::onnx::{FEATURES_NAME, INPUT_NAME, OUTPUT_NAME};
use crate::preprocess::{INPUT_LEN, INPUT_SIDE_PX};

/// Shape of one network input.
const FRAME_SHAPE: [i64; 3] = [3, INPUT_SIDE_PX as i64, INPUT_SIDE_PX as i64];
/// Any batch size, in the shapes of an ONNX file.
const ANY_SIZE: i64 = -1;

/// A network in a session of ONNX Runtime.
pub struct OnnxClassifier {
    session: Session,
    backend: String,
    labels: usize,
    /// Number of features of one input; 0 if the file has no such output, as those of `thumb_gesture export`.
    feature_values: usize,
    /// Maximum batch size.
    batch: usize,
}

impl OnnxClassifier {
    /// Loads an ONNX file on the CPU and runs it once. Its external data must be in the same directory.
    ///
    /// # Errors
    /// ONNX Runtime is missing, or the file is damaged or has other inputs or outputs than this package's networks.
    pub fn load(path: &Path, labels: usize, threads: usize) -> Result<OnnxClassifier, ClassifierError> {
        let candidate = Candidate {
            runtime: Runtime::OnnxCpu,
            precision: Precision::Fp32,
            reason: None,
        };
        let settings = Settings {
            threads,
            ..Settings::default()
        };
        OnnxClassifier::load_on(path, labels, &candidate, &settings)
    }

    /// Loads the fp32 file of a network with TensorRT, with the cached engine if there is one; otherwise it builds and caches the engine first.
    ///
    /// # Errors
    /// As [`OnnxClassifier::load`], or the GPU cannot be used.
    pub(super) fn load_tensorrt(
        model: &StoredModel,
        network: ModelNetwork,
        candidate: &Candidate,
        settings: &Settings,
    ) -> Result<OnnxClassifier, ClassifierError> {
        let engine = engine(model, network, candidate, settings);
        let (path, labels) = (model.onnx_file(network), model.manifest.labels.len());
        let load = |directory: &Path| -> Result<OnnxClassifier, ClassifierError> {
            let provider = Provider::TensorRt { directory };
            OnnxClassifier::load_with(&path, labels, candidate, settings, provider)
        };
        if let Some(directory) = engine.built_directory() {
            match load(&directory) {
                Ok(classifier) => return Ok(classifier),
                // The caller falls back to another runtime; the next start builds the engine again.
                Err(error) => {
                    engine.discard()?;
                    return Err(error);
                }
            }
        }
        let draft = engine.draft()?;
        let classifier = load(draft.path())?;
        // Another process may have published the same engine in the meantime.
        if let Err(error) = engine.publish(draft)
            && engine.built_directory().is_none()
        {
            tracing::warn!("the TensorRT engine is not cached, the next start builds it again: {error}");
        }
        Ok(classifier)
    }

    /// Loads an ONNX file on a GPU with CUDA, or on the CPU, without falling back.
    ///
    /// # Errors
    /// As [`OnnxClassifier::load`], or the GPU cannot be used.
    pub fn load_on(
        path: &Path,
        labels: usize,
        candidate: &Candidate,
        settings: &Settings,
    ) -> Result<OnnxClassifier, ClassifierError> {
        OnnxClassifier::load_with(path, labels, candidate, settings, provider(candidate))
    }

    /// Loads an ONNX file with the execution provider of [`Settings::provider_library`] for single frames, without falling back.
    ///
    /// # Errors
    /// As [`OnnxClassifier::load`], or the library or one of its dependencies cannot be loaded, or the provider cannot run all of the model.
    pub(super) fn load_plugin(
        path: &Path,
        labels: usize,
        candidate: &Candidate,
        settings: &Settings,
    ) -> Result<OnnxClassifier, ClassifierError> {
        let device = plugin::device(settings)?;
        let backend = format!("onnx/{}/{}", device.ep()?, candidate.precision);
        // Not every provider supports a dynamic batch size.
        let settings = Settings {
            batch: 1,
            ..settings.clone()
        };
        let provider = Provider::Plugin(device);
        let classifier = OnnxClassifier::load_with(path, labels, candidate, &settings, provider)?;
        Ok(OnnxClassifier {
            backend,
            ..classifier
        })
    }

    fn load_with(
        path: &Path,
        labels: usize,
        candidate: &Candidate,
        settings: &Settings,
        provider: Provider,
    ) -> Result<OnnxClassifier, ClassifierError> {
        let session = session(path, candidate.precision, settings, provider)?;
        let mut classifier = OnnxClassifier {
            batch: max_batch(&session, labels)?.min(settings.batch),
            feature_values: feature_values(&session),
            session,
            backend: candidate.backend(),
            labels,
        };
        // On a GPU each batch size may use different kernels.
        let largest = Some(classifier.batch).filter(|&batch| batch > 1);
        for frames in std::iter::once(1).chain(largest) {
            classifier.logits(&vec![0.0; frames * INPUT_LEN], &mut vec![0.0; frames * labels])?;
        }
        Ok(classifier)
    }
}

/// The provider of a candidate that needs no files of its own: CUDA or the CPU.
fn provider(candidate: &Candidate) -> Provider<'static> {
    match candidate.runtime {
        Runtime::OnnxCuda => Provider::Cuda,
        _ => Provider::Cpu,
    }
}

/// The maximum batch size of an ONNX file: 1, or unlimited if its batch dimension is dynamic.
///
/// # Errors
/// The shapes of input and output are not those of a network for this number of labels.
fn max_batch(session: &Session, labels: usize) -> Result<usize, ClassifierError> {
    let inputs = shape(session.inputs(), INPUT_NAME);
    let outputs = shape(session.outputs(), OUTPUT_NAME);
    match (inputs.as_slice(), outputs.as_slice()) {
        ([batch @ (1 | ANY_SIZE), frame @ ..], [output_batch, output_labels])
            if frame == FRAME_SHAPE && output_batch == batch && *output_labels == labels as i64 =>
        {
            Ok(if *batch == ANY_SIZE { usize::MAX } else { 1 })
        }
        _ => Err(ClassifierError::Shape {
            inputs,
            outputs,
            labels,
        }),
    }
}

/// The shape of an input or output; empty if there is none of that name.
fn shape(outlets: &[Outlet], name: &str) -> Vec<i64> {
    let outlet = outlets.iter().find(|outlet| outlet.name() == name);
    let shape = outlet.and_then(|outlet| outlet.dtype().tensor_shape());
    shape.map_or_else(Vec::new, |shape| shape.to_vec())
}

/// Number of features of one input; 0 if the file has no such output.
fn feature_values(session: &Session) -> usize {
    match shape(session.outputs(), FEATURES_NAME).as_slice() {
        [_, values @ ..] => values.iter().product::<i64>().try_into().unwrap_or(0),
        [] => 0,
    }
}

impl Classifier for OnnxClassifier {
    fn logits_and_features(
        &mut self,
        inputs: &[f32],
        logits: &mut [f32],
        features: &mut [f32],
    ) -> Result<(), ClassifierError> {
        let batch_of = |values: usize| self.batch.saturating_mul(values);
        let mut features = features.chunks_mut(batch_of(self.feature_values).max(1));
        let inputs = inputs.chunks(batch_of(INPUT_LEN));
        for (inputs, logits) in inputs.zip(logits.chunks_mut(batch_of(self.labels))) {
            let outputs = self.session.run(ort::inputs![INPUT_NAME => tensor(inputs)?])?;
            logits.copy_from_slice(outputs[OUTPUT_NAME].try_extract_tensor::<f32>()?.1);
            if let Some(features) = features.next() {
                features.copy_from_slice(outputs[FEATURES_NAME].try_extract_tensor::<f32>()?.1);
            }
        }
        Ok(())
    }

    fn feature_values(&self) -> usize {
        self.feature_values
    }

    fn backend(&self) -> &str {
        &self.backend
    }
}

/// One or more network inputs as a tensor of shape [frames, 3, 224, 224], without copying them.
fn tensor(inputs: &[f32]) -> Result<TensorRef<'_, f32>, ort::Error> {
    let [channels, rows, columns] = FRAME_SHAPE;
    let frames = (inputs.len() / INPUT_LEN) as i64;
    TensorRef::from_array_view(([frames, channels, rows, columns], inputs))
}

/// Runs an ONNX file whose outputs include the activations, and records their ranges.
pub(crate) struct Observer {
    session: Session,
    activations: Vec<String>,
}

impl Observer {
    /// Loads a file whose outputs are the logits and the named activations.
    ///
    /// # Errors
    /// As [`OnnxClassifier::load`].
    pub(crate) fn load(path: &Path, activations: Vec<String>) -> Result<Observer, ClassifierError> {
        Ok(Observer {
            session: session(path, Precision::Fp32, &Settings::default(), Provider::Cpu)?,
            activations,
        })
    }

    /// Extends the activation ranges to include those of one input.
    ///
    /// # Errors
    /// ONNX Runtime failed.
    pub(crate) fn observe(
        &mut self,
        input: &[f32],
        ranges: &mut ActivationRanges,
    ) -> Result<(), ClassifierError> {
        let outputs = self.session.run(ort::inputs![INPUT_NAME => tensor(input)?])?;
        for name in &self.activations {
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

/// Whether the cache has a TensorRT engine for a network of the model.
pub(super) fn has_engine(
    model: &StoredModel,
    network: ModelNetwork,
    candidate: &Candidate,
    settings: &Settings,
) -> bool {
    engine(model, network, candidate, settings)
        .built_directory()
        .is_some()
}

fn engine(model: &StoredModel, network: ModelNetwork, candidate: &Candidate, settings: &Settings) -> Engine {
    Engine::new(
        model,
        network,
        &candidate.precision.to_string(),
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

    #[test]
    fn damaged_engine_is_deleted_so_that_the_next_start_builds_it_again() {
        let root = tempfile::tempdir().expect("a directory");
        let store = ModelStore::open(root.path()).expect("opens");
        let model = published_with(&store, 1, b"weights");
        let candidate = Candidate {
            runtime: Runtime::OnnxTensorRt,
            precision: Precision::Fp16,
            reason: None,
        };
        let settings = Settings::default();
        let network = ModelNetwork::Image;
        let engine = engine(&model, network, &candidate, &settings);
        let draft = engine.draft().expect("a directory");
        fs::write(draft.path().join("model.engine"), b"truncated").expect("writes");
        engine.publish(draft).expect("publishes");
        assert!(has_engine(&model, network, &candidate, &settings));
        assert!(OnnxClassifier::load_tensorrt(&model, network, &candidate, &settings).is_err());
        assert!(!has_engine(&model, network, &candidate, &settings));
        let left = fs::read_dir(root.path().join("engines")).expect("reads").count();
        assert_eq!(left, 0, "a failed build leaves nothing either");
    }

    /// Stores of earlier versions have such files.
    #[test]
    fn file_with_a_batch_size_of_one_is_run_frame_by_frame() {
        use crate::network::Network;
        use crate::network::onnx::Batch;
        use crate::network::onnx::export::{ExportPrecision, export};
        use crate::network::torch::TorchModule;
        use crate::weights::Weights;

        let network = Network::named("squeezenet1_1", 2).expect("known");
        tch::manual_seed(1);
        let module = TorchModule::with_pretrained(&network.layers, &Weights::default(), tch::Device::Cpu);
        let weights = module
            .and_then(|module| module.weights())
            .expect("random weights");
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
