//! Calibration of probabilities: the expected calibration error; [`super::temperature`] reduces it.
//!
//! After Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.

use serde::{Deserialize, Serialize};

use crate::probability::{argmax, negative_log_likelihood, softmax};

/// Number of bins of the reliability diagram and of the calibration error, as in the paper. It does not depend on the number of frames, so that
/// the errors of two models can be compared; with few frames the error is overestimated.
pub(crate) const BINS: usize = 15;
/// A bin of the reliability diagram: the frames whose highest probability is between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Exclusive lower bound of the highest probability, 0 to 1.
    pub lower: f64,
    /// Inclusive upper bound of the highest probability, 0 to 1.
    pub upper: f64,
    /// Number of frames in the bin.
    pub frames: usize,
    /// Mean of their highest probability; `None` without frames.
    pub confidence: Option<f64>,
    /// Share of them whose predicted label is the true one; `None` without frames.
    pub accuracy: Option<f64>,
}

/// softmax(logits / temperature), computed with f64.
pub(crate) fn probabilities(logits: &[f32], temperature: f64) -> Vec<f64> {
    let mut values = to_f64(logits);
    softmax(&mut values, temperature);
    values
}

/// The mean over all frames of -ln(probability of the true label), in nats; `None` without frames.
///
/// # Panics
/// A truth is not an index into its frame's logits.
pub(crate) fn mean_negative_log_likelihood(
    logits: &[Vec<f32>],
    truths: &[usize],
    temperature: f64,
) -> Option<f64> {
    let frames = logits.len().min(truths.len());
    let of_frame =
        |(logits, truth): (&Vec<f32>, &usize)| negative_log_likelihood(&to_f64(logits), *truth, temperature);
    let sum: f64 = logits.iter().zip(truths).map(of_frame).sum();
    (frames > 0).then(|| sum / frames as f64)
}

/// Sorts frames by their highest probability into [`BINS`] bins of equal width.
pub(crate) fn reliability(probabilities: &[Vec<f64>], truths: &[usize]) -> Vec<Bin> {
    let mut sums = [(0_usize, 0.0, 0_usize); BINS];
    for (probabilities, truth) in probabilities.iter().zip(truths) {
        let prediction = argmax(probabilities);
        let confidence = probabilities.get(prediction).copied().unwrap_or_default();
        // A bin includes its upper bound, as in the paper. The cast turns NaN and negative values into 0.
        let index = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        let (frames, sum, correct) = &mut sums[index];
        *frames += 1;
        *sum += confidence;
        *correct += usize::from(prediction == *truth);
    }
    let bin = |(index, (frames, sum, correct)): (usize, (usize, f64, usize))| Bin {
        lower: index as f64 / BINS as f64,
        upper: (index + 1) as f64 / BINS as f64,
        frames,
        confidence: (frames > 0).then(|| sum / frames as f64),
        accuracy: (frames > 0).then(|| correct as f64 / frames as f64),
    };
    sums.into_iter().enumerate().map(bin).collect()
}

/// The mean of |accuracy - confidence| over the bins, each weighted by its number of frames (equation 3 of the paper), 0 to 1;
/// `None` without frames.
pub(crate) fn expected_calibration_error(bins: &[Bin]) -> Option<f64> {
    let frames: usize = bins.iter().map(|bin| bin.frames).sum();
    let gap = |bin: &Bin| Some((bin.accuracy? - bin.confidence?).abs() * bin.frames as f64);
    let sum: f64 = bins.iter().filter_map(gap).sum();
    (frames > 0).then(|| sum / frames as f64)
}

pub(super) fn to_f64(logits: &[f32]) -> Vec<f64> {
    logits.iter().copied().map(f64::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_error_is_the_gap_between_confidence_and_accuracy() {
        let sure = vec![vec![0.9, 0.1]; 10];
        let truths = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1];
        let bins = reliability(&sure, &truths);
        assert_eq!(bins.len(), BINS);
        assert_eq!(bins[13].frames, 10, "0.9 is between 13/15 and 14/15");
        let error = expected_calibration_error(&bins).expect("frames");
        assert!((error - 0.3).abs() < 1e-9, "{error}");
    }

    #[test]
    fn certainty_is_in_the_last_bin_and_no_frames_have_no_error() {
        let bins = reliability(&[vec![1.0, 0.0]], &[0]);
        assert_eq!((bins[BINS - 1].frames, bins[BINS - 1].upper), (1, 1.0));
        assert_eq!(expected_calibration_error(&bins), Some(0.0));
        assert_eq!(expected_calibration_error(&reliability(&[], &[])), None);
    }

    #[test]
    fn equal_probabilities_have_the_loss_of_a_guess() {
        let loss = mean_negative_log_likelihood(&[vec![2.0; 4]], &[3], 1.0).expect("a frame");
        assert!((loss - 4_f64.ln()).abs() < 1e-12, "{loss}");
    }
}
