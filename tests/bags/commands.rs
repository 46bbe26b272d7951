//! `thumb_gesture bag compare`, `import` and `export`.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::evaluation::{EXPECTED, evaluate_bag, labels_file, trained};
use crate::support::{self, failure, json, usage_error};
use crate::writing::*;

pub(crate) fn import_uses_the_spelling_of_the_dataset() {
    let (_directory, file) = write_bag(&hands(2), &LIKE_ROSBAG2);
    let dataset = tempfile::tempdir().expect("a directory");
    fs::create_dir(dataset.path().join("thumbsup")).expect("creates");
    let mut command = support::program();
    command.args(["bag", "import", "--label", "thumbs_up", "--json", "--dataset"]);
    let report = json(&command.arg(dataset.path()).arg(&file).output().expect("starts"));
    assert_eq!(report["label"], "thumbsup");
    assert!(!dataset.path().join("thumbs_up").exists());
}

pub(crate) fn import_saves_one_burst_without_near_duplicates_and_only_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut messages = hands(4);
    messages.insert(1, messages[0].clone());
    let (_bag, file) = write_bag(&messages, &LIKE_ROSBAG2);
    let import = |more: &[&str]| {
        let mut command = support::program();
        command.args(["bag", "import", "--label", "none", "--json", "--dataset"]);
        command
            .arg(directory.path().join("dataset"))
            .arg(&file)
            .args(more);
        command.output().expect("starts")
    };
    let report = json(&import(&["--to", "0.15"]));
    assert_eq!(
        (&report["saved"], &report["near_duplicates"]),
        (&5.into(), &1.into())
    );
    let files: Vec<_> = fs::read_dir(directory.path().join("dataset").join("none"))
        .expect("exists")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
        .collect();
    assert_eq!(files.len(), 5);
    assert!(
        files.iter().all(|name| name.starts_with("20231114T221320")),
        "{files:?}"
    );
    let again = json(&import(&["--to", "0.15"]));
    assert_eq!(
        (&again["saved"], &again["present"]),
        (&0.into(), &5.into()),
        "the same frames a second time"
    );
    assert!(failure(&import(&["--from", "2", "--to", "1"])).contains("--to greater than --from"));
    let every = json(&import(&["--from", "0.2", "--every", "2"]));
    assert_eq!(every["saved"], 3);
}

/// Runs `bag import --json`.
fn import(bag: &Path, dataset: &Path, more: &[&str]) -> Output {
    let mut command = support::program();
    command.args(["bag", "import", "--json"]).arg(bag);
    command.arg("--dataset").arg(dataset).args(more);
    command.output().expect("starts")
}

/// Runs `bag import --label none --hard` with the model of drawn hands.
fn import_hard(bag: &Path, dataset: &Path, more: &[&str]) -> Output {
    let store = trained().0.path().join("store").display().to_string();
    let options = [
        "--label",
        "none",
        "--hard",
        "--recognizer",
        "image",
        "--store",
        &store,
    ];
    import(bag, dataset, &[&options[..], more].concat())
}

