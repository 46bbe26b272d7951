//! `thumb_gesture bag evaluate`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::{self, failure, json, usage_error};
use crate::writing::*;

/// A directory with a store that has a model of drawn hands, and a bag of other hands: eight frames of each gesture at 30 Hz.
pub(crate) fn trained() -> &'static (tempfile::TempDir, PathBuf) {
    static TRAINED: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let (root, _) = support::trained_on_drawn_hands();
        let bag = root.path().join("bag_0.mcap");
        write_mcap(&bag, &hands(8), &LIKE_ROSBAG2);
        (root, bag)
    })
}

pub(crate) fn evaluate(more: &[&str]) -> Output {
    evaluate_bag(&trained().1, more)
}

pub(crate) fn evaluate_bag(bag: &Path, more: &[&str]) -> Output {
    let store = trained().0.path().join("store");
    let mut command = support::program();
    command
        .args(["bag", "evaluate"])
        .arg(bag)
        .arg("--store")
        .arg(store);
    command.args(more).output().expect("starts")
}

pub(crate) fn labels_file(text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("labels.yaml");
    fs::write(&file, text).expect("writes");
    (directory, file.display().to_string())
}

pub(crate) const EXPECTED: &str = "- {from: 0.0, to: 0.25, label: none}\n- {from: 0.26, to: 0.52, label: thumbs_up}\n- {from: 0.53, to: 9, label: thumbs_down}\n";

pub(crate) fn same_bag_gives_identical_predictions() {
    let (_directory, labels) = labels_file(EXPECTED);
    let arguments = ["--json", "--expect", &labels, "--threshold", "0", "--margin", "0"];
    let first = evaluate(&arguments);
    let report = json(&first);
    assert_eq!(first.stdout, evaluate(&arguments).stdout);
    assert_eq!(report["frames"].as_array().map(Vec::len), Some(24));
    assert_eq!(report["topic"], TOPIC);
    let agreement = &report["agreement"];
    assert_eq!(agreement["frames"], 24);
    assert!(agreement["accuracy"].as_f64() > Some(0.6), "{agreement}");
    let rows: Vec<u64> = agreement["confusion"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            row.as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_u64)
                .sum()
        })
        .collect();
    assert_eq!(rows, [8, 8, 8]);
}

pub(crate) fn csv_has_a_row_for_each_frame() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("predictions.csv");
    let output = evaluate(&["--csv", &file.display().to_string()]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let table = fs::read_to_string(&file).expect("the table");
    let mut lines = table.lines();
    assert_eq!(
        lines.next(),
        Some(
            "bag,seconds,gesture,confidence,reason,stable,recognizer,familiarity,none,thumbs_down,thumbs_up"
        )
    );
    assert_eq!(lines.clone().count(), 24);
    assert!(lines.all(|line| line.split(',').count() == 11));
}

pub(crate) fn accuracy_below_the_minimum_fails_with_the_accuracy() {
    let (_directory, labels) = labels_file(EXPECTED);
    assert!(
        evaluate(&["--expect", &labels, "--min-accuracy", "0.0"])
            .status
            .success()
    );
    // No probability reaches a threshold of 1.
    let output = evaluate(&["--expect", &labels, "--min-accuracy", "0.9", "--threshold", "1"]);
    let message = failure(&output);
    assert!(
        message.contains("% of the frames are correct, below the minimum of 90.0 %"),
        "{message}"
    );
    assert!(
        message.contains("0.00 to 0.25 s, none: "),
        "the interval: {message}"
    );
    let (_directory, later) = labels_file("- {from: 100, to: 101, label: none}\n");
    let output = evaluate(&["--expect", &later, "--min-accuracy", "0"]);
    assert!(failure(&output).contains("no frame is in an interval"));
    let output = evaluate(&["--min-accuracy", "0.9"]);
    assert!(usage_error(&output).contains("--expect"));
    let (_directory, wrong) = labels_file("- {from: 0.0, to: 1.0, label: wave}\n");
    assert!(
        failure(&evaluate(&["--expect", &wrong]))
            .contains("the model's labels: none, thumbs_down, thumbs_up")
    );
}

