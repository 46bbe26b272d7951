//! How far a model's probabilities can be believed: the calibration error, and the temperature that mends it.
//!
//! After Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017. What to do with a probability
//! is left to [`crate::decision`].

use serde::{Deserialize, Serialize};

/// Bins of the reliability diagram and of the calibration error, as in the paper; they do not get fewer with few frames, so that
/// two models' errors can be compared. With few frames the error comes out too high rather than too low.
pub const BINS: usize = 15;
/// With fewer held-out frames the temperature stays 1: a single wrong one would decide it.
pub const LEAST_FRAMES: usize = 10;
/// The greatest temperature; beyond it the probabilities of any usual logits are all but equal.
pub const GREATEST_TEMPERATURE: f64 = 10.0;

/// The frames whose greatest probability lies between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// The greatest probability is greater than this, 0 to 1.
    pub lower: f64,
    /// The greatest probability is this at most, 0 to 1.
    pub upper: f64,
    /// How many frames.
    pub frames: usize,
    /// The mean of their greatest probability; none where there are no frames.
    pub confidence: Option<f64>,
    /// The share of them whose likeliest label was the true one; none where there are no frames.
    pub accuracy: Option<f64>,
}

/// The temperature T that minimises the mean negative log likelihood of softmax(logits / T) on held-out frames.
///
/// From 1 to [`GREATEST_TEMPERATURE`]; exactly 1 with fewer than [`LEAST_FRAMES`] frames. It never goes below 1, which would
/// raise the probabilities: where all held-out frames are right the likelihood asks for a T of 0, that is for certainty, on the
/// word of a few frames that were taken in the same room as those trained on. A robot is better off with too little
/// confidence than with too much. Frames with a logit that is not finite, or whose truth is no index into their logits, are
/// passed over.
pub fn fit_temperature(logits: &[Vec<f32>], truths: &[usize]) -> f64 {
    const HALVINGS: usize = 50;
    let usable = |(logits, truth): &(&Vec<f32>, &usize)| {
        **truth < logits.len() && logits.iter().all(|logit| logit.is_finite())
    };
    let frames: Vec<_> = logits.iter().zip(truths).filter(usable).collect();
    if frames.len() < LEAST_FRAMES {
        return 1.0;
    }
    // The likelihood is convex in 1/T, so its slope there has one sign before the minimum and the other after it.
    let slope = |inverse: f64| -> f64 {
        let slopes = frames
            .iter()
            .map(|(logits, truth)| slope_of_frame(logits, **truth, inverse));
        slopes.sum()
    };
    let (mut low, mut high) = (1.0 / GREATEST_TEMPERATURE, 1.0);
    if slope(high) <= 0.0 {
        return 1.0;
    }
    if slope(low) >= 0.0 {
        return GREATEST_TEMPERATURE;
    }
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if slope(middle) > 0.0 {
            high = middle;
        } else {
            low = middle;
        }
    }
    1.0 / high
}

/// softmax(logits / temperature): positive and summing to 1 for finite logits and a temperature above 0.
pub fn probabilities(logits: &[f32], temperature: f64) -> Vec<f64> {
    softmax(&below_greatest(logits), 1.0 / temperature)
}

/// The mean over all frames of -ln(probability of the true label), in nats; none where there are no frames.
///
/// Every truth must be an index into its frame's logits, and every logit finite; the temperature is above 0.
pub fn mean_negative_log_likelihood(logits: &[Vec<f32>], truths: &[usize], temperature: f64) -> Option<f64> {
    let of_frame = |(logits, truth): (&Vec<f32>, &usize)| {
        let scaled: Vec<f64> = below_greatest(logits)
            .iter()
            .map(|logit| logit / temperature)
            .collect();
        let log_sum = scaled.iter().map(|logit| logit.exp()).sum::<f64>().ln();
        log_sum - scaled[*truth]
    };
    let frames = logits.len().min(truths.len());
    let sum: f64 = logits.iter().zip(truths).map(of_frame).sum();
    (frames > 0).then(|| sum / frames as f64)
}

