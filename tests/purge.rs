//! `thumb_gesture purge`: what shows people is deleted, and nothing else.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use support::{files_in, json, program, thumb_gesture};
use thumb_gesture::model_store::ModelStore;

/// A dataset and a store with a model that was trained on it.
struct Robot {
    root: tempfile::TempDir,
}

impl Robot {
    fn new() -> Robot {
        let root = tempfile::tempdir().expect("a directory");
        let robot = Robot { root };
        support::draw_dataset(&robot.path("dataset"), 5, 3);
        ModelStore::open(&robot.path("store")).expect("creates");
        support::write_random_pretrained(&robot.path("store"), "squeezenet1_1");
        let recipe = "--network squeezenet1_1 --strategy last_layer --epochs 1 --copies 0 --folds 1 --force";
        let recipe: Vec<&str> = recipe.split(' ').collect();
        json(&support::train(
            &robot.path("dataset"),
            &robot.path("store"),
            &recipe,
        ));
        robot
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join(name)
    }

    fn purge(&self, more: &[&str]) -> serde_json::Value {
        let mut command = program();
        command
            .args(["purge", "--json", "--dataset"])
            .arg(self.path("dataset"));
        command.arg("--store").arg(self.path("store")).args(more);
        json(&command.output().expect("starts"))
    }
}

fn all_files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory)
        .expect("reads")
        .map(|entry| entry.expect("an entry").path());
    let (directories, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.extend(directories.iter().flat_map(|directory| all_files(directory)));
    files.sort();
    files
}

#[test]
fn nothing_is_deleted_without_yes() {
    let robot = Robot::new();
    let before = all_files(robot.root.path());
    let told = robot.purge(&[]);
    assert_eq!(told["deleted"], false);
    assert_eq!(all_files(robot.root.path()), before);
}

#[test]
fn frames_features_and_pictures_are_deleted_and_the_model_is_kept() {
    let robot = Robot::new();
    let (dataset, store) = (robot.path("dataset"), robot.path("store"));
    // What the dataset does not use may be somebody's notes, or a photo that cannot be decoded.
    fs::write(dataset.join("none/notes.txt"), "a note").expect("writes");
    fs::write(dataset.join("dataset.zip"), "an archive").expect("writes");
    let deleted = dataset.join(".trash/00000001/none");
    fs::create_dir_all(&deleted).expect("creates");
    fs::copy(&files_in(&dataset.join("none"))[0], deleted.join("1.png")).expect("copies");
    let elsewhere = robot.path("elsewhere");
    fs::create_dir(&elsewhere).expect("creates");
    fs::copy(&files_in(&dataset.join("none"))[0], elsewhere.join("family.png")).expect("copies");
    fs::create_dir(dataset.join("none/.ipynb_checkpoints")).expect("creates");
    fs::write(dataset.join("none/.ipynb_checkpoints/1.jpg"), "a copy").expect("writes");
    symlink(&elsewhere, dataset.join("none/linked")).expect("links");
    let interrupted = dataset.join(".thumb_gesture-writing-x");
    fs::create_dir(&interrupted).expect("creates");
    fs::copy(elsewhere.join("family.png"), interrupted.join("2.png")).expect("copies");
    symlink(elsewhere.join("family.png"), dataset.join("none/link.png")).expect("links");

    let told = robot.purge(&["--yes"]);
    let parts: Vec<(&str, u64)> = told["parts"]
        .as_array()
        .expect("parts")
        .iter()
        .map(|part| {
            (
                part["name"].as_str().expect("a name"),
                part["files"].as_u64().expect("a number"),
            )
        })
        .collect();
    assert_eq!(
        parts[..5],
        [
            ("frames of none", 3),
            ("frames of thumbs_down", 3),
            ("frames of thumbs_up", 3),
            ("left by interrupted commands", 1),
            ("trash", 1)
        ]
    );
    assert!(!dataset.join(".trash").exists() && !interrupted.exists());
    assert_eq!(parts[5].0, "features of frames");
    assert_eq!(parts[6], ("reports with pictures", 1));
    let kept = told["kept"].to_string();
    let others = [
        "linked/family.png",
        "link.png",
        "notes.txt",
        "dataset.zip",
        ".ipynb_checkpoints/1.jpg",
    ];
    assert!(others.iter().all(|name| kept.contains(name)), "{kept}");

    let left: Vec<String> = all_files(robot.root.path())
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let is_picture = |path: &&String| [".png", ".jpg", ".html"].iter().any(|end| path.ends_with(end));
    let pictures: Vec<&String> = left.iter().filter(is_picture).collect();
    assert!(
        elsewhere.join("family.png").exists(),
        "links that lead out of the dataset are not followed"
    );
    assert!(
        pictures
            .iter()
            .all(|path| path.ends_with("family.png") || others.iter().any(|other| path.ends_with(other))),
        "{pictures:?}"
    );
    assert!(!left.iter().any(|path| path.contains("/features/")), "{left:?}");
    assert!(dataset.join("none/notes.txt").exists() && !dataset.join("thumbs_up").exists());

    let shown = thumb_gesture([
        "models".as_ref(),
        "show".as_ref(),
        "--json".as_ref(),
        "--store".as_ref(),
        store.as_os_str(),
    ]);
    assert_eq!(json(&shown)["network"], "squeezenet1_1", "the model is intact");
    assert_eq!(robot.purge(&["--yes"])["parts"], serde_json::json!([]));
}

