//! Compares the converted hand networks with LiteRT, and recognizes thumbs in photos without any training.
//!
//! `scripts/setup.sh` converts the networks; `scripts/setup.sh --tests` installs LiteRT. Tests that lack something are skipped.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use support::runner::{hand_networks, mediapipe, reference_photos};
use support::values;
use thumb_gesture::classifier::Classifier;
use thumb_gesture::classifier::candidates::{Candidate, Runtime};
use thumb_gesture::classifier::onnx::{OnnxClassifier, OnnxNetwork};
use thumb_gesture::classifier::settings::{Device, Precision, Settings};
use thumb_gesture::drawn_hand;
use thumb_gesture::frame::Frame;
use thumb_gesture::gesture::Gesture;
use thumb_gesture::hand::finder::HandFinder;
use thumb_gesture::hand::{Hand, HandNetworks, LandmarkNetwork, rule};
use thumb_gesture::model_store::ModelStore;
use thumb_gesture::preprocess::INPUT_LEN;
use thumb_gesture::recognizer::model::Model;
use thumb_gesture::recognizer::settings::{Method, RecognizerSettings};
use thumb_gesture::recognizer::{Basis, Source};
use thumb_gesture::weights::Weights;

/// Maximum difference of an output; boxes and landmarks are in pixels.
const TOLERANCE: f32 = 1e-3;
const PALM_OUTPUTS: [(&str, usize); 2] = [("boxes", 2016 * 18), ("scores", 2016)];
const HAND_OUTPUTS: [(&str, usize); 4] = [
    ("landmarks", 63),
    ("presence", 1),
    ("handedness", 1),
    ("world_landmarks", 63),
];

/// On drawn hands, and on photos if there are any.
fn converted_networks_compute_litert_outputs() {
    let networks = mediapipe();
    let networks = networks.to_str().expect("a UTF-8 path");
    let directory = support::reference("parity/hand.py", &[networks], write_images);
    let expected = Weights::read(&directory.path().join("expected.safetensors")).expect("reads");
    for size in ["lite", "full"] {
        compare(
            &format!("palm_detection_{size}"),
            192,
            &PALM_OUTPUTS,
            directory.path(),
            &expected,
        );
        compare(
            &format!("hand_landmark_{size}"),
            224,
            &HAND_OUTPUTS,
            directory.path(),
            &expected,
        );
    }
}

fn write_images(directory: &Path) {
    for (index, gesture) in Gesture::ALL.into_iter().enumerate() {
        let image = drawn_hand::draw(gesture, 7, 1, 320, 240);
        image
            .save(directory.join(format!("drawn{index}.png")))
            .expect("writes");
    }
    for (index, photo) in photos().into_iter().step_by(20).enumerate() {
        fs::copy(photo, directory.join(format!("photo{index}.jpg"))).expect("copies");
    }
}

/// The reference photos in the order of their names; none if the directory does not exist.
fn photos() -> Vec<PathBuf> {
    let files = |directory: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).into_iter().flatten();
        entries.map(|entry| entry.expect("reads").path()).collect()
    };
    let mut photos: Vec<PathBuf> = files(&reference_photos())
        .iter()
        .flat_map(|label| files(label))
        .collect();
    photos.sort();
    photos
}

fn compare(network: &str, side: usize, outputs: &[(&str, usize)], images: &Path, expected: &Weights) {
    let file = hand_networks().join(format!("{network}.onnx"));
    let candidate = Candidate {
        runtime: Runtime::OnnxCpu,
        precision: Precision::Fp32,
        reason: None,
    };
    let mut session = OnnxNetwork::load(&file, side, &candidate, &Settings::default()).expect("loads");
    for image in fs::read_dir(images).expect("reads") {
        let image = image.expect("reads").file_name().into_string().expect("UTF-8");
        if image == "expected.safetensors" {
            continue;
        }
        let key = |tensor: &str| format!("{network}/{image}/{tensor}");
        let input = values(expected, &key("image"), &[3, side, side]);
        for &(name, len) in outputs {
            let mut found = vec![0.0; len];
            session.run(&input, &mut [(name, &mut found)]).expect("runs");
            let differences = found
                .iter()
                .zip(values(expected, &key(name), &[len]))
                .map(|(a, b)| (a - b).abs());
            let greatest = differences.fold(0.0, f32::max);
            assert!(greatest < TOLERANCE, "{}: {greatest} apart", key(name));
        }
    }
}

