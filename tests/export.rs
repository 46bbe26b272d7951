//! `thumb_gesture export`: the files compute what the stored model computes, describe themselves, and pass the checker of the ONNX package.

mod support;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use support::{draw_dataset, failure, json, model_id, program, random_weights, thumb_gesture, usage_error};
use thumb_gesture::classifier::Classifier;
use thumb_gesture::classifier::onnx::OnnxClassifier;
use thumb_gesture::frame::Frame;
use thumb_gesture::gesture::Gesture;
use thumb_gesture::hand::features::FEATURES;
use thumb_gesture::hand::simulated::simulated_hands;
use thumb_gesture::hand::taught::LandmarkClassifier;
use thumb_gesture::hand::{Hand, Region};
use thumb_gesture::model_store::ONNX_FILE;
use thumb_gesture::network::Network;
use thumb_gesture::network::onnx::Batch;
use thumb_gesture::preprocess::{INPUT_LEN, Preprocessor};
use thumb_gesture::probability::argmax;

const LABELS: usize = 3;

/// One training, shared by all tests.
struct Trained {
    root: tempfile::TempDir,
    id: String,
}

impl Trained {
    fn store(&self) -> PathBuf {
        self.root.path().join("store")
    }

    /// Frames that the model was not trained on.
    fn unseen(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.root.path().join("unseen/thumbs_up")).expect("lists");
        let mut files: Vec<PathBuf> = files.map(|file| file.expect("lists").path()).collect();
        files.sort();
        files
    }

    fn export(&self, name: &str, more: &[&str]) -> (PathBuf, Value) {
        let file = self.root.path().join(name);
        (file.clone(), json(&export(&self.store(), &file, more)))
    }
}

fn trained() -> &'static Trained {
    static TRAINED: OnceLock<Trained> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let (root, summary) = support::trained_on_drawn_hands();
        Trained {
            id: model_id(&summary),
            root,
        }
    })
}

fn export(store: &Path, file: &Path, more: &[&str]) -> std::process::Output {
    let mut command = program();
    command.args(["export", "--json", "--store"]).arg(store);
    command.arg("--output").arg(file).args(more);
    command.output().expect("starts")
}

fn exported_files_compute_the_logits_of_the_stored_model() {
    let trained = trained();
    let stored = trained.store().join("models").join(&trained.id).join(ONNX_FILE);
    // File, options, maximum difference of a logit as a share of the largest one.
    let cases: [(&str, &[&str], f32); 4] = [
        ("fp32.onnx", &[], 1e-5),
        ("fp16.onnx", &["--precision", "fp16"], 1e-2),
        ("cpu.onnx", &["--precision", "int8", "--target", "cpu"], 0.2),
        ("tensorrt.onnx", &["--precision", "int8"], 0.2),
    ];
    let mut expected = classifier(&stored);
    for (name, options, tolerance) in cases {
        let (file, report) = trained.export(name, options);
        assert_eq!(report["model_id"], trained.id);
        let mut found = classifier(&file);
        for image in trained.unseen() {
            let expected = logits(&mut expected, &image);
            let found = logits(&mut found, &image);
            let largest = expected.iter().fold(0.0f32, |max, logit| max.max(logit.abs()));
            let differences = expected.iter().zip(&found).map(|(a, b)| (a - b).abs());
            let difference = differences.fold(0.0, f32::max) / largest;
            assert!(difference < tolerance, "{name}: {difference}");
            let mut sorted = expected.clone();
            sorted.sort_by(f32::total_cmp);
            // If the two highest logits are nearly equal, either label may be predicted.
            if (sorted[LABELS - 1] - sorted[LABELS - 2]) / largest > tolerance {
                assert_eq!(argmax(&expected), argmax(&found), "{name}");
            }
        }
    }
}

fn file_size_is_proportional_to_the_precision() {
    let trained = trained();
    let bytes = |name: &str, precision: &str| -> f64 {
        let (_, report) = trained.export(name, &["--precision", precision]);
        report["bytes"].as_f64().expect("a number")
    };
    let [fp32, fp16, int8] = ["fp32", "fp16", "int8"].map(|precision| bytes("size.onnx", precision));
    assert!((fp16 / fp32 - 0.5).abs() < 0.01, "{fp16} of {fp32}");
    assert!((int8 / fp32 - 0.25).abs() < 0.03, "{int8} of {fp32}");
}

