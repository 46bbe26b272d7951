//! All networks of a model as ONNX files in one directory, and a manifest that describes their inputs and outputs.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::{ExportError, export};
use crate::classifier::ClassifierError;
use crate::dataset::Label;
use crate::disk::{self, DraftDirectory};
use crate::gesture::Gesture;
use crate::hand::taught::{LandmarkClassifier, RULE_SHARE, are_thumbs};
use crate::hand::{HandNetworks, LANDMARKS};
use crate::model_store::{LANDMARKS_FILE, ModelNetwork, StoredModel};
use crate::network::onnx::export::ExportPrecision;
use crate::network::onnx::landmarks::{LANDMARKS_INPUT, PROBABILITIES_OUTPUT};
use crate::network::onnx::{BATCH_NAME, Batch, INPUT_NAME, OUTPUT_NAME};
use crate::preprocess::{INPUT_SIDE_PX, Preprocessing};
use crate::weights::Weights;

/// The manifest in the directory.
const MANIFEST_FILE: &str = "manifest.json";
const LOGITS: &str = "one for each label, in their order; divide by the temperature before the softmax";
const RGB: &str = "RGB, 0 to 1";

#[derive(Serialize)]
struct Manifest<'a> {
    model_id: &'a str,
    /// In the order of the outputs.
    labels: &'a [Label],
    networks: &'a [Network],
}

#[derive(Serialize)]
struct Network {
    file: &'static str,
    description: String,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    /// Divisor of the logits before the softmax.
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
}

/// A float32 tensor.
#[derive(Serialize)]
struct Tensor {
    name: &'static str,
    /// Numbers, or the name of the batch dimension if it has any size.
    shape: Vec<Value>,
    description: String,
}

/// Writes every network of a model, and the networks for hands if it uses them, into a new directory. `precision` is that of the model's
/// own networks for images; the others are fp32. Returns the names of the files, the manifest last.
///
/// # Errors
/// The directory exists and is not empty, a network is missing or cannot be read, or a file cannot be written. Then there is no directory.
pub fn export_directory<'r>(
    model: &StoredModel,
    directory: &Path,
    batch: Batch,
    precision: impl Fn(ModelNetwork) -> ExportPrecision<'r>,
) -> Result<Vec<&'static str>, ExportError> {
    let draft_error = |cause| ExportError::Directory {
        path: directory.to_owned(),
        cause,
    };
    let draft = DraftDirectory::beside(directory).map_err(draft_error)?;
    let manifest = &model.manifest;
    let mut networks = Vec::new();
    for network in model.networks() {
        let description = classifier(model, network, batch);
        export(
            model,
            network,
            &draft.path().join(description.file),
            precision(network),
            batch,
        )?;
        networks.push(description);
    }
    if manifest.landmarks.is_some() {
        let weights = Weights::read(&model.path(LANDMARKS_FILE))?;
        let classifier = LandmarkClassifier::from_weights(&weights, &manifest.labels)?;
        let description = landmark_classifier(classifier.gestures(), batch);
        let labels = manifest.labels.iter().map(Label::as_str).collect::<Vec<_>>();
        let metadata = [("model_id", manifest.id.clone()), ("labels", labels.join(","))];
        classifier.write_onnx(&draft.path().join(description.file), batch, &metadata)?;
        networks.push(description);
    }
    if manifest.landmarks.is_some() || manifest.hand.is_some() {
        for (description, installed) in [palm_detector(), landmark_network()]
            .into_iter()
            .zip(HandNetworks::installed_fp32_files())
        {
            copy(&installed, &draft.path().join(description.file))?;
            networks.push(description);
        }
    }
    let text = serde_json::to_vec_pretty(&Manifest {
        model_id: &manifest.id,
        labels: &manifest.labels,
        networks: &networks,
    });
    let text = text.map_err(std::io::Error::from)?;
    disk::write_atomic(&draft.path().join(MANIFEST_FILE), |writer| {
        writer.write_all(&text)
    })?;
    // An empty directory is replaced; one with files is an error.
    draft.publish(directory).map_err(draft_error)?;
    let files = networks.iter().map(|network| network.file);
    Ok(files.chain([MANIFEST_FILE]).collect())
}