/// The hands that a landmark network finds in each photo.
fn hands_in_photos(network: LandmarkNetwork) -> Vec<(PathBuf, Vec<Hand>)> {
    let settings = Settings {
        device: Device::Cpu,
        ..Settings::default()
    };
    let networks = HandNetworks::load(&hand_networks(), network, &settings).expect("loads");
    let mut finder = HandFinder::new(networks, 2);
    let hands = |photo: PathBuf| {
        let frame = Frame::from_file(&photo).expect("a photo");
        let hands = finder.search(&frame).expect("runs");
        (photo, hands)
    };
    photos().into_iter().map(hands).collect()
}

/// The share of the photos whose gesture the rule finds. The photos show one person from afar; some are blurred or show half a hand.
fn recognized_share(hands: &[(PathBuf, Vec<Hand>)]) -> f64 {
    let mut right = 0;
    for (photo, hands) in hands {
        let label = photo.parent().and_then(Path::file_name).expect("a label");
        let expected = Gesture::from_label(&label.to_string_lossy());
        let found = rule::surest(hands, 0.0)
            .filter(|thumb| thumb.confidence >= 0.5)
            .map_or(Gesture::None, |thumb| thumb.gesture);
        assert!(
            found == expected || found == Gesture::None,
            "{} is {found:?}",
            photo.display()
        );
        right += usize::from(found == expected);
    }
    right as f64 / hands.len() as f64
}

/// By the full landmark network, and in int8, whose weights of 7 bits make it right on every CPU.
fn thumbs_in_photos_are_recognized_without_training() {
    let [full, int8] = [LandmarkNetwork::Full, LandmarkNetwork::FullInt8].map(hands_in_photos);
    // In pixels of the network's input.
    let mut distances = Vec::new();
    for ((_, full), (_, int8)) in full.iter().zip(&int8) {
        let Some((full, int8)) = full.first().zip(int8.first()) else {
            continue;
        };
        let scale = 224.0 / full.region.side_px;
        let points = full.landmarks.iter().zip(&int8.landmarks);
        distances.extend(points.map(|(a, b)| scale * (a[0] - b[0]).hypot(a[1] - b[1])));
    }
    distances.sort_by(f32::total_cmp);
    let median = distances[distances.len() / 2];
    assert!(median < 1.0, "{median} pixels");
    let [full, int8] = [full, int8].map(|hands| recognized_share(&hands));
    assert!(full >= 0.94 && int8 >= 0.94, "{full} and {int8}");
}

/// One photo of each label.
fn command_line_recognizes_thumbs_without_a_model() {
    let photos = photos();
    let third = |label: &PathBuf| photos.iter().filter(|photo| photo.starts_with(label)).nth(2);
    let mut labels: Vec<PathBuf> = photos
        .iter()
        .filter_map(|photo| Some(photo.parent()?.to_owned()))
        .collect();
    labels.dedup();
    let mut right = 0;
    for label in &labels {
        let photo = third(label).expect("three photos");
        let mut command = support::program();
        command
            .args(["predict", "--json", "--model", "builtin"])
            .arg(photo);
        let output = command.output().expect("starts");
        let found = support::json(&output);
        let expected = Gesture::from_label(&label.file_name().expect("a name").to_string_lossy());
        right += usize::from(found["label"] == expected.label());
    }
    assert!(right * 3 >= labels.len() * 2, "{right} of {}", labels.len());
}

/// A training on half of the photos, shared by the tests.
struct Trained {
    root: tempfile::TempDir,
    summary: Value,
}

impl Trained {
    fn store(&self) -> PathBuf {
        self.root.path().join("store")
    }

    fn photos(&self) -> PathBuf {
        self.root.path().join("others")
    }
}

/// Blocks of six photos are alternately trained on and left out.
fn trained() -> &'static Trained {
    static TRAINED: OnceLock<Trained> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let root = tempfile::tempdir().expect("a directory");
        for (index, photo) in photos().iter().enumerate() {
            let part = ["dataset", "others"][index % 25 / 6 % 2];
            let label = photo.parent().and_then(Path::file_name).expect("a label");
            let directory = root.path().join(part).join(label);
            fs::create_dir_all(&directory).expect("creates");
            fs::copy(photo, directory.join(photo.file_name().expect("a name"))).expect("copies");
        }
        let (dataset, store) = (root.path().join("dataset"), root.path().join("store"));
        let summary = support::json(&support::train(&dataset, &store, &["--force"]));
        Trained { root, summary }
    })
}

/// What `evaluate --json` prints about the photos that were left out.
fn evaluated(options: &[&str]) -> Value {
    let trained = trained();
    let mut command = support::program();
    command
        .args(["evaluate", "--json", "--store"])
        .arg(trained.store());
    command.arg("--dataset").arg(trained.photos()).args(options);
    support::json(&command.output().expect("starts"))
}

