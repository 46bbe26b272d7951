//! Whether the exported file computes what the trained network does.

use std::path::Path;

use super::{Progress, TrainingError};
use crate::all_cores;
use crate::classifier::onnx::OnnxClassifier;
use crate::evaluation::{FileClassifier, likeliest};

/// No more frames are checked than this, spread over all.
const MOST_FRAMES: usize = 64;
/// The two runtimes add up thousands of products in different orders, so they differ by a part of what they add up.
const TOLERANCE: f32 = 1e-2;

/// A frame and the trained network's logits for it.
pub struct Checked<'a> {
    /// The file.
    pub file: &'a Path,
    /// One logit for each label.
    pub logits: &'a [f32],
}

/// Runs the exported file on frames: its logits must be those of the trained network. Gives their greatest [`difference`].
///
/// # Errors
/// A file that does not run, and [`TrainingError::ExportDisagrees`].
pub fn check(
    onnx_file: &Path,
    frames: &[Checked],
    labels: usize,
    on_progress: &mut impl FnMut(Progress),
) -> Result<f32, TrainingError> {
    let classifier = OnnxClassifier::load(onnx_file, labels, all_cores())?;
    let mut exported = FileClassifier::with_labels(Box::new(classifier), labels);
    let step = frames.len().div_ceil(MOST_FRAMES).max(1);
    let checked: Vec<&Checked> = frames.iter().step_by(step).collect();
    let total = checked.len();
    let mut greatest = 0.0f32;
    for (done, frame) in checked.into_iter().enumerate() {
        on_progress(Progress::Export { done, total });
        let found = exported.logits(frame.file)?;
        let difference = difference(found, frame.logits);
        // Where two labels are as good as equal the verdicts may differ, and no more than so little.
        let agrees = likeliest(found) == likeliest(frame.logits) || difference <= TOLERANCE / 10.0;
        if difference > TOLERANCE || !agrees {
            return Err(TrainingError::ExportDisagrees { difference });
        }
        greatest = greatest.max(difference);
    }
    on_progress(Progress::Export { done: total, total });
    Ok(greatest)
}

/// The greatest difference of a logit, in parts of the largest trained one, and of 1 where all are smaller. Infinite where one is no number.
fn difference(found: &[f32], trained: &[f32]) -> f32 {
    if !found.iter().all(|logit| logit.is_finite()) {
        return f32::INFINITY;
    }
    let largest = trained.iter().fold(1.0f32, |most, logit| most.max(logit.abs()));
    let differences = found.iter().zip(trained).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max) / largest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_logits_may_differ_by_more_and_small_ones_may_not() {
        assert_eq!(difference(&[1000.5, -3.0], &[1000.0, -3.0]), 0.5 / 1000.0);
        assert_eq!(difference(&[0.1, 0.4], &[0.1, 0.3]), 0.4 - 0.3);
        assert!(difference(&[f32::NAN, 0.3], &[0.1, 0.3]) > TOLERANCE);
        assert!(difference(&[-1000.0, 3.0], &[1000.0, 3.0]) > TOLERANCE);
    }
}
