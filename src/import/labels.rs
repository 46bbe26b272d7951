//! The labels of an imported model: those that are given, or those that the file carries. They are never guessed.

use super::ImportError;
use crate::dataset::Label;
use crate::text::printable;
use crate::weights::listing::ClassNames;

/// Maximum number of labels in an example.
const MAX_EXAMPLES: usize = 5;

/// The label of each output.
///
/// # Errors
/// The number of labels differs from the number of outputs, a label is given twice, or no labels are given and the file does not
/// carry valid ones.
pub(super) fn labels_for(
    outputs: usize,
    given: &[Label],
    carried: &[ClassNames],
) -> Result<Vec<Label>, ImportError> {
    if given.is_empty() {
        return carried_labels(outputs, carried);
    }
    if given.len() != outputs {
        return Err(ImportError::LabelCount {
            outputs,
            given: given.len(),
            example: example(outputs),
        });
    }
    match duplicate(given) {
        Some(label) => Err(ImportError::DuplicateLabel(label.clone())),
        None => Ok(given.to_vec()),
    }
}

/// The labels that the file carries, if there is exactly one list of as many valid names as outputs.
fn carried_labels(outputs: usize, carried: &[ClassNames]) -> Result<Vec<Label>, ImportError> {
    let fitting: Vec<&ClassNames> = carried
        .iter()
        .filter(|class_names| class_names.names.len() == outputs)
        .collect();
    let missing = |in_file: String| ImportError::NoLabels {
        outputs,
        in_file,
        example: example(outputs),
    };
    let Some(first) = fitting.first() else {
        return Err(missing("the file does not name them".to_owned()));
    };
    if let Some(other) = fitting.iter().find(|other| other.names != first.names) {
        let (first, other) = (described(first), described(other));
        return Err(missing(format!(
            "the file names them twice: {first}, and {other}"
        )));
    }
    let labels: Result<Vec<Label>, _> = first.names.iter().map(|name| Label::new(name)).collect();
    match labels {
        Ok(labels) if duplicate(&labels).is_none() => Ok(labels),
        Ok(_) => Err(missing(format!("{} repeats a name", described(first)))),
        Err(cause) => Err(missing(format!("{}: {cause}", described(first)))),
    }
}

fn described(class_names: &ClassNames) -> String {
    let names: Vec<String> = class_names
        .names
        .iter()
        .take(MAX_EXAMPLES)
        .map(|name| printable(name))
        .collect();
    format!(
        "{} in the file is {}",
        printable(&class_names.key),
        names.join(", ")
    )
}

fn duplicate(labels: &[Label]) -> Option<&Label> {
    let is_duplicate =
        |(index, label): &(usize, &Label)| Label::find(&labels[..*index], label.as_str()).is_some();
    labels
        .iter()
        .enumerate()
        .find(is_duplicate)
        .map(|(_, label)| label)
}

/// A valid value of the option for this number of outputs; for two outputs both orders.
fn example(outputs: usize) -> String {
    if outputs == 2 {
        return "--labels thumbs_down,thumbs_up or --labels thumbs_up,thumbs_down".to_owned();
    }
    let labels: Vec<String> = (1..=outputs.min(MAX_EXAMPLES))
        .map(|number| format!("label{number}"))
        .collect();
    format!("--labels {}", labels.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class_names(key: &str, names: &[&str]) -> ClassNames {
        ClassNames {
            key: key.to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn labels_are_never_guessed() {
        for outputs in [1, 2, 3, 1001] {
            let error = labels_for(outputs, &[], &[]).expect_err("no labels").to_string();
            assert!(error.contains(&format!("{outputs} output")), "{error}");
            assert!(error.contains("--labels "), "{error}");
        }
        let two = labels_for(2, &[], &[]).expect_err("no labels").to_string();
        assert!(
            two.contains("thumbs_down,thumbs_up") && two.contains("thumbs_up,thumbs_down"),
            "{two}"
        );
    }

    #[test]
    fn one_list_of_valid_names_in_the_file_is_used() {
        let up_first = class_names("classes", &["thumbs_up", "thumbs_down"]);
        let unrelated = class_names("class_weights_of", &["a", "b", "c"]);
        let labels = labels_for(2, &[], &[unrelated, up_first.clone(), up_first.clone()]).expect("labels");
        assert_eq!(labels[0].as_str(), "thumbs_up");

        let down_first = class_names("old.classes", &["thumbs_down", "thumbs_up"]);
        let twice = labels_for(2, &[], &[up_first, down_first]).expect_err("contradicts itself");
        assert!(twice.to_string().contains("old.classes"), "{twice}");
        for names in [["thumbs up", "none"], ["up", "up"]] {
            let invalid = labels_for(2, &[], &[class_names("classes", &names)]).expect_err("invalid");
            assert!(invalid.to_string().contains(names[0]), "{invalid}");
        }
    }

    #[test]
    fn given_labels_replace_those_of_the_file() {
        let given = ["up", "down"].map(|name| Label::new(name).expect("valid"));
        let carried = [class_names("classes", &["down", "up"])];
        assert_eq!(labels_for(2, &given, &carried).expect("labels"), given);
    }
}
