//! A label that is safe as the name of a directory.

use serde::{Deserialize, Serialize};

/// The name of what a frame shows, and of the directory it lies in.
///
/// 1 to [`Label::LONGEST`] of `a-z`, `A-Z`, `0-9`, `_` and `-`, not beginning with `-`: such a name stays inside the dataset on any
/// file system, and no shell takes it for an option.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

/// A name that is no label; says the rule.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is no label: a label is 1 to {longest} characters of a-z, A-Z, 0-9, '_' and '-', and does not begin with '-'",
    longest = Label::LONGEST
)]
pub struct LabelError(String);

impl Label {
    /// The longest label, in characters.
    pub const LONGEST: usize = 64;

    /// The label of that name.
    ///
    /// # Errors
    /// [`LabelError`] for every name that breaks the rule.
    pub fn new(name: &str) -> Result<Label, LabelError> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let is_label = (1..=Label::LONGEST).contains(&name.len())
            && name.chars().all(is_allowed)
            && !name.starts_with('-');
        if is_label {
            Ok(Label(name.to_owned()))
        } else {
            Err(LabelError(name.chars().take(Label::LONGEST).collect()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
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
    fn names_of_directories_are_labels() {
        for name in ["none", "thumbs_up", "Wave-2", "_", &"a".repeat(64)] {
            assert_eq!(Label::new(name).expect(name).as_str(), name);
        }
    }

    #[test]
    fn names_that_could_leave_the_dataset_are_refused_with_the_rule() {
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
            assert!(!error.to_string().contains('\0'), "the answer carries no NUL");
        }
    }
}
