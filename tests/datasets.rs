//! Datasets as people have them: files of other kinds, damaged images, subdirectories, links, and labels in several spellings.

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{draw_dataset, failure, files_in, json, program, thumb_gesture, train};

/// The beginning of an iPhone's photo, which this package cannot decode.
const HEIC: &[u8] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";

/// Options of a short training.
const SHORT: [&str; 6] = ["--epochs", "1", "--copies", "0", "--folds", "1"];

fn texts(list: &Value) -> String {
    let texts: Vec<&str> = list
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    texts.join("\n")
}

fn evaluate(dataset: &Path, store: &Path, more: &[&str]) -> std::process::Output {
    let mut command = program();
    command.args(["evaluate", "--json", "--dataset"]).arg(dataset);
    command
        .arg("--store")
        .arg(store)
        .args(more)
        .output()
        .expect("starts")
}

#[test]
fn damaged_image_is_skipped_and_reported() {
    let root = tempfile::tempdir().expect("a directory");
    let (dataset, store) = (root.path().join("dataset"), root.path().join("store"));
    draw_dataset(&dataset, 5, 6);
    let good = fs::read(dataset.join("none/0000.png")).expect("reads");
    fs::write(dataset.join("none/cut_off.png"), &good[..good.len() / 2]).expect("writes");
    fs::write(dataset.join("none/empty.jpg"), b"").expect("writes");
    let summary = json(&train(&dataset, &store, &["--epochs", "1"]));
    let skipped = summary["skipped"].as_array().expect("a list");
    let names: Vec<&str> = skipped.iter().filter_map(|file| file["file"].as_str()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(
        names.iter().any(|name| name.ends_with("cut_off.png")),
        "{names:?}"
    );
}

#[test]
fn label_of_other_files_stops_training_and_evaluation_unless_it_is_left_out() {
    let root = tempfile::tempdir().expect("a directory");
    let (dataset, store) = (root.path().join("dataset"), root.path().join("store"));
    draw_dataset(&dataset, 5, 6);
    let whole = root.path().join("whole");
    draw_dataset(&whole, 5, 2);
    for file in files_in(&dataset.join("none")) {
        fs::write(file, HEIC).expect("writes");
    }
    fs::write(dataset.join("thumbs_up/.DS_Store"), b"x").expect("writes");
    fs::write(dataset.join("thumbs_up/video.jpg"), b"\0\0\0\x18ftypisom\0\0\0\0").expect("writes");
    let error = failure(&train(&dataset, &store, &SHORT));
    for part in [
        "label none has no usable image: 6 files are skipped, such as",
        "a HEIF image (HEIC); convert it to JPEG",
        "--skip-empty-labels",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }

    let output = train(&dataset, &store, &[&SHORT[..], &["--skip-empty-labels"]].concat());
    let summary = json(&output);
    assert_eq!(summary["labels"], serde_json::json!(["thumbs_down", "thumbs_up"]));
    let warnings = texts(&summary["warnings"]);
    let expected = [
        "label none has no usable image: 6 files are skipped",
        "video.jpg is skipped: a video; save its frames as JPEG files",
        "every image will be taken for a gesture",
    ];
    let directory = support::model_directory(&store, &summary);
    let page = fs::read_to_string(directory.join("report.html")).expect("reads");
    let report = fs::read(directory.join("report.json")).expect("reads");
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report["warnings"], summary["warnings"]);
    let printed = String::from_utf8_lossy(&output.stderr);
    for text in expected {
        assert!(warnings.contains(text), "{text}: {warnings}");
        assert!(printed.contains(text), "{text}: {printed}");
        assert!(page.contains(text), "{text} is missing in the page");
    }
    assert_eq!(summary["skipped"].as_array().map(Vec::len), Some(7), "{warnings}");

    let error = failure(&evaluate(&dataset, &store, &[]));
    assert!(
        error.contains("label none has no usable image: 6 files"),
        "{error}"
    );
    let output = evaluate(&dataset, &store, &["--skip-empty-labels"]);
    assert_eq!(json(&output)["frames"], 12);
    assert!(texts(&json(&output)["warnings"]).contains("label none has no usable image"));
    let error = failure(&evaluate(&whole, &store, &[]));
    assert!(error.contains("does not have the label none"), "{error}");
    fs::remove_dir_all(dataset.join("thumbs_down")).expect("removes");
    let uncovered = json(&evaluate(&dataset, &store, &["--skip-empty-labels"]));
    assert!(
        texts(&uncovered["warnings"]).contains("no frames of thumbs_down"),
        "{uncovered}"
    );
}