pub(crate) fn few_frames_are_spread_over_the_bag_and_an_interrupted_import_goes_on() {
    let (_bag, file) = write_bag(&hands(8), &LIKE_ROSBAG2);
    let directory = tempfile::tempdir().expect("a directory");
    let dataset = directory.path().join("dataset");
    let report = json(&import(&file, &dataset, &["--label", "none", "--frames", "5"]));
    assert_eq!((&report["saved"], &report["selected"]), (&5.into(), &24.into()));
    let files = support::files_in(&dataset.join("none"));
    assert_eq!(files.len(), 5);
    let contents = || {
        files
            .iter()
            .map(|file| fs::read(file).expect("exists"))
            .collect::<Vec<_>>()
    };
    let whole = contents();
    // What an import that is killed while it writes its third frame leaves.
    for file in &files[2..] {
        fs::remove_file(file).expect("removes");
    }
    fs::write(dataset.join("none/.thumb_gesture-writing-left"), b"half a frame").expect("writes");
    let rest = json(&import(&file, &dataset, &["--label", "none", "--frames", "5"]));
    assert_eq!((&rest["saved"], &rest["present"]), (&3.into(), &2.into()));
    assert_eq!(contents(), whole);
    assert_eq!(fs::read_dir(dataset.join("none")).expect("lists").count(), 5);

    let others = failure(&import(&file, &dataset, &["--label", "none", "--frames", "3"]));
    assert!(
        others.contains("delete the files with the same time") && others.contains("(0 frames saved)"),
        "{others}"
    );
    assert_eq!(support::files_in(&dataset.join("none")).len(), 5);
    let more = json(&import(&file, &dataset, &["--label", "wave", "--frames", "1000"]));
    assert_eq!(more["saved"], 24, "there are no more");
}

pub(crate) fn frames_of_a_label_are_those_of_its_intervals() {
    let (_bag, file) = write_bag(&hands(8), &LIKE_ROSBAG2);
    let (_directory, labels) = labels_file(EXPECTED);
    let (_other, thumbs) = labels_file("- {from: 0.26, to: 0.3, label: thumbsup}\n");
    let directory = tempfile::tempdir().expect("a directory");
    let selected = |label: &str, labels: &str| {
        let options = ["--label", label, "--frames", "1", "--expect", labels];
        let report = json(&import(&file, &directory.path().join(label), &options));
        report["selected"].as_u64()
    };
    assert_eq!(selected("none", &labels), Some(8));
    assert_eq!(selected("thumbs_up", &labels), Some(8));
    assert_eq!(
        selected("none", &thumbs),
        Some(0),
        "the others are less than the hold time away"
    );
    let options = ["--label", "wave", "--expect", &labels];
    let missing = failure(&import(&file, directory.path(), &options));
    assert!(missing.contains("no interval has the label wave"), "{missing}");
}

pub(crate) fn hard_frames_are_those_that_the_model_does_not_recognize() {
    let hands = hands(8);
    let (_bag, file) = write_bag(&hands[..12], &LIKE_ROSBAG2);
    let report = json(&evaluate_bag(&file, &["--json", "--recognizer", "image"]));
    let frames = report["frames"].as_array().expect("frames");
    let is_hard = |frame: &&Value| {
        let row = frame["probabilities"].as_array().expect("probabilities");
        let none = row[0].as_f64();
        row.iter().any(|other| other.as_f64() > none) || frame["reason"] != ""
    };
    let hard = frames.iter().filter(is_hard).count() as u64;
    assert!(hard > 0, "four frames show thumbs");
    let directory = tempfile::tempdir().expect("a directory");
    let dataset = directory.path().join("dataset");
    let found = json(&import_hard(&file, &dataset, &["--force"]));
    // Frames that change the label without a hand come on top.
    assert!(found["hard"].as_u64() >= Some(hard), "{found}");
    let saved = found["saved"].as_u64().expect("a number");
    let reasons = found["reasons"].as_object().expect("reasons");
    assert_eq!(reasons.values().filter_map(Value::as_u64).sum::<u64>(), saved);
    assert!(
        found["reasons"].to_string().contains("taken for thumbs_"),
        "{found}"
    );
    assert_eq!(support::files_in(&dataset.join("none")).len() as u64, saved);

    let easy: Vec<_> = hands
        .iter()
        .zip(frames)
        .filter(|(_, frame)| !is_hard(frame))
        .collect();
    let easy: Vec<_> = easy.into_iter().map(|(message, _)| message.clone()).collect();
    let (_bag, file) = write_bag(&easy, &LIKE_ROSBAG2);
    let nothing = json(&import_hard(&file, &directory.path().join("other"), &[]));
    assert_eq!((&nothing["hard"], &nothing["saved"]), (&0.into(), &0.into()));
    assert!(!directory.path().join("other").exists());
}