/// Sorts frames by their greatest probability into [`BINS`] bins of equal width.
pub fn reliability(probabilities: &[Vec<f64>], truths: &[usize]) -> Vec<Bin> {
    let mut sums = [(0_usize, 0.0, 0_usize); BINS];
    for (probabilities, truth) in probabilities.iter().zip(truths) {
        let (prediction, confidence) = prediction(probabilities);
        // A bin holds its upper bound, as in the paper; the cast makes 0 of what is below it or not a number.
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

/// How far confidence and accuracy lie apart, 0 to 1: the mean of |accuracy - confidence| over the bins, each weighted by its
/// frames (equation 3 of the paper). None where there are no frames.
pub fn expected_calibration_error(bins: &[Bin]) -> Option<f64> {
    let frames: usize = bins.iter().map(|bin| bin.frames).sum();
    let gap = |bin: &Bin| Some((bin.accuracy? - bin.confidence?).abs() * bin.frames as f64);
    let sum: f64 = bins.iter().filter_map(gap).sum();
    (frames > 0).then(|| sum / frames as f64)
}

/// The slope of a frame's negative log likelihood in 1/T: the mean logit under the probabilities, less that of the truth.
fn slope_of_frame(logits: &[f32], truth: usize, inverse_temperature: f64) -> f64 {
    let logits = below_greatest(logits);
    let probabilities = softmax(&logits, inverse_temperature);
    let mean: f64 = probabilities
        .iter()
        .zip(&logits)
        .map(|(p, logit)| p * logit)
        .sum();
    mean - logits[truth]
}

/// The logits less the greatest of them, so that no exponential overflows.
fn below_greatest(logits: &[f32]) -> Vec<f64> {
    let greatest = logits.iter().copied().fold(f32::MIN, f32::max);
    logits
        .iter()
        .map(|logit| f64::from(*logit) - f64::from(greatest))
        .collect()
}

fn softmax(below_greatest: &[f64], inverse_temperature: f64) -> Vec<f64> {
    let powers: Vec<f64> = below_greatest
        .iter()
        .map(|logit| (logit * inverse_temperature).exp())
        .collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// The likeliest label and its probability.
fn prediction(probabilities: &[f64]) -> (usize, f64) {
    let by_value = |a: &(usize, &f64), b: &(usize, &f64)| a.1.total_cmp(b.1);
    let greatest = probabilities.iter().enumerate().max_by(by_value);
    greatest.map_or((0, 0.0), |(index, probability)| (index, *probability))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two labels `gap` apart, right in all but `wrong` of `frames`.
    fn two_labels(frames: usize, wrong: usize, gap: f32) -> (Vec<Vec<f32>>, Vec<usize>) {
        let truths = (0..frames).map(|frame| usize::from(frame < wrong)).collect();
        (vec![vec![gap, 0.0]; frames], truths)
    }

    #[test]
    fn an_overconfident_model_is_softened_to_its_accuracy() {
        let (logits, truths) = two_labels(100, 20, 6.0);
        let temperature = fit_temperature(&logits, &truths);
        // The sigmoid of 6 / T is 0.8 where 6 / T is ln(4).
        assert!((temperature - 6.0 / 4_f64.ln()).abs() < 1e-9, "{temperature}");
        let confidence = probabilities(&logits[0], temperature)[0];
        assert!((confidence - 0.8).abs() < 1e-9, "{confidence}");
    }

    #[test]
    fn no_other_temperature_is_likelier() {
        let logits: Vec<Vec<f32>> = (0..40)
            .map(|i| vec![(i % 7) as f32 * 2.0, (i % 5) as f32 * 3.0, (i % 3) as f32])
            .collect();
        let truth = |(i, logits): (usize, &Vec<f32>)| match i % 4 {
            0 => 2,
            _ => crate::probability::argmax(logits),
        };
        let truths: Vec<usize> = logits.iter().enumerate().map(truth).collect();
        let fitted = fit_temperature(&logits, &truths);
        assert!((1.5..9.0).contains(&fitted), "{fitted} is within the bounds");
        let loss = |temperature| mean_negative_log_likelihood(&logits, &truths, temperature).expect("frames");
        for other in [1.0, fitted * 0.99, fitted * 1.01, GREATEST_TEMPERATURE] {
            assert!(loss(fitted) <= loss(other), "{fitted} against {other}");
        }
    }

    #[test]
    fn confidence_is_never_raised() {
        let (logits, truths) = two_labels(100, 0, 1.0);
        assert_eq!(fit_temperature(&logits, &truths), 1.0, "all are right");
        let (logits, truths) = two_labels(100, 5, 1.0);
        assert_eq!(fit_temperature(&logits, &truths), 1.0, "too little confidence");
    }

    #[test]
    fn few_frames_and_none_leave_the_logits_alone() {
        for frames in [0, 1, LEAST_FRAMES - 1] {
            let (logits, truths) = two_labels(frames, frames, 20.0);
            assert_eq!(fit_temperature(&logits, &truths), 1.0);
        }
    }

    #[test]
    fn the_temperature_is_bounded_where_confident_frames_are_wrong() {
        for gap in [1e3, f32::MAX] {
            let (logits, truths) = two_labels(20, 19, gap);
            assert_eq!(fit_temperature(&logits, &truths), GREATEST_TEMPERATURE);
            let loss = mean_negative_log_likelihood(&logits, &truths, GREATEST_TEMPERATURE);
            assert!(loss.expect("frames").is_finite());
        }
    }

    #[test]
    fn identical_logits_say_nothing_of_the_temperature() {
        let truths: Vec<usize> = (0..30).map(|i| i % 3).collect();
        assert_eq!(fit_temperature(&vec![vec![0.1, 0.1, 0.1]; 30], &truths), 1.0);
    }

    #[test]
    fn frames_that_are_no_numbers_do_not_count() {
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
    fn the_calibration_error_is_the_gap_between_confidence_and_accuracy() {
        let sure = vec![vec![0.9, 0.1]; 10];
        let truths = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1];
        let bins = reliability(&sure, &truths);
        assert_eq!(bins.len(), BINS);
        assert_eq!(bins[13].frames, 10, "0.9 lies between 13/15 and 14/15");
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