#[test]
fn damaged_label_is_left_out_too() {
    let root = tempfile::tempdir().expect("a directory");
    let (dataset, store) = (root.path().join("dataset"), root.path().join("store"));
    draw_dataset(&dataset, 5, 3);
    for file in files_in(&dataset.join("none")) {
        fs::write(file, b"\xff\xd8\xff\xe0 cut off").expect("writes");
    }
    let error = failure(&train(&dataset, &store, &SHORT));
    assert!(
        error.contains("label none") && error.contains("--skip-empty-labels"),
        "{error}"
    );
    let summary = json(&train(
        &dataset,
        &store,
        &[&SHORT[..], &["--skip-empty-labels"]].concat(),
    ));
    assert_eq!(summary["labels"], serde_json::json!(["thumbs_down", "thumbs_up"]));
    let skipped = summary["skipped"].as_array().expect("a list");
    assert_eq!(skipped.len(), 3, "the files of the label are reported");
    let warnings = texts(&summary["warnings"]);
    for text in [
        "label none is left out",
        "every image will be taken for a gesture",
    ] {
        assert!(warnings.contains(text), "{text}: {warnings}");
    }

    for label in ["thumbs_down", "thumbs_up"] {
        for file in files_in(&dataset.join(label)) {
            fs::write(file, b"\xff\xd8\xff\xe0 cut off").expect("writes");
        }
    }
    fs::remove_dir_all(dataset.join("none")).expect("removes");
    let error = failure(&evaluate(&dataset, &store, &["--skip-empty-labels"]));
    assert!(
        error.contains("no file of the dataset is a readable image"),
        "{error}"
    );
}

#[test]
fn images_in_subdirectories_and_with_any_name_are_used() {
    let root = tempfile::tempdir().expect("a directory");
    let (dataset, store) = (root.path().join("dataset"), root.path().join("store"));
    draw_dataset(&dataset, 5, 6);
    for label in ["none", "thumbs_up"] {
        let directory = dataset.join(label);
        fs::create_dir_all(directory.join("session 1/ä")).expect("creates");
        for (index, name) in ["session 1/a.jfif", "session 1/ä/b.HEIC", "session 1/c"]
            .iter()
            .enumerate()
        {
            fs::rename(directory.join(format!("000{index}.png")), directory.join(name)).expect("renames");
        }
    }
    let elsewhere = root.path().join("elsewhere");
    fs::rename(dataset.join("thumbs_down"), &elsewhere).expect("renames");
    std::os::unix::fs::symlink(&elsewhere, dataset.join("thumbs_down")).expect("links");
    std::os::unix::fs::symlink("..", elsewhere.join("circle")).expect("links");
    let summary = json(&train(&dataset, &store, &SHORT));
    assert_eq!(summary["frames"]["train"], 18);
    assert_eq!(summary["warnings"], serde_json::json!([]));
    let second = json(&train(&dataset, &store, &SHORT));
    assert_eq!(second["computed_frames"], 0, "the features are cached");
    assert_eq!(json(&evaluate(&dataset, &store, &[]))["frames"], 18);

    let predict = |path: &Path| {
        let arguments = ["predict".as_ref(), "--store".as_ref(), store.as_path(), path];
        thumb_gesture(arguments)
    };
    let output = predict(&dataset.join("none"));
    assert!(output.status.success());
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(lines.lines().count(), 6, "{lines}");
    assert!(lines.contains("/none/session 1/ä/b.HEIC: "), "{lines}");
    let empty = root.path().join("empty");
    fs::create_dir(&empty).expect("creates");
    fs::write(empty.join("a.jpg"), HEIC).expect("writes");
    let error = failure(&predict(&empty));
    assert!(
        error.contains("a.jpg is skipped: a HEIF image") && error.contains("no usable images"),
        "{error}"
    );
}

#[test]
fn spellings_of_a_label_are_merged_by_the_command_in_the_error() {
    let root = tempfile::tempdir().expect("a directory");
    let (dataset, store) = (root.path().join("my dataset"), root.path().join("store"));
    draw_dataset(&dataset, 5, 3);
    draw_dataset(&root.path().join("other"), 6, 3);
    fs::rename(root.path().join("other/thumbs_up"), dataset.join("thumbsup")).expect("renames");
    let error = failure(&train(&dataset, &store, &SHORT));
    let (names, command) = error.split_once("merge them: ").expect("a command");
    assert!(
        names.contains("thumbs_up and thumbsup are spellings of one label"),
        "{error}"
    );
    let merged = std::process::Command::new("sh").arg("-c").arg(command).status();
    assert!(merged.expect("starts").success(), "{command}");
    let summary = json(&train(&dataset, &store, &[&SHORT[..], &["--force"]].concat()));
    assert_eq!(summary["frames"]["train"], 12);
    assert_eq!(
        summary["labels"],
        serde_json::json!(["none", "thumbs_down", "thumbs_up"])
    );

    let other = root.path().join("other");
    fs::rename(other.join("thumbs_down"), other.join("Thumbs-Down")).expect("renames");
    let report = json(&evaluate(&other, &store, &[]));
    assert_eq!(report["frames"], 6);
    assert_eq!(
        report["labels"],
        serde_json::json!(["none", "thumbs_down", "thumbs_up"])
    );

    fs::rename(dataset.join("thumbs_up"), dataset.join("ThumbsUp")).expect("renames");
    let gate = &json(&train(&dataset, &store, &SHORT))["gate"];
    let reason = gate["reason"].as_str().expect("a text");
    assert!(!reason.contains("labels missing"), "{reason}");
    assert_eq!(gate["active_correct"], gate["frames"], "{reason}");
}

