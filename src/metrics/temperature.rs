//! The temperature that calibrates probabilities.
//!
//! After Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.

use std::collections::BTreeSet;

use super::calibration::{probabilities, to_f64};
use crate::probability::{argmax, negative_log_likelihood};

/// Minimum number of held-out frames for fitting the temperature: with fewer, a single wrong frame would determine it.
pub(crate) const MIN_FRAMES: usize = 10;
/// Maximum temperature; above it the probabilities of usual logits are nearly equal.
pub(crate) const MAX_TEMPERATURE: f64 = 10.0;
/// A higher temperature means that the model is sure of many wrong labels: such probabilities say little.
pub(crate) const MAX_USUAL_TEMPERATURE: f64 = 4.0;
/// With the probability and the distance from the second highest one at least this high, the node publishes a gesture: the defaults of its
/// parameters `threshold` and `margin`.
const PUBLISHED: [f64; 2] = [0.5, 0.1];
/// Maximum share of the correct gestures that the temperature may keep from being published.
const MAX_MUTED: f64 = 0.05;

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

/// The fitted temperature, as far as the frames support it; otherwise 1, or the highest that they support.
///
/// `parts` has the number of the part that each frame belongs to; frames of different parts were held out in different trainings, or are
/// from different bursts. A temperature is supported if temperatures that are fitted to all parts but one lower the loss on that one. It
/// must not keep the node from publishing more than one in twenty of the gestures that are correct.
pub(crate) fn supported_temperature(logits: &[Vec<f32>], truths: &[usize], parts: &[usize]) -> f64 {
    let fitted = fit_temperature(logits, truths);
    if fitted > 1.0 && lowers_loss_on_other_parts(logits, truths, parts) {
        fitted.min(highest_unmuted_temperature(logits, truths))
    } else {
        1.0
    }
}

fn lowers_loss_on_other_parts(logits: &[Vec<f32>], truths: &[usize], parts: &[usize]) -> bool {
    // Many parts are joined, because a temperature is fitted for each.
    const MAX_PARTS: usize = 10;
    let parts: Vec<usize> = parts.iter().map(|part| part % MAX_PARTS).collect();
    let frames = || logits.iter().zip(truths).zip(&parts);
    let loss_change = |part: &usize| -> f64 {
        let other_parts = frames().filter(|(_, other)| *other != part);
        let (logits, truths): (Vec<Vec<f32>>, Vec<usize>) = other_parts
            .map(|((logits, truth), _)| (logits.clone(), *truth))
            .unzip();
        let temperature = fit_temperature(&logits, &truths);
        let this_part = frames().filter(|(_, other)| *other == part);
        let changes = this_part.map(|((logits, truth), _)| {
            let logits = to_f64(logits);
            let loss = |temperature| negative_log_likelihood(&logits, *truth, temperature);
            loss(temperature) - loss(1.0)
        });
        changes.sum()
    };
    let distinct: BTreeSet<&usize> = parts.iter().collect();
    distinct.into_iter().map(loss_change).sum::<f64>() < 0.0
}

/// The highest temperature, 1 to [`MAX_TEMPERATURE`], at which the node publishes nearly all correct gestures that it publishes without one.
fn highest_unmuted_temperature(logits: &[Vec<f32>], truths: &[usize]) -> f64 {
    const BISECTIONS: usize = 30;
    let correct = logits
        .iter()
        .zip(truths)
        .filter(|(logits, truth)| argmax(logits) == **truth);
    let published: Vec<&Vec<f32>> = correct
        .map(|(logits, _)| logits)
        .filter(|logits| is_published(logits, 1.0))
        .collect();
    let max_muted = (MAX_MUTED * published.len() as f64) as usize;
    let mutes = |temperature: f64| {
        let muted = published
            .iter()
            .filter(|logits| !is_published(logits, temperature));
        muted.count() > max_muted
    };
    let (mut low, mut high) = (1.0, MAX_TEMPERATURE);
    if !mutes(high) {
        return high;
    }
    // The highest probability, and its distance from the second one, decrease with the temperature.
    for _ in 0..BISECTIONS {
        let middle = (low + high) / 2.0;
        if mutes(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    low
}

fn is_published(logits: &[f32], temperature: f64) -> bool {
    let [threshold, margin] = PUBLISHED;
    let mut probabilities = probabilities(logits, temperature);
    probabilities.sort_by(|a, b| b.total_cmp(a));
    let [first, second] = [0, 1].map(|place| probabilities.get(place).copied().unwrap_or(0.0));
    first >= threshold && first - second >= margin
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::calibration::mean_negative_log_likelihood;

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
    fn temperature_that_helps_one_part_only_is_not_supported() {
        // The first part is wrong and sure of it, as in a room that the training did not know; the others are right.
        let (mut logits, mut truths) = two_labels(15, 15, 5.0);
        let (right, of_right) = two_labels(15, 0, 5.0);
        logits.extend(right);
        truths.extend(of_right);
        let parts: Vec<usize> = (0..30).map(|frame| frame / 15).collect();
        assert_eq!(fit_temperature(&logits, &truths), MAX_TEMPERATURE);
        assert_eq!(supported_temperature(&logits, &truths, &parts), 1.0);
        // The same mistakes in every part are those of an overconfident model.
        let (logits, truths) = two_labels(100, 20, 5.0);
        let parts: Vec<usize> = (0..100).map(|frame| frame % 4).collect();
        assert!(supported_temperature(&logits, &truths, &parts) > 2.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// With threshold and margin of the node, hardly a correct gesture that it publishes at a temperature of 1 is lost.
        #[test]
        fn temperature_never_mutes_a_model_that_is_right(
            frames in prop::collection::vec((prop::array::uniform3(-9f32..9.0), 0..3usize, 0..4usize), 1..60),
        ) {
            let logits: Vec<Vec<f32>> = frames.iter().map(|(logits, ..)| logits.to_vec()).collect();
            let truths: Vec<usize> = frames.iter().map(|(_, truth, _)| *truth).collect();
            let parts: Vec<usize> = frames.iter().map(|(.., part)| *part).collect();
            let temperature = supported_temperature(&logits, &truths, &parts);
            prop_assert!((1.0..=MAX_TEMPERATURE).contains(&temperature));
            let published = |temperature: f64| {
                let frames = logits.iter().zip(&truths);
                frames.filter(|(logits, truth)| argmax(logits) == **truth && is_published(logits, temperature)).count()
            };
            prop_assert!(published(temperature) as f64 >= 0.95 * published(1.0) as f64, "{temperature}");
        }
    }
}