fn crops_of_hands_are_taught_measured_and_classified() {
    let summary = &trained().summary;
    let recognizers = summary["recognizers"].as_array().expect("a list");
    let names: Vec<&Value> = recognizers.iter().map(|each| &each["recognizer"]).collect();
    assert_eq!(names, ["auto", "image", "hand", "landmarks"]);
    let number = |value: &Value| value.as_f64().expect("a number");
    let of_auto = number(&recognizers[0]["correct"]) / number(&recognizers[0]["frames"]);
    assert!((of_auto - number(&summary["accuracy"])).abs() < 1e-9, "{of_auto}");
    let fp32 = evaluated(&["--recognizer", "hand", "--precision", "fp32"]);
    let accuracy = fp32["accuracy"].as_f64().expect("a number");
    assert!(accuracy >= 0.85, "{accuracy}");
    let int8 = evaluated(&["--recognizer", "hand", "--device", "cpu"]);
    assert_eq!(int8["backend"], "onnx/cpu/int8");
    let difference = number(&int8["accuracy"]) - accuracy;
    assert!(difference.abs() < 0.03, "{difference}");
}

/// Cameras of other rooms, and without a hand: no gesture, and no influence on the frames of another camera.
fn batch_of_cameras_gives_the_same_predictions_as_single_frames() {
    let trained = trained();
    let store = ModelStore::open(&trained.store()).expect("opens");
    let model = Model::open(&store, &support::model_id(&trained.summary)).expect("a model");
    let mut settings = RecognizerSettings::from(Settings::default());
    settings.method = Method::Hand;
    settings.network.batch = 3;
    let mut recognizer = model.load(&settings).expect("loads").recognizer;
    let photo = |index: usize| Frame::from_file(&photos()[index]).expect("a photo");
    let black = Frame::from_raw("mono8", 640, 480, 640, vec![0; 640 * 480]).expect("a valid frame");
    let frames = [photo(60), black, photo(85)];
    let single = frames.each_ref().map(|frame| {
        let prediction = recognizer.classify_frame(Source::Still, frame).expect("runs");
        assert_eq!(prediction.basis, Basis::Hand);
        prediction.probabilities.to_vec()
    });
    assert_eq!(single[1], [1.0, 0.0, 0.0]);
    let batch = recognizer.classify(frames.iter().map(|frame| (Source::Still, frame)));
    for (single, batch) in single.iter().zip(batch.expect("runs").iter()) {
        let differences = single.iter().zip(batch.probabilities).map(|(a, b)| (a - b).abs());
        assert!(differences.fold(0.0, f32::max) < 1e-4, "{single:?}");
    }
}

fn exported_directory_has_the_networks_for_hands() {
    let trained = trained();
    let directory = trained.root.path().join("exported");
    let mut command = support::program();
    command.args([
        "export",
        "--json",
        "--precision",
        "int8",
        "--target",
        "cpu",
        "--store",
    ]);
    command.arg(trained.store()).arg("--directory").arg(&directory);
    let report = support::json(&command.output().expect("starts"));
    let expected = [
        "image.onnx",
        "hand.onnx",
        "landmarks.onnx",
        "palm_detection.onnx",
        "hand_landmark.onnx",
        "manifest.json",
    ];
    assert_eq!(report["files"], serde_json::json!(expected));
    let manifest = fs::read(directory.join("manifest.json")).expect("reads");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    let networks = manifest["networks"].as_array().expect("a list");
    let files: Vec<&Value> = networks.iter().map(|network| &network["file"]).collect();
    assert_eq!(serde_json::json!(files), serde_json::json!(expected[..5]));
    for file in ["image.onnx", "hand.onnx"] {
        let mut classifier = OnnxClassifier::load(&directory.join(file), 3, 1).expect("loads");
        let mut logits = [0.0; 3];
        classifier
            .logits(&vec![0.0; INPUT_LEN], &mut logits)
            .expect("runs");
    }
    for (installed, exported) in [
        ("palm_detection_lite", "palm_detection"),
        ("hand_landmark_full", "hand_landmark"),
    ] {
        let [installed, exported] = [
            hand_networks().join(format!("{installed}.onnx")),
            directory.join(format!("{exported}.onnx")),
        ];
        assert!(fs::read(installed).expect("reads") == fs::read(exported).expect("reads"));
    }
}

support::runner::tests! {
    converted_networks_compute_litert_outputs needs LiteRt,
    thumbs_in_photos_are_recognized_without_training needs HandPhotos,
    command_line_recognizes_thumbs_without_a_model needs HandPhotos,
    crops_of_hands_are_taught_measured_and_classified needs HandPhotos,
    batch_of_cameras_gives_the_same_predictions_as_single_frames needs HandPhotos,
    exported_directory_has_the_networks_for_hands needs HandPhotos,
}
