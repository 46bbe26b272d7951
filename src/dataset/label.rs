//! Labels, which are also names of directories.

use serde::{Deserialize, Serialize};

use crate::gesture::Gesture;
use crate::text::shorten;

/// The name of what a frame shows, and of the directory that holds the frame.
///
/// A label has 1 to [`Label::MAX_LEN`] characters of `a-z`, `A-Z`, `0-9`, `_` and `-`, and does not start with `-`. Such a name
/// cannot escape the dataset on any file system, and a shell does not parse it as an option.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

/// A name is not a valid label.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is not a valid label; a label is 1 to {max} characters of a-z, A-Z, 0-9, '_' and '-', and does not start with '-'",
    max = Label::MAX_LEN
)]
pub struct LabelError(String);

impl Label {
    /// Maximum length in characters.
    pub const MAX_LEN: usize = 64;

    /// Checks a name; see [`Label`] for the rule.
    ///
    /// # Errors
    /// The name breaks the rule.
    pub fn new(name: &str) -> Result<Label, LabelError> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let is_valid = (1..=Label::MAX_LEN).contains(&name.len())
            && name.chars().all(is_allowed)
            && !name.starts_with('-');
        if is_valid {
            Ok(Label(name.to_owned()))
        } else {
            Err(LabelError(shorten(name)))
        }
    }

    /// The label as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the label or another spelling of it: the same gesture, or the same text apart from letter case and `-` for `_`.
    pub fn is_spelling_of(&self, name: &str) -> bool {
        meaning(&self.0) == meaning(name)
    }

    /// Index of a label by its name or, if no label has that name, by another spelling of it.
    pub fn find(labels: &[Label], name: &str) -> Option<usize> {
        let exact = labels.iter().position(|label| label.0 == name);
        exact.or_else(|| labels.iter().position(|label| label.is_spelling_of(name)))
    }
}

/// A text that all spellings of a label share.
fn meaning(name: &str) -> String {
    match Gesture::from_label(name) {
        Gesture::Other => name.to_lowercase().replace('-', "_"),
        gesture => gesture.label().to_owned(),
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Label {
    type Error = LabelError;

    fn try_from(name: String) -> Result<Label, LabelError> {
        Label::new(&name)
    }
}

impl From<Label> for String {
    fn from(label: Label) -> String {
        label.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_allowed_characters_are_labels() {
        for name in ["none", "thumbs_up", "Wave-2", "_", &"a".repeat(64)] {
            assert_eq!(Label::new(name).expect(name).as_str(), name);
        }
    }

    #[test]
    fn label_is_found_by_its_name_or_another_spelling() {
        let labels = ["none", "thumbs_up", "wave", "Wave", "a_1"].map(|name| Label::new(name).expect(name));
        for (name, index) in [
            ("Wave", Some(3)),
            ("WAVE", Some(2)),
            ("thumbsup", Some(1)),
            ("Thumbs up", Some(1)),
            ("A-1", Some(4)),
            ("a1", None),
            ("thumbs_down", None),
        ] {
            assert_eq!(Label::find(&labels, name), index, "{name}");
        }
    }

    #[test]
    fn names_that_could_escape_the_dataset_are_rejected_with_the_rule() {
        let long = "a".repeat(300);
        for name in [
            "",
            ".",
            "..",
            ".hidden",
            "/",
            "a/b",
            "../up",
            "a\0b",
            "-rf",
            "thumbs up",
            "dämon",
            &long,
        ] {
            let error = Label::new(name).expect_err(name);
            assert!(error.to_string().contains("a-z"), "{error}");
            assert!(!error.to_string().contains('\0'), "the message contains a NUL");
        }
    }
}