fn copy(installed: &PathBuf, path: &Path) -> Result<(), ExportError> {
    if !installed.exists() {
        return Err(ClassifierError::NoHandNetwork(installed.clone()).into());
    }
    let mut file = fs::File::open(installed)?;
    disk::write_atomic(path, |writer| io::copy(&mut file, writer).map(|_| ()))?;
    Ok(())
}

fn classifier(model: &StoredModel, network: ModelNetwork, batch: Batch) -> Network {
    let side = INPUT_SIDE_PX;
    let (file, description, image, preprocessing) = match network {
        ModelNetwork::Image => (
            "image.onnx",
            "classifies the whole image",
            "the image",
            &model.manifest.preprocessing,
        ),
        ModelNetwork::Hand => (
            "hand.onnx",
            "classifies the crop of a hand",
            "the upright square around a hand, 1.1 times as wide as the region of its landmarks",
            &Preprocessing::IMAGENET,
        ),
    };
    let input = format!("{image}, resized to {side}x{side}; 0 to 1, {preprocessing}");
    let labels = model.manifest.labels.len();
    Network {
        file,
        description: description.to_owned(),
        inputs: vec![tensor(INPUT_NAME, batch, &[3, side, side], &input)],
        outputs: vec![tensor(OUTPUT_NAME, batch, &[labels], LOGITS)],
        temperature: Some(model.temperature(network)),
    }
}

fn landmark_classifier(gestures: &[Gesture], batch: Batch) -> Network {
    let rule = if are_thumbs(gestures) {
        format!("; the recognizer averages them with those of the rule, which has a share of {RULE_SHARE}")
    } else {
        String::new()
    };
    let landmarks = "x to the right, y down, depth; as an upright camera sees the hand, in pixels of its frame, of any place and size";
    let probabilities = format!("one for each label, in their order{rule}");
    Network {
        file: "landmarks.onnx",
        description: "classifies the landmarks of a hand".to_owned(),
        inputs: vec![tensor(LANDMARKS_INPUT, batch, &[LANDMARKS, 3], landmarks)],
        outputs: vec![tensor(
            PROBABILITIES_OUTPUT,
            batch,
            &[gestures.len()],
            &probabilities,
        )],
        temperature: None,
    }
}

fn palm_detector() -> Network {
    let image = format!("the image or a square part of it, black outside, resized to 192x192; {RGB}");
    let boxes = "for each anchor center, size and seven points, x and y in pixels of the input, relative to the anchor";
    Network {
        file: "palm_detection.onnx",
        description: "finds palms; MediaPipe's palm detector".to_owned(),
        inputs: vec![tensor("image", Batch::One, &[3, 192, 192], &image)],
        outputs: vec![
            tensor("boxes", Batch::One, &[2016, 18], boxes),
            tensor("scores", Batch::One, &[2016, 1], "logits"),
        ],
        temperature: None,
    }
}

fn landmark_network() -> Network {
    let image =
        format!("the square around a hand, rotated so that the fingers point up, resized to 224x224; {RGB}");
    let points = 3 * LANDMARKS;
    let output = |name, len, description| tensor(name, Batch::One, &[len], description);
    Network {
        file: "hand_landmark.onnx",
        description: "finds the landmarks of a hand; MediaPipe's hand landmark network".to_owned(),
        inputs: vec![tensor("image", Batch::One, &[3, 224, 224], &image)],
        outputs: vec![
            output("landmarks", points, "x, y and depth, in pixels of the input"),
            output("presence", 1, "probability that it is a hand"),
            output("handedness", 1, "probability of a right hand in a mirrored image"),
            output(
                "world_landmarks",
                points,
                "x, y and depth, in meters from the center of the hand",
            ),
        ],
        temperature: None,
    }
}

fn tensor(name: &'static str, batch: Batch, dims: &[usize], description: &str) -> Tensor {
    let batch = match batch {
        Batch::One => json!(1),
        Batch::Dynamic => json!(BATCH_NAME),
    };
    Tensor {
        name,
        shape: std::iter::once(batch)
            .chain(dims.iter().map(|length| json!(length)))
            .collect(),
        description: description.to_owned(),
    }
}
