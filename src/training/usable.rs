//! Which labels of a dataset a training can use.

use super::error::TrainingError;
use crate::dataset::{Dataset, check_spellings};
use crate::gesture::Gesture;

/// Maximum number of labels, as many as ImageNet has.
const MAX_LABELS: usize = 1000;

/// Leaves out the labels without images, if `skip_empty_labels` is true, and checks the others.
///
/// # Errors
/// There are labels without images that must not be left out, two spellings of one label, fewer than two labels, or more than
/// [`MAX_LABELS`].
pub fn usable(dataset: &Dataset, skip_empty_labels: bool) -> Result<Dataset, TrainingError> {
    check_spellings(dataset)?;
    let dataset = dataset.clone().without_empty_labels(skip_empty_labels)?;
    let (root, labels) = (dataset.root.clone(), dataset.labels.len());
    if labels > MAX_LABELS {
        let max = MAX_LABELS;
        return Err(TrainingError::TooManyLabels { root, labels, max });
    }
    let found = match dataset.labels.as_slice() {
        [] => "no frames".to_owned(),
        [frames] => {
            let label = &frames.label;
            match dataset.directories_in_label(frames).join(", ") {
                none if none.is_empty() => format!("only frames of {label}"),
                directories => format!(
                    "only frames of {label}, in its directories {directories} (if these are the labels, use --dataset {})",
                    root.join(label.as_str()).display()
                ),
            }
        }
        _ => return Ok(dataset),
    };
    Err(TrainingError::TooFewLabels { root, found })
}

/// A warning if no label of the dataset is `none`.
pub(super) fn warning_without_none(dataset: &Dataset) -> Option<String> {
    let is_none = |label: &str| Gesture::from_label(label) == Gesture::None;
    let mut labels = dataset.labels.iter();
    (!labels.any(|frames| is_none(frames.label.as_str()))).then(|| {
        format!(
            "{} has no frames of the label none, so every image will be taken for a gesture, even one of an empty room; \
             capture frames without a gesture as none and train again",
            dataset.root.display()
        )
    })
}
