//! The command line as users run it: from images to predictions, and what it reports for invalid input.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use image::ImageEncoder;
use image::codecs::png::PngEncoder;
use serde_json::Value;
use support::{draw_dataset, failure, files_in, json, models, program, thumb_gesture, train};

/// Training frames of each label for the shared model.
const TRAIN_FRAMES: u64 = 100;
/// Test frames of each label, drawn with another seed.
const TEST_FRAMES: u64 = 40;

/// A dataset and a store with one model, created once for all tests that only read them.
struct Trained {
    root: tempfile::TempDir,
    summary: Value,
}

impl Trained {
    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }
}

fn trained() -> &'static Trained {
    static TRAINED: OnceLock<Trained> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let root = tempfile::tempdir().expect("a directory");
        draw_dataset(&root.path().join("train"), 1, TRAIN_FRAMES);
        draw_dataset(&root.path().join("test"), 2, TEST_FRAMES);
        let summary = json(&train(
            &root.path().join("train"),
            &root.path().join("store"),
            &[],
        ));
        Trained { root, summary }
    })
}

#[test]
fn model_recognizes_drawn_hands_on_unseen_frames() {
    let trained = trained();
    let arguments = [
        "evaluate".into(),
        "--json".into(),
        "--dataset".into(),
        trained.path("test"),
        "--store".into(),
        trained.path("store"),
    ];
    let report = json(&thumb_gesture(arguments));
    assert_eq!(report["model_id"], trained.summary["model_id"]);
    assert_eq!(
        report["labels"],
        serde_json::json!(["none", "thumbs_down", "thumbs_up"])
    );
    assert_eq!(report["frames"], 3 * TEST_FRAMES);
    let confusion: u64 = report["confusion"]
        .as_array()
        .expect("rows")
        .iter()
        .flat_map(|row| row.as_array().expect("counts"))
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(confusion, 3 * TEST_FRAMES);
    let accuracy = report["accuracy"].as_f64().expect("a number");
    assert!(accuracy >= 0.95, "{report}");
}

#[test]
fn training_summary_contains_frame_counts_and_accuracy() {
    let summary = &trained().summary;
    let frames = &summary["frames"];
    let count = |part: &str| frames[part].as_u64().expect("a count");
    assert_eq!(
        count("train"),
        3 * TRAIN_FRAMES,
        "the final model is trained on all frames"
    );
    let held_out = count("validation");
    assert!(
        held_out >= 3 * TRAIN_FRAMES / 7 && held_out < count("train"),
        "{frames}"
    );
    let confusion = summary["confusion"].as_array().expect("rows").iter();
    let classified: u64 = confusion
        .flat_map(|row| row.as_array().expect("counts"))
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(classified, held_out);
    assert!(summary["accuracy"].as_f64().expect("a number") > 0.8, "{summary}");
    assert!(summary["train_seconds"].as_f64().expect("a number") > 0.0);
}

#[test]
fn predict_prints_a_line_for_each_image_and_reports_invalid_files() {
    let trained = trained();
    let images = files_in(&trained.path("test").join("thumbs_up"));
    let no_image = trained.path("no_image.jpg");
    fs::write(&no_image, b"not an image").expect("writes");
    let mut arguments: Vec<PathBuf> = vec![
        "predict".into(),
        "--json".into(),
        "--store".into(),
        trained.path("store"),
    ];
    arguments.extend([images[0].clone(), no_image, images[1].clone()]);
    let output = thumb_gesture(&arguments);
    let error = failure(&output);
    assert!(error.contains("no_image.jpg"), "{error}");
    let lines: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    for (line, image) in lines.iter().zip(&images) {
        assert_eq!(line["file"], image.display().to_string());
        let probabilities = line["probabilities"].as_object().expect("by label");
        let sum: f64 = probabilities.values().filter_map(Value::as_f64).sum();
        assert!((sum - 1.0).abs() < 1e-5);
        let label = line["label"].as_str().expect("a label");
        assert_eq!(line["confidence"], probabilities[label]);
    }
}

