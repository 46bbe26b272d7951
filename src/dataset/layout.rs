//! Recognizes directories that are one level above or below a dataset, so that their subdirectories are not mistaken for labels.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::listing::Listing;
use super::{DatasetError, SkippedFile};
use crate::gesture::Gesture;

/// Names of the parts of a divided dataset, as Keras, jetson-inference and Roboflow use them; the last one is best for an evaluation.
pub(super) const PARTS: [&str; 5] = ["train", "val", "valid", "validation", "test"];

/// Checks that the directories in `root` are those of labels; `images` are the images that are directly in `root`.
///
/// # Errors
/// Directories hold datasets, or `root` is the directory of a label.
pub(super) fn check(
    root: &Path,
    directories: &BTreeMap<PathBuf, Listing>,
    images: &[SkippedFile],
) -> Result<(), DatasetError> {
    let mut datasets: Vec<&Path> = directories
        .iter()
        .filter(|(path, listing)| is_dataset(path, listing))
        .map(|(path, _)| path.as_path())
        .collect();
    datasets.sort_by_key(|path| PARTS.iter().position(|part| path.ends_with(part)));
    let error = |found: String, fix: String| {
        let root = root.to_owned();
        Err(DatasetError::Layout { root, found, fix })
    };
    if let Some(first) = datasets.first() {
        let named = |name: &&str| datasets.iter().find(|path| path.ends_with(name));
        let train = named(&"train").unwrap_or(first);
        let mut fix = format!("--dataset {}", train.display());
        if let Some(test) = PARTS[1..].iter().rev().find_map(named) {
            fix += &format!(", and {} for evaluate", test.display());
        }
        return error(enumerated(&datasets), fix);
    }
    let has_labels = directories
        .values()
        .any(|listing| !listing.images.is_empty() || !listing.skipped.is_empty());
    let absolute = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    let is_label = gesture_of(absolute.file_name()) != Gesture::Other;
    match absolute.parent() {
        Some(parent) if !images.is_empty() && (is_label || !has_labels) => error(
            "images".to_owned(),
            format!(
                "--dataset {} if this is the directory of a label, or else move them into one directory per label",
                parent.display()
            ),
        ),
        _ => Ok(()),
    }
}

/// The names of the subdirectories of a label's directory that hold all of its files; empty if a file is directly in it.
pub(super) fn subdirectories<'a>(
    directory: &Path,
    files: impl Iterator<Item = &'a Path>,
) -> BTreeSet<&'a OsStr> {
    let mut names = BTreeSet::new();
    for file in files {
        let mut components = file.strip_prefix(directory).unwrap_or(file).components();
        match (components.next(), components.next()) {
            (Some(name), Some(_)) => names.insert(name.as_os_str()),
            _ => return BTreeSet::new(),
        };
    }
    names
}

/// Whether a directory without images of its own has directories of labels, or is a part of a divided dataset.
fn is_dataset(path: &Path, listing: &Listing) -> bool {
    let images = listing.images.iter().map(PathBuf::as_path);
    let skipped = listing.skipped.iter().map(|skipped| Path::new(&skipped.file));
    // Files such as a list of the labels may be beside the directories.
    let names = if listing.images.is_empty() {
        subdirectories(path, skipped)
    } else {
        subdirectories(path, images)
    };
    let is_part = |name: &OsStr| PARTS.iter().any(|part| name == *part);
    let mut gestures: Vec<Gesture> = Vec::new();
    for gesture in names.iter().map(|name| gesture_of(Some(name))) {
        if gesture != Gesture::Other && !gestures.contains(&gesture) {
            gestures.push(gesture);
        }
    }
    !names.is_empty() && path.file_name().is_some_and(is_part)
        || gestures.len() >= 2
        || names.iter().filter(|name| is_part(name)).count() >= 2
}

fn gesture_of(name: Option<&OsStr>) -> Gesture {
    Gesture::from_label(&name.unwrap_or_default().to_string_lossy())
}

/// The names of directories, such as `train, val and test`.
fn enumerated(directories: &[&Path]) -> String {
    let mut names: Vec<String> = directories
        .iter()
        .map(|path| path.file_name().unwrap_or_default().display().to_string())
        .collect();
    let last = names.pop().unwrap_or_default();
    match names.join(", ") {
        first if first.is_empty() => last,
        first => format!("{first} and {last}"),
    }
}