pub(crate) fn recording_of_thumbs_is_not_imported_as_hard_frames_of_none() {
    let (_bag, file) = write_bag(&hands(8)[8..], &LIKE_ROSBAG2);
    let directory = tempfile::tempdir().expect("a directory");
    let dataset = directory.path().join("dataset");
    let refused = failure(&import_hard(&file, &dataset, &[]));
    assert!(
        refused.contains("of 16 frames for another label than none; nothing was saved")
            && refused.contains("--force"),
        "{refused}"
    );
    assert!(!dataset.exists());
    assert!(json(&import_hard(&file, &dataset, &["--force", "--frames", "3"]))["saved"] == 3);
    let without = usage_error(&import(&file, &dataset, &["--label", "none", "--max-hands", "1"]));
    assert!(without.contains("--hard"), "{without}");
    let other = ["--label", "wave", "--hard", "--recognizer", "image", "--store"];
    let store = trained().0.path().join("store").display().to_string();
    let unknown = failure(&import(
        &file,
        &dataset,
        &[&other[..], &[store.as_str()]].concat(),
    ));
    assert!(
        unknown.contains("does not have the label wave") && unknown.contains("none, thumbs_down"),
        "{unknown}"
    );
}

pub(crate) fn thumbs_that_a_hand_shows_are_not_imported_as_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let bag = directory.path().join("photos");
    let mut export = support::program();
    export.args(["bag", "export", "--repeat", "4", "--dataset"]);
    export.arg(support::runner::photos()).arg(&bag);
    assert!(export.output().expect("starts").status.success());
    let dataset = directory.path().join("dataset");
    let hard = ["--label", "none", "--hard"];
    let refused = failure(&import(&bag, &dataset, &hard));
    assert!(
        refused.contains("builtin sees a hand and a stable thumbs_"),
        "{refused}"
    );
    assert!(!dataset.exists());
    let labels = directory.path().join("photos.labels.yaml").display().to_string();
    let found = json(&import(
        &bag,
        &dataset,
        &[&hard[..], &["--expect", labels.as_str()]].concat(),
    ));
    assert_eq!(found["selected"], 200, "{found}");
    assert!(found["hard"].as_u64() < Some(20), "{found}");
}

pub(crate) fn exported_dataset_is_evaluated_with_its_labels() {
    let (root, _) = trained();
    let directory = tempfile::tempdir().expect("a directory");
    let bag = directory.path().join("exported");
    let mut export = support::program();
    export
        .args(["bag", "export", "--rate", "20", "--dataset"])
        .arg(root.path().join("unseen"))
        .arg(&bag);
    // What an export that was killed leaves.
    let left = directory.path().join(".thumb_gesture-writing-left");
    fs::create_dir(&left).expect("creates");
    assert!(export.output().expect("starts").status.success());
    assert!(!left.exists());
    assert!(failure(&export.output().expect("starts")).contains("exists"));
    // What an export that was killed before the bag appeared leaves: its labels, but not those of something else.
    let labels = directory.path().join("exported.labels.yaml");
    let intervals = fs::read(&labels).expect("exists");
    fs::write(&labels, "[]").expect("writes");
    fs::remove_dir_all(&bag).expect("deletes");
    assert!(failure(&export.output().expect("starts")).contains("labels.yaml exists"));
    assert!(!bag.exists());
    fs::write(&labels, intervals).expect("writes");
    assert!(export.output().expect("starts").status.success());

    let page = directory.path().join("page.html");
    let mut evaluate = support::program();
    evaluate
        .args(["bag", "evaluate", "--json"])
        .arg(&bag)
        .arg("--store")
        .arg(root.path().join("store"));
    evaluate
        .arg("--expect")
        .arg(directory.path().join("exported.labels.yaml"))
        .arg("--html")
        .arg(&page);
    let report = json(&evaluate.output().expect("starts"));
    assert_eq!(report["agreement"]["frames"], 30);
    let lengths: Vec<_> = report["agreement"]["intervals"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|interval| {
            (
                interval["label"].as_str().unwrap_or_default(),
                interval["frames"].as_u64(),
            )
        })
        .collect();
    assert_eq!(
        lengths,
        [
            ("none", Some(10)),
            ("thumbs_down", Some(10)),
            ("thumbs_up", Some(10))
        ]
    );
    let page = fs::read_to_string(&page).expect("exists");
    assert!(page.contains("data:image/jpeg;base64,") && page.contains("expected"));
    assert!(
        !page.contains("<script") && !page.contains("://"),
        "no scripts and no external resources"
    );
}