/// A phone stores the pixels as its sensor has them, with the orientation in EXIF data.
#[test]
fn photo_is_classified_upright() {
    let trained = trained();
    let upright = &files_in(&trained.path("test").join("thumbs_up"))[0];
    let rotated = trained.path("rotated.png");
    let pixels = image::open(upright).expect("decodes").rotate270();
    let mut encoder = PngEncoder::new(fs::File::create(&rotated).expect("creates"));
    let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    encoder.set_exif_metadata(exif.to_vec()).expect("is supported");
    pixels.write_with_encoder(encoder).expect("writes");
    let probabilities = |image: &Path| {
        let store = trained.path("store");
        let arguments = [
            "predict".as_ref(),
            "--json".as_ref(),
            "--store".as_ref(),
            store.as_path(),
            image,
        ];
        json(&thumb_gesture(arguments))["probabilities"].clone()
    };
    assert_eq!(probabilities(&rotated), probabilities(upright));
}

#[test]
fn same_seed_gives_the_same_model_and_earlier_models_can_be_activated() {
    let root = tempfile::tempdir().expect("a directory");
    let (dataset, store) = (root.path().join("dataset"), root.path().join("store"));
    draw_dataset(&dataset, 5, 6);
    let first = json(&train(&dataset, &store, &["--epochs", "2", "--force"]));
    let second = json(&train(&dataset, &store, &["--epochs", "2", "--force"]));
    let weights = |summary: &Value| {
        let directory = support::model_directory(&store, summary);
        fs::read(directory.join("weights.safetensors")).expect("reads")
    };
    assert!(weights(&first) == weights(&second), "the weights differ");

    let models = |more: &[&str]| json(&models(&store, &[&["--json"], more].concat()));
    let report = models(&[]);
    assert_eq!(report["active"], second["model_id"], "{}", second["gate"]);
    assert_eq!(report["models"][1]["id"], first["model_id"]);
    assert_eq!(models(&["activate"])["active"], first["model_id"]);
    let id = support::model_id(&second);
    assert_eq!(models(&["activate", &id])["active"], second["model_id"]);
}

#[test]
fn unusable_dataset_is_rejected_with_a_fix() {
    let root = tempfile::tempdir().expect("a directory");
    let store = root.path().join("store");
    let error_for = |name: &str, prepare: &dyn Fn(&Path)| {
        let dataset = root.path().join(name);
        fs::create_dir_all(&dataset).expect("creates");
        prepare(&dataset);
        failure(&train(&dataset, &store, &[]))
    };
    let empty = error_for("empty", &|_| {});
    assert!(empty.contains("two labels or more"), "{empty}");
    let one_label = error_for("one_label", &|dataset| {
        draw_dataset(dataset, 1, 2);
        fs::remove_dir_all(dataset.join("none")).expect("removes");
        fs::remove_dir_all(dataset.join("thumbs_up")).expect("removes");
    });
    assert!(one_label.contains("only frames of thumbs_down"), "{one_label}");
    let corrupt = error_for("corrupt", &|dataset| {
        draw_dataset(dataset, 1, 3);
        for file in files_in(&dataset.join("none")) {
            fs::write(file, b"not an image").expect("writes");
        }
    });
    assert!(corrupt.contains("label none"), "{corrupt}");
    let invalid_label = error_for("no_label", &|dataset| {
        fs::create_dir(dataset.join("thumbs up")).expect("creates")
    });
    assert!(invalid_label.contains("a-z"), "{invalid_label}");
    let missing = failure(&train(&root.path().join("missing"), &store, &[]));
    assert!(missing.contains("missing"), "{missing}");
    let missing_weights = failure(&train(
        &trained().path("train"),
        &store,
        &["--pretrained", "/nowhere.safetensors"],
    ));
    assert!(
        missing_weights.contains("/nowhere.safetensors"),
        "{missing_weights}"
    );
}

