use super::*;

fn directory_with(files: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    for file in files {
        let path = root.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("creates");
        std::fs::write(path, b"\xff\xd8\xff\xe0").expect("writes");
    }
    root
}

fn error(root: &Path) -> String {
    Dataset::read(root).expect_err("is rejected").to_string()
}

#[test]
fn labels_and_files_are_sorted_without_hidden_entries() {
    let root = directory_with(&[
        "thumbsup/b.jpg",
        "thumbsup/a.PNG",
        "thumbsup/.half.jpg",
        "none/c.jpeg",
        ".ipynb_checkpoints/d.jpg",
        "readme.jpg",
    ]);
    let dataset = Dataset::read(root.path()).expect("reads");
    let labels: Vec<&str> = dataset
        .labels
        .iter()
        .map(|frames| frames.label.as_str())
        .collect();
    assert_eq!(labels, ["none", "thumbsup"]);
    let names: Vec<_> = dataset.labels[1]
        .files
        .iter()
        .map(|file| file.file_name())
        .collect();
    assert_eq!(names, [Some("a.PNG".as_ref()), Some("b.jpg".as_ref())]);
    assert_eq!(dataset.frame_count(), 3);
}

#[test]
fn label_without_usable_images_is_an_error_unless_it_is_left_out() {
    let root = directory_with(&["thumbs_up/a.jpg"]);
    std::fs::create_dir(root.path().join("empty")).expect("creates");
    std::os::unix::fs::symlink("/nowhere/none", root.path().join("none")).expect("links");
    let heic = root.path().join("thumbs_down/IMG_1.jpg");
    std::fs::create_dir(heic.parent().expect("a parent")).expect("creates");
    std::fs::write(&heic, b"\0\0\0\x18ftypheic\0\0\0\0").expect("writes");
    let dataset = Dataset::read(root.path()).expect("reads");
    assert_eq!(dataset.frame_count(), 1);
    let warnings = dataset.warnings();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    let error = dataset
        .clone()
        .without_empty_labels(false)
        .expect_err("empty")
        .to_string();
    for part in [
        "label empty has no usable image",
        "label none has no usable image",
        "symbolic link",
        "label thumbs_down has no usable image",
        "IMG_1.jpg is skipped: a HEIF image (HEIC); convert it to JPEG",
        "--skip-empty-labels",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let rest = dataset.without_empty_labels(true).expect("left out");
    assert_eq!(rest.labels.len(), 1);
    assert_eq!(rest.all_skipped().count(), 2, "the files stay in the report");
}

#[test]
fn images_beside_the_labels_are_reported() {
    let root = directory_with(&["none/a.jpg", "b.jpg"]);
    std::fs::write(root.path().join("readme.txt"), "text").expect("writes");
    let warnings = Dataset::read(root.path()).expect("reads").warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("b.jpg is skipped: belongs to no label"),
        "{warnings:?}"
    );
}

#[test]
fn divided_datasets_are_named_with_the_directories_to_use() {
    let root = directory_with(&[
        "train/thumbs_up/a.jpg",
        "train/none/a.jpg",
        "val/wave/a.jpg",
        "test/none/a.jpg",
    ]);
    std::fs::write(root.path().join("train/_classes.csv"), "none, thumbs_up").expect("writes");
    let path = root.path().display();
    assert_eq!(
        error(root.path()),
        format!(
            "{path} holds train, val and test instead of one directory of images per label; \
             use --dataset {path}/train, and {path}/test for evaluate"
        )
    );
    let labels = directory_with(&["test/a.jpg", "train/b.jpg"]);
    std::fs::create_dir(labels.path().join("test/raw")).expect("creates");
    std::fs::write(labels.path().join("test/raw/notes.txt"), "text").expect("writes");
    let dataset = Dataset::read(labels.path()).expect("directories with images are labels");
    assert_eq!(dataset.labels.len(), 2);
}

#[test]
fn directory_above_or_below_the_dataset_is_rejected_with_the_right_one() {
    let root = directory_with(&[
        "data/thumbs_up/a.jpg",
        "data/thumbs_down/s1/a.jpg",
        "data/none/a.jpg",
    ]);
    let path = root.path().display();
    let above = error(root.path());
    assert!(above.ends_with(&format!("use --dataset {path}/data")), "{above}");
    let below = error(&root.path().join("data/thumbs_up"));
    assert!(
        below.contains("holds images") && below.contains(&format!("--dataset {path}/data if")),
        "{below}"
    );
    let days = directory_with(&[
        "day1/none/a.jpg",
        "day1/thumbs_up/a.jpg",
        "day2/none/b.jpg",
        "day2/thumbsup/a.jpg",
    ]);
    assert!(error(days.path()).contains("holds day1 and day2"));
}

#[test]
fn file_instead_of_a_directory_is_named_as_what_it_is() {
    let root = directory_with(&["data.zip"]);
    let file = root.path().join("data.zip");
    std::fs::write(&file, b"\x1f\x8b\x08\0").expect("writes");
    let error = error(&file);
    assert!(
        error.contains("is a gzip file") && error.contains("unpack it"),
        "{error}"
    );
}

#[test]
fn directory_with_an_invalid_label_is_rejected_with_its_path() {
    let root = directory_with(&["thumbs up/a.jpg"]);
    let error = Dataset::read(root.path()).expect_err("labels have no spaces");
    let path = root.path().display();
    let command = format!("(mv '{path}/thumbs up' {path}/thumbs_up)");
    assert!(error.to_string().contains(&command), "{error}");
}

#[test]
fn missing_directory_is_rejected_with_its_path() {
    let error = Dataset::read(Path::new("/no/such/directory")).expect_err("does not exist");
    assert!(error.to_string().contains("/no/such/directory"), "{error}");
}