pub(crate) fn false_thumbs_are_reported_with_the_threshold_that_prevents_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let page = directory.path().join("page.html").display().to_string();
    // Each frame is stable at once.
    let expected = [
        "--expect",
        "None",
        "--recognizer",
        "image",
        "--hold-time",
        "0",
        "--threshold",
        "0.4",
    ];
    let report = json(&evaluate(&[&expected[..], &["--json", "--html", &page]].concat()));
    let agreement = &report["agreement"];
    let found = &agreement["false_thumbs"];
    assert_eq!((&agreement["frames"], &found["frames"]), (&24.into(), &24.into()));
    let seconds = found["seconds"].as_f64().expect("seconds");
    assert!((seconds - 23.0 / 30.0).abs() < 1e-6, "{found}");
    let stable = found["stable_thumbs"].as_u64().expect("a number");
    assert!(
        stable >= 2 && found["thumb_frames"].as_u64() >= Some(8),
        "{found}"
    );
    assert!(found["max_per_minute"].as_f64() > found["per_minute"].as_f64());
    let page = fs::read_to_string(page).expect("exists");
    assert!(
        page.contains(&format!(
            "{stable} false thumbs became stable in 0.8 s without thumbs"
        )),
        "{page}"
    );

    let limit = [&expected[..], &["--max-false-thumbs-per-minute", "0"]].concat();
    let output = evaluate(&limit);
    let message = failure(&output);
    assert!(
        message.contains("more than the maximum of 0 per minute"),
        "{message}"
    );
    if let Some(threshold) = agreement["recommended"]["threshold"].as_f64() {
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            printed.contains(&format!("threshold {threshold:.2} would give 0.0")),
            "{printed}"
        );
        let higher = threshold.to_string();
        let limit: Vec<&str> = limit
            .iter()
            .map(|option| {
                if *option == "0.4" {
                    higher.as_str()
                } else {
                    *option
                }
            })
            .collect();
        assert!(evaluate(&limit).status.success(), "the recommended threshold");
    }
    let (_directory, thumbs) = labels_file("- {from: 0.26, to: 0.52, label: thumbs_up}\n");
    let output = evaluate(&["--expect", &thumbs, "--max-false-thumbs-per-minute", "1"]);
    assert!(
        failure(&output)
            .contains("the model has no label of a thumb, or no frame is expected to show another label")
    );
    assert!(usage_error(&evaluate(&["--max-false-thumbs-per-minute", "1"])).contains("--expect"));
    assert!(failure(&evaluate(&["--expect", "wave"])).contains("wave"));
}

pub(crate) fn unknown_topic_is_rejected_with_the_known_ones() {
    assert!(failure(&evaluate(&["--topic", "/camera"])).contains(TOPIC));
    let text = WriteOptions {
        message_type: "std_msgs/msg/String",
        ..LIKE_ROSBAG2
    };
    let (_directory, file) = write_bag(&[b"\0\x01\0\0\x01\0\0\0\0".to_vec()], &text);
    let store = trained().0.path().join("store");
    let command = |bag: &Path| {
        let mut command = support::program();
        command
            .args(["bag", "evaluate"])
            .arg(bag)
            .arg("--store")
            .arg(&store);
        command.output().expect("starts")
    };
    assert!(
        failure(&command(&file))
            .contains("no topic with images; it has /jetbot/camera/image_raw (std_msgs/msg/String, cdr)")
    );
    let (_directory, empty) = write_bag(&[], &LIKE_ROSBAG2);
    assert!(failure(&command(&empty)).contains("it has no messages"));
    let nothing = tempfile::tempdir().expect("a directory");
    assert!(failure(&command(nothing.path())).contains("not a bag; expected"));
    assert!(
        failure(&command(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md").as_path()
        ))
        .contains("not a bag")
    );
}

pub(crate) fn truncated_messages_are_counted_and_the_others_classified() {
    let mut messages = hands(2);
    let length = messages[3].len();
    messages[3].truncate(length - 100);
    messages[4].truncate(2);
    let (_directory, file) = write_bag(&messages, &LIKE_ROSBAG2);
    let store = trained().0.path().join("store");
    let mut command = support::program();
    command
        .args(["bag", "evaluate", "--json"])
        .arg(&file)
        .arg("--store")
        .arg(store);
    let output = command.output().expect("starts");
    assert!(usage_error(&output).contains("2 messages are not valid images: the message ends early"));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["bad_frames"], 2);
    assert_eq!(report["frames"].as_array().map(Vec::len), Some(4));
    assert!(
        report["bad_reasons"][0]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("ends early"))
    );
}

pub(crate) fn missing_bag_does_not_prevent_classifying_the_others() {
    let (root, bag) = trained();
    let directory = tempfile::tempdir().expect("a directory");
    let (_labels, labels) = labels_file(EXPECTED);
    let (page, table) = (
        directory.path().join("pages"),
        directory.path().join("predictions.csv"),
    );
    let mut command = support::program();
    command
        .args(["bag", "evaluate"])
        .arg(bag)
        .arg(directory.path().join("nothing"))
        .arg(bag);
    command
        .arg("--store")
        .arg(root.path().join("store"))
        .arg("--html")
        .arg(&page)
        .arg("--csv")
        .arg(&table);
    let output = command.args(["--expect", &labels]).output().expect("starts");
    assert!(failure(&output).contains("nothing"));
    assert_eq!(fs::read_to_string(table).expect("exists").lines().count(), 49);
    let first = page.join("1_bag_0.mcap.html");
    assert!(first.exists() && page.join("3_bag_0.mcap.html").exists());
    let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
    assert_eq!((mode(&page), mode(&first)), (0o700, 0o600), "they show people");
    assert!(usage_error(&evaluate(&["--threshold", "nan"])).contains("must be 0 to 1"));
}

