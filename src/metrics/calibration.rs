//! Calibration of probabilities: the expected calibration error, and the temperature that reduces it.
//!
//! After Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.

use serde::{Deserialize, Serialize};

use crate::probability::{argmax, negative_log_likelihood, softmax};

/// Number of bins of the reliability diagram and of the calibration error, as in the paper. It does not depend on the number of frames, so that
/// the errors of two models can be compared; with few frames the error is overestimated.
pub(crate) const BINS: usize = 15;
/// Minimum number of held-out frames for fitting the temperature: with fewer, a single wrong frame would determine it.
pub(crate) const MIN_FRAMES: usize = 10;
/// Maximum temperature; above it the probabilities of usual logits are nearly equal.
pub(crate) const MAX_TEMPERATURE: f64 = 10.0;

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

/// The temperature T that minimizes the mean negative log-likelihood of softmax(logits / T) on held-out frames.
///
/// 1 to [`MAX_TEMPERATURE`]; exactly 1 with fewer than [`MIN_FRAMES`] frames. Frames with a logit that is not finite, or whose truth
/// is not an index into their logits, are ignored.
///
/// A temperature below 1 would raise the probabilities. If all held-out frames are classified correctly, the likelihood is highest for
/// T = 0, that is for probabilities of 0 and 1, although the few frames are from the same room as the training frames. For a robot, too low
/// a confidence is the safer error.
pub(crate) fn fit_temperature(logits: &[Vec<f32>], truths: &[usize]) -> f64 {
    const BISECTIONS: usize = 50;
    let usable = |(logits, truth): &(&Vec<f32>, &usize)| {
        **truth < logits.len() && logits.iter().all(|logit| logit.is_finite())
    };
    let frames: Vec<_> = logits.iter().zip(truths).filter(usable).collect();
    if frames.len() < MIN_FRAMES {
        return 1.0;
    }
    // The negative log-likelihood is convex in 1/T, so its slope is negative below the minimum and positive above it.
    let slope = |inverse: f64| -> f64 {
        let slopes = frames
            .iter()
            .map(|(logits, truth)| likelihood_slope(logits, **truth, inverse));
        slopes.sum()
    };
    let (mut low, mut high) = (1.0 / MAX_TEMPERATURE, 1.0);
    if slope(high) <= 0.0 {
        return 1.0;
    }
    if slope(low) >= 0.0 {
        return MAX_TEMPERATURE;
    }
    for _ in 0..BISECTIONS {
        let middle = (low + high) / 2.0;
        if slope(middle) > 0.0 {
            high = middle;
        } else {
            low = middle;
        }
    }
    1.0 / high
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

/// The derivative of a frame's negative log-likelihood with respect to 1/T: the mean logit under the probabilities, minus the logit of
/// the true label.
fn likelihood_slope(logits: &[f32], truth: usize, inverse_temperature: f64) -> f64 {
    let probabilities = probabilities(logits, 1.0 / inverse_temperature);
    let above_truth = |logit: f32| f64::from(logit) - f64::from(logits[truth]);
    let terms = probabilities
        .iter()
        .zip(logits)
        .map(|(probability, logit)| probability * above_truth(*logit));
    terms.sum()
}

fn to_f64(logits: &[f32]) -> Vec<f64> {
    logits.iter().copied().map(f64::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two labels with logits `gap` apart; the prediction is wrong for `wrong` of `frames` frames.
    fn two_labels(frames: usize, wrong: usize, gap: f32) -> (Vec<Vec<f32>>, Vec<usize>) {
        let truths = (0..frames).map(|frame| usize::from(frame < wrong)).collect();
        (vec![vec![gap, 0.0]; frames], truths)
    }

    #[test]
    fn confidence_of_an_overconfident_model_is_lowered_to_its_accuracy() {
        let (logits, truths) = two_labels(100, 20, 6.0);
        let temperature = fit_temperature(&logits, &truths);
        // The sigmoid of 6 / T is 0.8 where 6 / T is ln(4).
        assert!((temperature - 6.0 / 4_f64.ln()).abs() < 1e-9, "{temperature}");
        let confidence = probabilities(&logits[0], temperature)[0];
        assert!((confidence - 0.8).abs() < 1e-9, "{confidence}");
    }

    #[test]
    fn fitted_temperature_has_the_lowest_loss() {
        let logits: Vec<Vec<f32>> = (0..40)
            .map(|i| vec![(i % 7) as f32 * 2.0, (i % 5) as f32 * 3.0, (i % 3) as f32])
            .collect();
        let truth = |(i, logits): (usize, &Vec<f32>)| match i % 4 {
            0 => 2,
            _ => argmax(logits),
        };
        let truths: Vec<usize> = logits.iter().enumerate().map(truth).collect();
        let fitted = fit_temperature(&logits, &truths);
        assert!((1.5..9.0).contains(&fitted), "{fitted} is within the bounds");
        let loss = |temperature| mean_negative_log_likelihood(&logits, &truths, temperature).expect("frames");
        for other in [1.0, fitted * 0.99, fitted * 1.01, MAX_TEMPERATURE] {
            assert!(loss(fitted) <= loss(other), "{fitted} compared with {other}");
        }
    }

    #[test]
    fn confidence_is_never_raised() {
        let (logits, truths) = two_labels(100, 0, 1.0);
        assert_eq!(fit_temperature(&logits, &truths), 1.0, "all frames are correct");
        let (logits, truths) = two_labels(100, 5, 1.0);
        assert_eq!(
            fit_temperature(&logits, &truths),
            1.0,
            "the confidence is below the accuracy"
        );
    }

    #[test]
    fn temperature_stays_one_with_few_or_no_frames() {
        for frames in [0, 1, MIN_FRAMES - 1] {
            let (logits, truths) = two_labels(frames, frames, 20.0);
            assert_eq!(fit_temperature(&logits, &truths), 1.0);
        }
    }

    #[test]
    fn temperature_is_bounded_where_confident_predictions_are_wrong() {
        for gap in [1e3, f32::MAX] {
            let (logits, truths) = two_labels(20, 19, gap);
            assert_eq!(fit_temperature(&logits, &truths), MAX_TEMPERATURE);
            let loss = mean_negative_log_likelihood(&logits, &truths, MAX_TEMPERATURE);
            assert!(loss.expect("frames").is_finite());
        }
    }

    #[test]
    fn identical_logits_leave_the_temperature_at_one() {
        let truths: Vec<usize> = (0..30).map(|i| i % 3).collect();
        assert_eq!(fit_temperature(&vec![vec![0.1, 0.1, 0.1]; 30], &truths), 1.0);
    }

    #[test]
    fn frames_with_invalid_logits_or_truths_are_ignored() {
        let (mut logits, mut truths) = two_labels(100, 20, 6.0);
        let clean = fit_temperature(&logits, &truths);
        logits.extend([
            vec![f32::NAN, 0.0],
            vec![f32::INFINITY, 0.0],
            vec![],
            vec![1.0, 0.0],
        ]);
        truths.extend([0, 0, 0, 2]);
        assert_eq!(fit_temperature(&logits, &truths), clean);
    }

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
