//! Files of a dataset that cannot be used, and their summary for people.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Label;
use crate::text::escape_controls;

/// Maximum number of reasons per label in a summary.
const MAX_REASONS: usize = 8;

/// A file that was skipped because it cannot be read or is not a valid image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedFile {
    /// The path of the file.
    pub file: String,
    /// Why it was skipped, and how to fix it; the same text for all files with the same problem.
    pub reason: String,
}

impl SkippedFile {
    /// `reason` says how to fix it as well.
    pub fn new(path: &Path, reason: &impl ToString) -> SkippedFile {
        SkippedFile {
            file: path.display().to_string(),
            reason: escape_controls(&reason.to_string()).into_owned(),
        }
    }
}

/// One sentence for each reason, with the number of files and the first of them. `label` is the label of all files, if they have one.
pub fn summarize(label: Option<&Label>, files: &[SkippedFile]) -> Vec<String> {
    let mut groups: Vec<(&SkippedFile, usize)> = Vec::new();
    let mut others = 0;
    for file in files {
        match groups.iter().position(|(first, _)| first.reason == file.reason) {
            Some(group) => groups[group].1 += 1,
            None if groups.len() < MAX_REASONS => groups.push((file, 1)),
            None => others += 1,
        }
    }
    let prefix = label.map_or(String::new(), |label| format!("label {label}: "));
    let mut sentences: Vec<String> = groups
        .into_iter()
        .map(|(first, count)| match count {
            1 => format!(
                "{prefix}{} is skipped: {}",
                escape_controls(&first.file),
                first.reason
            ),
            _ => format!(
                "{prefix}{count} files are skipped, such as {}: {}",
                escape_controls(&first.file),
                first.reason
            ),
        })
        .collect();
    if others > 0 {
        sentences.push(format!("{prefix}{others} files are skipped for other reasons"));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(file: &str, reason: &str) -> SkippedFile {
        SkippedFile::new(Path::new(file), &reason)
    }

    #[test]
    fn files_with_the_same_reason_are_counted_with_an_example() {
        let label = Label::new("none").expect("a label");
        let heic = "a HEIF image (HEIC); convert it to JPEG";
        let files = [
            skipped("d/none/1.HEIC", heic),
            skipped("d/none/b.jpg", "empty"),
            skipped("d/none/2.HEIC", heic),
        ];
        assert_eq!(
            summarize(Some(&label), &files),
            [
                "label none: 2 files are skipped, such as d/none/1.HEIC: a HEIF image (HEIC); convert it to JPEG",
                "label none: d/none/b.jpg is skipped: empty",
            ]
        );
    }

    #[test]
    fn name_of_a_file_cannot_control_a_terminal_or_add_a_line() {
        let sentences = summarize(None, &[skipped("a\u{1b}[2J\nb.jpg", "empty")]);
        assert_eq!(sentences, ["a\\u001b[2J\\u000ab.jpg is skipped: empty"]);
    }

    #[test]
    fn number_of_reasons_is_limited() {
        let files: Vec<SkippedFile> = (0..100).map(|i| skipped("a", &i.to_string())).collect();
        let sentences = summarize(None, &files);
        assert_eq!(sentences.len(), MAX_REASONS + 1);
        assert!(sentences[MAX_REASONS].starts_with("92 files"), "{sentences:?}");
    }
}
