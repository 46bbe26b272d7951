//! Strategy `auto`: which strategy to try after `last_layer`, and whether it is better.
//!
//! The decision depends on how well the last layer alone separates the labels, and on the number of frames.

use crate::training::strategy::Strategy;

/// With at least this accuracy of `last_layer`, no other strategy is tried.
const SUFFICIENT_ACCURACY: f64 = 0.9;
/// Minimum number of frames of the smallest label for training the late layers.
const MIN_FRAMES_FOR_LATE_LAYERS: usize = 100;
/// Minimum number of frames of the smallest label for training all layers.
const MIN_FRAMES_FOR_FULL: usize = 1000;

/// What to do after the validation of `last_layer`, and why.
pub(super) enum NextStep {
    /// Keep `last_layer`.
    Keep(String),
    /// Compare `last_layer` with another strategy.
    Try(Strategy, String),
}

/// Decides by the accuracy of `last_layer` on the held-out frames, and by the number of frames of the smallest label.
pub(super) fn after_last_layer(accuracy: Option<f64>, smallest_label: usize) -> NextStep {
    let Some(accuracy) = accuracy else {
        return NextStep::Keep("auto: too few frames to hold some out and compare strategies".to_owned());
    };
    let measured = format!(
        "auto: last_layer classifies {:.1} % of the held-out frames correctly",
        accuracy * 100.0
    );
    if accuracy >= SUFFICIENT_ACCURACY {
        return NextStep::Keep(measured);
    }
    let frames = format!("{smallest_label} frames of the smallest label");
    match smallest_label {
        ..MIN_FRAMES_FOR_LATE_LAYERS => NextStep::Keep(format!(
            "{measured}, but {frames} are too few to train more layers; capture more frames like the misclassified ones"
        )),
        MIN_FRAMES_FOR_LATE_LAYERS..MIN_FRAMES_FOR_FULL => NextStep::Try(
            Strategy::LateLayers,
            format!("{measured}, and {frames} are enough to train the late layers"),
        ),
        MIN_FRAMES_FOR_FULL.. => NextStep::Try(
            Strategy::Full,
            format!("{measured}, and {frames} are enough to train all layers"),
        ),
    }
}

/// Whether an accuracy is higher than that of a cheaper strategy by more than one standard error of the latter, which was
/// measured on `frames` frames.
pub(super) fn is_clearly_better(accuracy: f64, cheaper_accuracy: f64, frames: usize) -> bool {
    accuracy > cheaper_accuracy + standard_error(cheaper_accuracy, frames)
}

/// The standard error of a binomial proportion that was measured on `frames` frames.
fn standard_error(proportion: f64, frames: usize) -> f64 {
    (proportion * (1.0 - proportion) / frames.max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(accuracy: f64, smallest_label: usize) -> Option<Strategy> {
        match after_last_layer(Some(accuracy), smallest_label) {
            NextStep::Keep(_) => None,
            NextStep::Try(strategy, reason) => {
                assert!(reason.contains("80.0 %"), "{reason}");
                Some(strategy)
            }
        }
    }

    #[test]
    fn standard_error_decreases_with_more_frames() {
        assert!((standard_error(0.8, 100) - 0.04).abs() < 1e-9);
        assert!(standard_error(0.8, 10_000) < 0.005);
    }

    #[test]
    fn more_layers_are_tried_if_accuracy_is_low_and_frames_suffice() {
        assert_eq!(tried(0.99, 5000), None);
        assert_eq!(tried(0.8, 30), None);
        assert_eq!(tried(0.8, 300), Some(Strategy::LateLayers));
        assert_eq!(tried(0.8, 5000), Some(Strategy::Full));
        assert!(matches!(after_last_layer(None, 1), NextStep::Keep(_)));
    }
}
