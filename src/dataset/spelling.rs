//! Labels that are spelled in several ways, such as `thumbs_up` and `thumbsup`: one label must not become two.

use std::path::{Path, PathBuf};

use super::{Dataset, DatasetError, Label, LabeledFrames, listing};
use crate::gesture::Gesture;

/// Checks that no two labels of a dataset are spellings of one.
///
/// # Errors
/// Two or more are; the error has the command that merges them.
pub fn check_spellings(dataset: &Dataset) -> Result<(), DatasetError> {
    let labels = &dataset.labels;
    for (index, frames) in labels.iter().enumerate() {
        let is_same = |other: &&LabeledFrames| frames.label.is_spelling_of(other.label.as_str());
        let same: Vec<&LabeledFrames> = labels[index..].iter().filter(is_same).collect();
        if same.len() > 1 {
            return Err(merge_error(&dataset.root, &same));
        }
    }
    Ok(())
}

/// The directories are merged as subdirectories, so that files of the same name do not replace each other.
fn merge_error(root: &Path, same: &[&LabeledFrames]) -> DatasetError {
    let usual = |frames: &&&LabeledFrames| {
        let label = frames.label.as_str();
        Gesture::from_label(label).label() == label
    };
    let most = || same.iter().max_by_key(|frames| frames.files.len());
    let kept = same.iter().find(usual).or_else(most).map(|frames| &frames.label);
    let names: Vec<&str> = same.iter().map(|frames| frames.label.as_str()).collect();
    let directory = |label: &Label| root.join(label.as_str());
    let commands: Vec<String> = same
        .iter()
        .filter(|frames| Some(&frames.label) != kept)
        .map(|frames| {
            let target = kept.map_or_else(PathBuf::new, directory);
            move_command(&directory(&frames.label), &target.join(""))
        })
        .collect();
    DatasetError::Spellings {
        names: names.join(" and "),
        command: commands.join(" && "),
    }
}

/// The spelling of a label that a dataset already has, or the label itself if it is new.
pub fn existing_spelling(root: &Path, label: &Label) -> Label {
    // A dataset that cannot be read has no labels yet; saving a frame reports the error.
    let directories = listing::entries(root).unwrap_or_default().into_iter();
    let labels: Vec<Label> = directories
        .filter(|path| path.is_dir())
        .filter_map(|path| Label::new(&path.file_name()?.to_string_lossy()).ok())
        .collect();
    Label::find(&labels, label.as_str()).map_or_else(|| label.clone(), |index| labels[index].clone())
}

/// A valid label that an invalid name probably means.
pub(super) fn valid_name(name: &str) -> Option<String> {
    match Gesture::from_label(name) {
        Gesture::Other => {
            let name = name.trim().replace(char::is_whitespace, "_");
            Label::new(&name).is_ok().then_some(name)
        }
        gesture => Some(gesture.label().to_owned()),
    }
}

/// The shell command that moves a file or directory.
pub(super) fn move_command(from: &Path, to: &Path) -> String {
    format!("mv {} {}", quoted(from), quoted(to))
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "_-./+,:@%=".contains(c);
    if path.chars().all(is_plain) {
        return path;
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(labels: &[(&str, usize)]) -> Dataset {
        let frames = |(label, count): &(&str, usize)| LabeledFrames {
            label: Label::new(label).expect("a label"),
            files: vec![PathBuf::from("a.jpg"); *count],
            skipped: Vec::new(),
        };
        Dataset {
            root: "my data".into(),
            labels: labels.iter().map(frames).collect(),
            skipped: Vec::new(),
        }
    }

    #[test]
    fn spellings_of_one_label_are_rejected_with_the_command_that_merges_them() {
        for (labels, message) in [
            (
                [("none", 1), ("thumbs_up", 1), ("thumbsup", 5)],
                "thumbs_up and thumbsup are spellings of one label; merge them: mv 'my data/thumbsup' 'my data/thumbs_up/'",
            ),
            (
                [("Wave", 1), ("none", 3), ("wave", 2)],
                "Wave and wave are spellings of one label; merge them: mv 'my data/Wave' 'my data/wave/'",
            ),
        ] {
            let error = check_spellings(&dataset(&labels)).expect_err("two spellings");
            assert_eq!(error.to_string(), message);
        }
        check_spellings(&dataset(&[("a_1", 1), ("a1", 1), ("thumbs_up", 1)])).expect("three labels");
    }

    #[test]
    fn capture_uses_the_spelling_of_the_dataset() {
        let root = tempfile::tempdir().expect("a directory");
        let label = |name: &str| Label::new(name).expect("a label");
        assert_eq!(
            existing_spelling(&root.path().join("missing"), &label("wave")),
            label("wave")
        );
        for name in ["thumbsup", "wave"] {
            std::fs::create_dir(root.path().join(name)).expect("creates");
        }
        for (name, spelling) in [
            ("thumbs_up", "thumbsup"),
            ("Wave", "wave"),
            ("thumbs_down", "thumbs_down"),
        ] {
            assert_eq!(existing_spelling(root.path(), &label(name)), label(spelling));
        }
    }
}