fn onnx_package_accepts_all_files_and_reads_their_shapes_and_metadata() {
    let trained = trained();
    let write = |directory: &Path| {
        for precision in ["fp32", "fp16", "int8"] {
            for batch in [None, Some("--dynamic-batch")] {
                let name = format!("{precision}_{}.onnx", batch.map_or("one", |_| "dynamic"));
                let options = ["--precision", precision].into_iter().chain(batch);
                json(&export(
                    &trained.store(),
                    &directory.join(name),
                    &options.collect::<Vec<_>>(),
                ));
            }
        }
        let cpu = ["--precision", "int8", "--target", "cpu"];
        json(&export(
            &trained.store(),
            &directory.join("int8_cpu_one.onnx"),
            &cpu,
        ));
    };
    let directory = support::reference("parity/reference.py", &["onnx"], write);
    let description = std::fs::read(directory.path().join("onnx.json")).expect("was written");
    let description: Value = serde_json::from_slice(&description).expect("JSON");
    let files = description.as_object().expect("by file");
    assert_eq!(files.len(), 7);
    for (file, found) in files {
        let batch = if file.ends_with("dynamic") {
            Value::from("batch")
        } else {
            Value::from(1)
        };
        assert_eq!(found["input"], serde_json::json!([batch, 3, 224, 224]), "{file}");
        assert_eq!(found["output"], serde_json::json!([batch, LABELS]), "{file}");
        assert_eq!(found["metadata"]["model_id"], trained.id);
        assert_eq!(found["metadata"]["labels"], "none,thumbs_down,thumbs_up");
        assert_eq!(found["metadata"]["mean"], "0.485,0.456,0.406");
    }
}

/// A model with random weights.
fn import_model(directory: &Path, store: &Path) {
    let network = Network::named("squeezenet1_1", 2).expect("known");
    let weights = directory.join("two.safetensors");
    random_weights(&network).write(&weights).expect("writes");
    let import = [
        "import-weights".as_ref(),
        weights.as_os_str(),
        "--activate".as_ref(),
        "--labels".as_ref(),
        "thumbs_down,thumbs_up".as_ref(),
        "--store".as_ref(),
        store.as_os_str(),
    ];
    assert!(thumb_gesture(import).status.success());
}

fn int8_export_of_an_imported_model_needs_a_dataset_for_calibration() {
    let root = tempfile::tempdir().expect("a directory");
    let (store, file) = (root.path().join("store"), root.path().join("int8.onnx"));
    import_model(root.path(), &store);
    let uncalibrated = failure(&export(&store, &file, &["--precision", "int8"]));
    assert!(uncalibrated.contains("--dataset DIR"), "{uncalibrated}");
    assert!(!file.exists());
    let dataset = root.path().join("dataset");
    draw_dataset(&dataset, 5, 2);
    std::fs::write(dataset.join("none/cut_off.jpg"), b"\xff\xd8\xff\xe0").expect("writes");
    let dataset = dataset.to_str().expect("UTF-8");
    let output = export(&store, &file, &["--precision", "int8", "--dataset", dataset]);
    json(&output);
    assert!(file.exists());
    let warnings = String::from_utf8_lossy(&output.stderr);
    assert!(warnings.contains("cut_off.jpg is skipped"), "{warnings}");
    let needless = failure(&export(&store, &file, &["--dataset", dataset]));
    assert!(needless.contains("--precision int8"), "{needless}");
}

fn failed_export_leaves_no_file() {
    let trained = trained();
    let file = trained.root.path().join("nowhere/model.onnx");
    let no_directory = failure(&export(&trained.store(), &file, &[]));
    assert!(no_directory.contains("nowhere/model.onnx"), "{no_directory}");
    let unknown = usage_error(&export(&trained.store(), &file, &["--precision", "int4"]));
    assert!(unknown.contains("fp32, fp16, int8"), "{unknown}");
    let no_model = failure(&export(&trained.store(), &file, &["--model", "other"]));
    assert!(no_model.contains("there is no model \"other\""), "{no_model}");
    assert!(!file.exists());
}