#[test]
fn directory_that_is_no_dataset_is_refused() {
    let robot = Robot::new();
    let refused = |directory: &Path| {
        let mut command = program();
        command.args(["purge", "--yes", "--dataset"]).arg(directory);
        support::failure(&command.output().expect("starts"))
    };
    let message = refused(robot.root.path());
    assert!(message.contains("--dataset"), "{message}");
    // A home directory, for example, has some images in many of its directories.
    let documents = robot.path("home/documents");
    fs::create_dir_all(&documents).expect("creates");
    fs::copy(
        &files_in(&robot.path("dataset/none"))[0],
        documents.join("image.png"),
    )
    .expect("copies");
    for name in ["letter.odt", "table.ods"] {
        fs::write(documents.join(name), "something else").expect("writes");
    }
    let message = refused(&robot.path("home"));
    assert!(message.contains("1 frames, but 2 other files"), "{message}");
    assert!(documents.join("image.png").exists());
    assert_eq!(files_in(&robot.path("dataset/none")).len(), 3);
    // Photos that are in no label, beside a directory with fewer.
    let photos = robot.path("photos");
    fs::create_dir_all(photos.join("holiday")).expect("creates");
    for name in ["1.png", "2.png", "holiday/3.png"] {
        fs::copy(&files_in(&robot.path("dataset/none"))[0], photos.join(name)).expect("copies");
    }
    assert!(refused(&photos).contains("1 frames, but 2 other files"));
    assert!(photos.join("holiday/3.png").exists());
}

#[test]
fn new_store_is_accessible_to_its_owner_alone() {
    let robot = Robot::new();
    let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
    let store = robot.path("store");
    for directory in [&store, &store.join("models")] {
        assert_eq!(mode(directory), 0o700, "{}", directory.display());
    }
    for file in all_files(&store) {
        // The pretrained weights are written by the test.
        if !file.starts_with(store.join("pretrained")) {
            assert_eq!(mode(&file) & 0o077, 0, "{}", file.display());
        }
    }
}

#[test]
fn trash_behind_a_link_is_kept_and_named() {
    let root = tempfile::tempdir().expect("a directory");
    let (dataset, elsewhere) = (root.path().join("dataset"), root.path().join("elsewhere"));
    support::draw_dataset(&dataset, 5, 1);
    fs::create_dir(&elsewhere).expect("creates");
    fs::copy(&files_in(&dataset.join("none"))[0], elsewhere.join("family.png")).expect("copies");
    symlink(&elsewhere, dataset.join(".trash")).expect("links");
    let told = purge_dataset(&dataset);
    assert!(told["kept"].to_string().contains(".trash"), "{told}");
    assert!(elsewhere.join("family.png").exists());
}

#[test]
fn photos_that_cannot_be_decoded_do_not_prevent_the_deletion_of_the_others() {
    let root = tempfile::tempdir().expect("a directory");
    let dataset = root.path().join("dataset");
    support::draw_dataset(&dataset, 5, 1);
    for number in 0..9 {
        let heic = [b"\0\0\0\x18ftypheic", [number; 12].as_slice()].concat();
        fs::write(dataset.join(format!("none/{number}.heic")), heic).expect("writes");
    }
    let told = purge_dataset(&dataset);
    assert_eq!(told["deleted"], true);
    assert_eq!(told["kept"].as_array().expect("files").len(), 9);
    // The trash alone is deleted as well.
    let deleted = dataset.join(".trash/00000001/none");
    fs::create_dir_all(&deleted).expect("creates");
    fs::write(deleted.join("1.png"), "a photo").expect("writes");
    assert_eq!(purge_dataset(&dataset)["parts"][0]["name"], "trash");
}

/// The result of `thumb_gesture purge --yes` for a dataset.
fn purge_dataset(dataset: &Path) -> serde_json::Value {
    let mut command = program();
    command
        .args(["purge", "--json", "--yes", "--dataset"])
        .arg(dataset);
    json(&command.output().expect("starts"))
}