pub(crate) fn compare_reports_the_frames_on_which_models_differ() {
    let (root, bag) = trained();
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("store");
    let copy = std::process::Command::new("cp")
        .arg("-r")
        .arg(root.path().join("store"))
        .arg(&store)
        .status();
    assert!(copy.expect("copies").success());
    // Trained with two labels swapped.
    let dataset = directory.path().join("dataset");
    support::draw_dataset(&dataset, 5, 20);
    fs::rename(dataset.join("thumbs_up"), dataset.join("other")).expect("renames");
    fs::rename(dataset.join("thumbs_down"), dataset.join("thumbs_up")).expect("renames");
    fs::rename(dataset.join("other"), dataset.join("thumbs_down")).expect("renames");
    let right = json(&support::models(&store, &["list", "--json"]));
    let right = right["models"][0]["id"].as_str().expect("an id").to_owned();
    let wrong = support::model_id(&json(&support::train(&dataset, &store, &["--copies", "1"])));
    let compare = |models: &str, more: &[&str]| {
        let mut command = support::program();
        command
            .args(["bag", "compare", "--json", "--models", models])
            .arg(bag)
            .arg("--store")
            .arg(&store);
        command.args(more).output().expect("starts")
    };
    let same = json(&compare(&format!("{right},{right}"), &[]));
    assert_eq!((&same["frames"], &same["differ"]), (&24.into(), &0.into()));
    let page = directory.path().join("page.html");
    let found = json(&compare(
        &format!("{right},{wrong}"),
        &["--html", &page.display().to_string()],
    ));
    assert!(found["differ"].as_u64() > Some(8), "{found}");
    let spans = found["spans"].as_array().expect("a list");
    assert!(spans.iter().all(|span| span["seen"][0] != span["seen"][1]));
    assert!(
        fs::read_to_string(page)
            .expect("exists")
            .contains("data:image/jpeg")
    );
    assert!(failure(&compare(&right, &[])).contains("--models has 1 ids, must be two"));
}

/// Runs the commands of docs/guides/bags.md.
pub(crate) fn walkthrough_in_docs_works() {
    let photos = support::runner::photos();
    let page = include_str!("../../docs/guides/bags.md");
    let begin = page
        .find("thumb_gesture bag export photo_bag --dataset \"$PHOTOS\"")
        .expect("the commands");
    let block = &page[begin..begin + page[begin..].find("```").expect("the end of the block")];
    let directory = tempfile::tempdir().expect("a directory");
    let program = Path::new(env!("CARGO_BIN_EXE_thumb_gesture"))
        .parent()
        .expect("a directory");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = std::process::Command::new("bash")
        .args(["-e", "-c", block])
        .current_dir(directory.path())
        .env("PATH", format!("{}:{path}", program.display()))
        .env("PHOTOS", photos.canonicalize().expect("exists"))
        .output()
        .expect("starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        stdout.contains("frames correct: ") && stdout.contains("differ on "),
        "{stdout}"
    );
    let saved: usize = stdout.matches(" frames saved as ").count();
    assert_eq!(saved, 6, "{stdout}");
    assert!(
        directory.path().join("differences.html").exists() && directory.path().join("first.html").exists()
    );
}