fn directory_has_every_network_of_the_model_and_a_manifest() {
    let trained = trained();
    let directory = trained.root.path().join("all");
    let mut command = program();
    command.args(["export", "--json", "--dynamic-batch", "--store"]);
    command.arg(trained.store()).arg("--directory").arg(&directory);
    let report = json(&command.output().expect("starts"));
    let names: Vec<String> = support::files_in(&directory)
        .iter()
        .map(|file| file.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    let mut reported: Vec<&str> = report["files"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    reported.sort_unstable();
    assert_eq!(names, reported);
    assert!(names.iter().any(|name| name == "hand.onnx"), "{names:?}");
    let manifest = std::fs::read(directory.join("manifest.json")).expect("reads");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    assert_eq!(manifest["model_id"], trained.id);
    let network = &manifest["networks"][0];
    assert_eq!(
        network["inputs"][0]["shape"],
        serde_json::json!(["batch", 3, 224, 224])
    );
    assert_eq!(network["outputs"][0]["name"], "logits");
    let again = failure(&command.output().expect("starts"));
    assert!(again.contains("pass a new or empty directory"), "{again}");
}

fn model_without_crops_of_hands_is_rejected_where_they_are_to_decide() {
    let root = tempfile::tempdir().expect("a directory");
    let store = root.path().join("store");
    import_model(root.path(), &store);
    let mut command = program();
    command.args(["predict", "--recognizer", "hand", "--store"]);
    command.arg(&store).arg("image.jpg");
    let message = failure(&command.output().expect("starts"));
    assert!(
        message.contains("at least three frames of each label that show a hand"),
        "{message}"
    );
}

fn landmark_classifier_gives_the_same_probabilities_in_python() {
    const GESTURES: [Gesture; 2] = [Gesture::None, Gesture::Other];
    let weight = (0..2 * FEATURES).map(|index| (index as f32).sin() / 20.0);
    let classifier = LandmarkClassifier::new(weight.collect(), vec![0.3, -0.2], GESTURES.to_vec());
    let hands = simulated_hands(2, 7);
    let write = |directory: &Path| {
        let landmarks: Vec<_> = hands.iter().map(|hand| hand.landmarks).collect();
        let text = serde_json::to_vec(&landmarks).expect("JSON");
        std::fs::write(directory.join("landmarks.json"), text).expect("writes");
        let file = directory.join("landmarks.onnx");
        classifier.write_onnx(&file, Batch::Dynamic, &[]).expect("writes");
    };
    let directory = support::reference("parity/reference.py", &["landmarks"], write);
    let found = std::fs::read(directory.path().join("probabilities.json")).expect("was written");
    let found: Vec<Vec<f32>> = serde_json::from_slice(&found).expect("JSON");
    assert_eq!(found.len(), hands.len());
    for (hand, found) in hands.into_iter().zip(found) {
        let hand = Hand {
            landmarks: hand.landmarks,
            world: hand.world,
            presence: 1.0,
            visible: 1.0,
            right: 0.5,
            region: Region {
                center: [0.0; 2],
                side_px: 1.0,
                rotation: 0.0,
            },
        };
        let expected = classifier.probabilities(&hand, 0.0);
        let differences = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        assert!(
            differences.fold(0.0, f32::max) < 1e-5,
            "{found:?}, not {expected:?}"
        );
    }
}

fn classifier(file: &Path) -> OnnxClassifier {
    OnnxClassifier::load(file, LABELS, 1).expect("loads")
}

fn logits(classifier: &mut OnnxClassifier, image: &Path) -> Vec<f32> {
    let frame = Frame::from_file(image).expect("a valid image");
    let (mut input, mut logits) = (vec![0.0; INPUT_LEN], vec![0.0; LABELS]);
    Preprocessor::new().tensor_from_frame(&frame, &mut input);
    classifier.logits(&input, &mut logits).expect("runs");
    logits
}

support::runner::tests! {
    exported_files_compute_the_logits_of_the_stored_model,
    file_size_is_proportional_to_the_precision,
    onnx_package_accepts_all_files_and_reads_their_shapes_and_metadata needs Torch,
    int8_export_of_an_imported_model_needs_a_dataset_for_calibration,
    failed_export_leaves_no_file,
    directory_has_every_network_of_the_model_and_a_manifest,
    model_without_crops_of_hands_is_rejected_where_they_are_to_decide,
    landmark_classifier_gives_the_same_probabilities_in_python needs Torch,
}