#[test]
fn missing_damaged_and_unknown_models_are_reported() {
    let root = tempfile::tempdir().expect("a directory");
    let (dataset, store) = (root.path().join("dataset"), root.path().join("store"));
    draw_dataset(&dataset, 5, 3);
    let image = dataset.join("none/0000.png");
    let predict = || {
        failure(&thumb_gesture([
            "predict".as_ref(),
            "--recognizer".as_ref(),
            "image".as_ref(),
            "--store".as_ref(),
            store.as_os_str(),
            image.as_os_str(),
        ]))
    };
    let without = predict();
    assert!(without.contains("is not a model store"), "{without}");
    assert!(!store.exists(), "reading creates no store");
    fs::create_dir_all(store.join("models")).expect("creates");
    let empty = predict();
    assert!(empty.contains("train one first"), "{empty}");

    let id = support::model_id(&json(&train(&dataset, &store, &["--epochs", "1", "--force"])));
    let manifest = store.join("models").join(&id).join("manifest.json");
    let whole = fs::read_to_string(&manifest).expect("reads");
    fs::write(
        &manifest,
        whole.replace("\"network\": \"alexnet\"", "\"network\": \"lenet\""),
    )
    .expect("writes");
    let other = predict();
    assert!(other.contains("lenet") && other.contains("alexnet"), "{other}");

    fs::write(&manifest, whole).expect("writes");
    let weights = store.join("models").join(&id).join("weights.safetensors");
    let file = fs::OpenOptions::new().write(true).open(&weights).expect("opens");
    file.set_len(1000).expect("truncates");
    let damaged = predict();
    assert!(damaged.contains("weights.safetensors is damaged"), "{damaged}");
}

/// The store has no incomplete model, and the next training succeeds.
#[test]
fn killed_training_leaves_no_incomplete_model() {
    let root = tempfile::tempdir().expect("a directory");
    let (dataset, store) = (root.path().join("dataset"), root.path().join("store"));
    draw_dataset(&dataset, 5, 6);
    for stage in ["epoch", "export"] {
        let mut child = program()
            .args(["train", "--progress", "json", "--epochs", "3", "--dataset"])
            .args([&dataset, Path::new("--store"), &store])
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let output = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
        let deadline = Instant::now() + Duration::from_secs(120);
        let wanted = format!("\"event\":\"{stage}\"");
        let seen = std::io::BufRead::lines(output)
            .map_while(Result::ok)
            .take_while(|_| Instant::now() < deadline)
            .any(|line| line.contains(&wanted));
        assert!(seen, "the training did not reach {stage}");
        child.kill().expect("kills");
        child.wait().expect("ends");
        let report = json(&models(&store, &["--json"]));
        assert_eq!(report["models"], serde_json::json!([]), "killed at {stage}");
        assert_eq!(report["unreadable"], serde_json::json!([]));
    }
    json(&train(&dataset, &store, &["--epochs", "1", "--force"]));
}

#[test]
fn bench_reports_percentiles() {
    let store = trained().path("store").display().to_string();
    let report = json(&thumb_gesture([
        "bench",
        "--json",
        "--frames",
        "5",
        "--threads",
        "1",
        "--precision",
        "fp32",
        "--store",
        &store,
    ]));
    assert_eq!(
        (&report["backend"], &report["precision"]),
        (&"onnx/cpu/fp32".into(), &"fp32".into())
    );
    assert_eq!(report["threads"], 1);
    for figures in ["forward_ms", "preprocess_ms", "frame_ms"] {
        let at = |percentile: &str| report[figures][percentile].as_f64().expect("a number");
        assert!(
            0.0 < at("p50") && at("p50") <= at("p95") && at("p95") <= at("p99"),
            "{report}"
        );
    }
}

#[test]
fn built_in_recognizer_that_cannot_be_used_is_named_in_the_error() {
    let root = tempfile::tempdir().expect("a directory");
    let mut command = program();
    command.env("THUMB_GESTURE_PRETRAINED", root.path());
    let error = failure(&command.args(["predict", "image.jpg"]).output().expect("starts"));
    assert!(
        error.contains("cannot load the built-in recognizer") && error.contains("scripts/setup.sh"),
        "{error}"
    );
    let error = failure(&thumb_gesture(["predict", "--recognizer", "image", "image.jpg"]));
    assert!(error.contains("set recognizer to auto"), "{error}");
}

#[test]
fn no_telemetry_is_recorded() {
    let home = tempfile::tempdir().expect("a directory");
    let image = home.path().join("image.png");
    image::RgbImage::new(64, 48).save(&image).expect("writes");
    let mut command = program();
    command.arg("predict").arg(&image).env("HOME", home.path());
    for variable in ["ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"] {
        command.env_remove(variable);
    }
    let output = command.output().expect("starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        files_in(home.path()),
        [image],
        "ONNX Runtime records events below ~/.cache unless it is told not to"
    );
}
