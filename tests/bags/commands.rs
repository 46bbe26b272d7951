//! `thumb_gesture bag compare`, `import` and `export`.

use std::fs;
use std::path::Path;

use crate::evaluation::trained;
use crate::support::{self, failure, json};
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

pub(crate) fn import_saves_one_burst_without_near_duplicates_and_rejects_a_repetition() {
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
    assert!(
        failure(&import(&["--to", "0.15"])).contains("exists"),
        "the same frames a second time"
    );
    assert!(failure(&import(&["--from", "2", "--to", "1"])).contains("--to greater than --from"));
    let every = json(&import(&["--from", "0.2", "--every", "2"]));
    assert_eq!(every["saved"], 3);
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
    assert!(export.output().expect("starts").status.success());
    assert!(failure(&export.output().expect("starts")).contains("exists"));

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