#[test]
fn divided_dataset_is_rejected_with_the_directories_to_use() {
    let root = tempfile::tempdir().expect("a directory");
    let (split, store) = (root.path().join("split"), root.path().join("store"));
    for (part, seed) in [("train", 5), ("val", 6), ("test", 7)] {
        draw_dataset(&split.join(part), seed, 2);
    }
    let path = split.display();
    let error = failure(&train(&split, &store, &SHORT));
    assert!(
        error.contains(&format!("{path} holds train, val and test")),
        "{error}"
    );
    assert!(
        error.contains(&format!(
            "use --dataset {path}/train, and {path}/test for evaluate"
        )),
        "{error}"
    );
    assert_eq!(
        json(&train(&split.join("train"), &store, &SHORT))["frames"]["train"],
        6
    );
    let error = failure(&train(&split.join("train/none"), &store, &SHORT));
    assert!(error.contains(&format!("--dataset {path}/train")), "{error}");
    let error = failure(&evaluate(root.path(), &store, &[]));
    assert!(error.contains(&format!("--dataset {path}")), "{error}");
}

#[test]
fn datasets_of_several_robots_are_merged_with_their_bursts_and_only_once() {
    let root = tempfile::tempdir().expect("a directory");
    let path = |name: &str| root.path().join(name);
    let merge = |sources: &[&str]| {
        let mut command = program();
        command.args(["dataset", "merge", "--json"]).args(sources);
        command.arg("--into").arg(path("all")).output().expect("starts")
    };
    // Both robots have recorded at the same time: the names of their frames are the same.
    draw_dataset(&path("robot1/dataset"), 5, 2);
    draw_dataset(&path("robot2/dataset"), 6, 2);
    fs::rename(path("robot2/dataset/thumbs_up"), path("robot2/dataset/thumbs-up")).expect("renames");
    let [first, second] =
        ["robot1", "robot2"].map(|name| format!("{name}={}", path(name).join("dataset").display()));
    let counts = |report: &Value| -> Vec<(u64, u64)> {
        let sources = report.as_array().expect("a list").iter();
        sources
            .map(|source| {
                ["copied", "present"]
                    .map(|key| source[key].as_u64().expect("a number"))
                    .into()
            })
            .collect()
    };
    assert_eq!(counts(&json(&merge(&[&first, &second]))), [(6, 0), (6, 0)]);
    let frame = fs::read(path("robot2/dataset/thumbs-up/0001.png")).expect("reads");
    let copied = path("all/thumbs_up/robot2/0001.png");
    assert_eq!(fs::read(&copied).expect("under the spelling of the first"), frame);
    let modified = |path: &Path| fs::metadata(path).expect("exists").modified().expect("a time");
    assert_eq!(
        modified(&copied),
        modified(&path("robot2/dataset/thumbs-up/0001.png"))
    );
    assert_eq!(counts(&json(&merge(&[&first, &second]))), [(0, 6), (0, 6)]);
    // A new frame, and the frames of another robot that were copied by hand.
    fs::copy(&copied, path("robot1/dataset/none/0009.png")).expect("copies");
    assert_eq!(counts(&json(&merge(&[&first]))), [(1, 6)]);
    let third = format!("robot3={}", path("robot2/dataset").display());
    assert_eq!(counts(&json(&merge(&[&third]))), [(0, 6)]);

    let unnamed = [path("robot1/dataset"), path("robot2/dataset")].map(|path| path.display().to_string());
    let error = failure(&merge(&[&unnamed[0], &unnamed[1]]));
    assert!(error.contains("two datasets have the name dataset"), "{error}");
    let inside = format!("x={}", path("all/none").display());
    assert!(failure(&merge(&[&inside])).contains("inside it"));
    assert!(failure(&merge(&[&format!("a/../b={}", unnamed[0])])).contains("No such file"));
    for reserved in ["train", "thumbs-up"] {
        let source = format!("{reserved}={}", unnamed[0]);
        assert!(
            failure(&merge(&[&source])).contains("needs another name"),
            "{reserved}"
        );
    }
    // What an interrupted merge has left is removed by the next one.
    let left = path("all/none/robot1/.thumb_gesture-writing-x");
    fs::write(&left, "a part of a photo").expect("writes");
    json(&merge(&[&first]));
    assert!(!left.exists());
    draw_dataset(&path("changed"), 7, 1);
    let changed = format!("robot2={}", path("changed").display());
    assert!(
        failure(&merge(&[&changed])).contains("robot2=DIR"),
        "another frame of the same name"
    );
}