pub(crate) fn parts_of_a_list_of_bags_add_up_to_the_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    for (name, gestures) in [("a", 2), ("b", 3), ("c", 4)] {
        write_mcap(
            Path::new(&path(&format!("{name}.mcap"))),
            &hands(gestures),
            &LIKE_ROSBAG2,
        );
        if name != "b" {
            fs::write(path(&format!("{name}.mcap.labels.yaml")), EXPECTED).expect("writes");
        }
    }
    fs::write(path("d.mcap"), "no bag").expect("writes");
    let bags = ["a", "b", "c", "d"].map(|name| path(&format!("{name}.mcap")));
    // As `recordings/*`, which includes the files with labels.
    let files: Vec<String> = support::files_in(directory.path())
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    assert_eq!(files.len(), 6);
    let evaluate = |more: &[&str]| {
        let mut command = support::program();
        command.args(["bag", "evaluate", "--expect-beside", "--store"]);
        command.arg(trained().0.path().join("store")).args(more);
        command.output().expect("starts")
    };
    let reversed: Vec<&str> = files.iter().rev().map(String::as_str).collect();
    let whole = path("whole.json");
    let all = evaluate(&[&["--summary", whole.as_str()], &reversed[..]].concat());
    assert!(failure(&all).contains("d.mcap"));
    let summary: Value = serde_json::from_slice(&fs::read(&whole).expect("reads")).expect("JSON");
    assert_eq!(summary["totals"]["bags"], 4);
    assert_eq!(summary["totals"]["failed"], 1);
    assert!(
        summary["bags"][1]["agreement"].is_null(),
        "nothing is expected of it"
    );
    let compared = summary["totals"]["compared"].as_u64().expect("a number");
    assert_eq!(
        compared,
        summary["bags"][0]["agreement"]["frames"]
            .as_u64()
            .expect("a number")
            + summary["bags"][2]["agreement"]["frames"]
                .as_u64()
                .expect("a number")
    );

    let parts = [1, 2, 3].map(|part| path(&format!("{part}.json")));
    fs::write(path("list.txt"), format!("{}\n{}\n", bags[3], bags[1])).expect("writes");
    let list = path("list.txt");
    let in_order = ["--list", &list, &bags[0], &bags[2]];
    for (index, part) in parts.iter().enumerate() {
        let shard = format!("{}/3", index + 1);
        evaluate(&[&["--summary", part, "--shard", &shard], &in_order[..]].concat());
    }
    let summary = |files: &[&str], more: &[&str]| {
        let mut command = support::program();
        command.args(["bag", "summary"]).args(files).args(more);
        command.output().expect("starts")
    };
    let merged = path("merged.json");
    let [first, second, third] = &parts;
    let printed = summary(&[third, first, second], &["--output", &merged]);
    assert!(printed.status.success(), "{printed:?}");
    assert_eq!(
        fs::read(&merged).expect("reads"),
        fs::read(&whole).expect("reads")
    );
    let text = String::from_utf8_lossy(&printed.stdout);
    let worst = text
        .lines()
        .skip_while(|line| !line.starts_with("worst of 3"))
        .nth(1);
    assert!(worst.is_some_and(|line| line.contains("d.mcap")), "{text}");

    assert!(failure(&summary(&[third, first], &[])).contains("missing: part 2/3"));
    assert!(failure(&summary(&[&bags[0]], &[])).contains("not a summary"));
    let same = summary(&[&merged], &["--baseline", &whole, "--max-drop", "0", "--json"]);
    assert_eq!(json(&same)["regressions"], serde_json::json!([]));
    // Since then, the last one has been damaged.
    let baseline = fs::read_to_string(&whole).expect("reads");
    let mut before: Value = serde_json::from_str(&baseline).expect("JSON");
    before["bags"][3] = before["bags"][2].clone();
    before["bags"][3]["bag"] = Value::from(bags[3].as_str());
    fs::write(path("before.json"), before.to_string()).expect("writes");
    let worse = summary(
        &[&merged],
        &["--baseline", &path("before.json"), "--max-drop", "0.1"],
    );
    assert!(failure(&worse).contains("by more than 10.0 %: 1"), "{worse:?}");
    // What is not compared any more is no success.
    let one = path("one.json");
    evaluate(&["--summary", &one, &bags[0]]);
    let fewer = summary(&[&one], &["--baseline", &whole, "--max-drop", "1"]);
    assert!(failure(&fewer).contains("other paths: 2"), "{fewer:?}");
    let overwritten = summary(
        &[&one],
        &["--baseline", &whole, "--output", &whole, "--max-drop", "1"],
    );
    assert!(
        failure(&overwritten).contains("other paths: 2"),
        "the baseline is read first"
    );
    let not_compared = evaluate(&["--min-accuracy", "0.5", &bags[1]]);
    assert!(failure(&not_compared).contains("no bag was compared"));
    let usage = evaluate(&["--shard", "4/3", &bags[0]]);
    assert!(usage_error(&usage).contains("2/8"));
}
