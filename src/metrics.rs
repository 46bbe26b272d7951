//! The metrics of a model, computed from logits and true labels: accuracy with its confidence interval, precision, recall
//! and F1 of each label, confusion matrix and calibration.
//!
//! Pure: the logits come from [`crate::evaluation`] or a training.

pub(crate) mod calibration;
mod confusion;
pub(crate) mod temperature;

use serde::{Deserialize, Serialize};

pub use calibration::Bin;
pub use confusion::ConfusionMatrix;

use crate::dataset::Label;
use crate::probability::argmax;
use calibration::{expected_calibration_error, mean_negative_log_likelihood, probabilities, reliability};

/// The metrics of a model on frames that it was not trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Number of frames.
    pub frames: usize,
    /// Number of frames whose predicted label is the true one.
    pub correct: usize,
    /// `correct` / `frames`; `None` without frames.
    pub accuracy: Option<f64>,
    /// 95 % confidence interval of the accuracy, see [`wilson_interval`]; `None` without frames.
    pub interval: Option<[f64; 2]>,
    /// One for each label, in the model's order.
    pub labels: Vec<LabelMetrics>,
    /// Counts of true and predicted label.
    pub confusion: ConfusionMatrix,
    /// Expected calibration error at `temperature`, 0 to 1; `None` without frames.
    pub ece: Option<f64>,
    /// Expected calibration error at a temperature of 1.
    pub ece_uncalibrated: Option<f64>,
    /// Mean negative log-likelihood at `temperature`, in nats; `None` without frames.
    pub nll: Option<f64>,
    /// The logits are divided by it before the softmax.
    pub temperature: f64,
    /// The reliability diagram at `temperature`.
    pub reliability: Vec<Bin>,
}

/// How many of some frames a model classified correctly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Number of frames.
    pub frames: usize,
    /// Number of frames whose predicted label is the true one.
    pub correct: usize,
    /// `correct` / `frames`.
    pub accuracy: f64,
    /// 95 % confidence interval of the accuracy, see [`wilson_interval`].
    pub interval: [f64; 2],
}

/// The metrics of one label; each ratio is 0 to 1, and `None` where it would be 0/0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelMetrics {
    /// The label.
    pub label: Label,
    /// Of the frames predicted as this label, the share that has it.
    pub precision: Option<f64>,
    /// Of the frames that have this label, the share predicted as it.
    pub recall: Option<f64>,
    /// The harmonic mean of precision and recall.
    pub f1: Option<f64>,
    /// Number of frames that have this label.
    pub support: usize,
}

/// Why [`Metrics::new`] rejected its arguments.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum MetricsError {
    /// The numbers of frames and of true labels differ.
    #[error("there are logits of {frames} frames but {truths} true labels; each frame needs one")]
    Frames {
        /// Frames with logits.
        frames: usize,
        /// True labels.
        truths: usize,
    },
    /// A frame does not have one logit for each label.
    #[error("frame {frame} has {found} logits, must be one for each of the {labels} labels")]
    Logits {
        /// The frame's index.
        frame: usize,
        /// Number of its logits.
        found: usize,
        /// Number of labels.
        labels: usize,
    },
    /// A true label is out of range.
    #[error("the true label of frame {frame} is {truth}, must be an index below {labels}")]
    Truth {
        /// The frame's index.
        frame: usize,
        /// Index of its true label.
        truth: usize,
        /// Number of labels.
        labels: usize,
    },
    /// The network computed NaN or infinity.
    #[error("a logit of frame {frame} is not finite; the weights are corrupt or the training diverged")]
    NotFinite {
        /// The frame's index.
        frame: usize,
    },
    /// The temperature is not a finite number above 0.
    #[error("temperature is {0}, must be finite and above 0")]
    Temperature(f64),
}

impl Metrics {
    /// Computes all metrics. `logits` has one row for each frame with one value for each label; `truths` has the index of each frame's
    /// true label.
    ///
    /// If the temperature was fitted on the same frames, the calibration error at that temperature is slightly underestimated.
    ///
    /// # Errors
    /// The lengths do not match, a truth is out of range, a logit is not finite, or the temperature is not above 0.
    pub fn new(
        labels: &[Label],
        logits: &[Vec<f32>],
        truths: &[usize],
        temperature: f64,
    ) -> Result<Metrics, MetricsError> {
        validate(labels.len(), logits, truths, temperature)?;
        let mut confusion = ConfusionMatrix::new(labels.len());
        for (logits, truth) in logits.iter().zip(truths) {
            confusion.count(*truth, argmax(logits));
        }
        let bins_at = |temperature| {
            let rows: Vec<_> = logits
                .iter()
                .map(|logits| probabilities(logits, temperature))
                .collect();
            reliability(&rows, truths)
        };
        let bins = bins_at(temperature);
        Ok(Metrics {
            frames: confusion.frames(),
            correct: confusion.correct(),
            accuracy: confusion.accuracy(),
            interval: wilson_interval(confusion.correct(), confusion.frames()),
            labels: label_metrics(labels, &confusion),
            confusion,
            ece: expected_calibration_error(&bins),
            ece_uncalibrated: expected_calibration_error(&bins_at(1.0)),
            nll: mean_negative_log_likelihood(logits, truths, temperature),
            temperature,
            reliability: bins,
        })
    }
}

impl Accuracy {
    /// `None` without frames.
    pub(crate) fn new(correct: usize, frames: usize) -> Option<Accuracy> {
        Some(Accuracy {
            frames,
            correct,
            accuracy: ratio(correct, frames)?,
            interval: wilson_interval(correct, frames)?,
        })
    }
}

/// Wilson's 95 % score interval of an accuracy, 0 to 1 (Wilson 1927); unlike the normal approximation it is valid for few frames
/// and for an accuracy of 1. `None` without frames, or if `correct` exceeds `frames`.
///
/// The interval assumes independent frames. Frames of one burst are not, so the true accuracy may well be outside.
pub fn wilson_interval(correct: usize, frames: usize) -> Option<[f64; 2]> {
    /// The normal distribution's 97.5th percentile.
    const Z: f64 = 1.959_963_984_540_054;
    if frames == 0 || correct > frames {
        return None;
    }
    let n = frames as f64;
    let accuracy = correct as f64 / n;
    let scale = 1.0 + Z * Z / n;
    let center = (accuracy + Z * Z / (2.0 * n)) / scale;
    let half_width = Z * (accuracy * (1.0 - accuracy) / n + Z * Z / (4.0 * n * n)).sqrt() / scale;
    // Rounding must not exclude the accuracy itself from the interval if it is 0 or 1.
    let low = (center - half_width).clamp(0.0, accuracy);
    let high = (center + half_width).clamp(accuracy, 1.0);
    Some([low, high])
}

/// The metrics of each label; `labels` are in the order of the confusion matrix.
fn label_metrics(labels: &[Label], confusion: &ConfusionMatrix) -> Vec<LabelMetrics> {
    let rows = confusion.rows();
    let of_label = |(index, (label, row)): (usize, (&Label, &Vec<usize>))| {
        let hits = row[index];
        let support = row.iter().sum();
        let predictions = rows.iter().map(|row| row[index]).sum();
        LabelMetrics {
            label: label.clone(),
            precision: ratio(hits, predictions),
            recall: ratio(hits, support),
            f1: ratio(2 * hits, support + predictions),
            support,
        }
    };
    labels.iter().zip(rows).enumerate().map(of_label).collect()
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn validate(
    labels: usize,
    logits: &[Vec<f32>],
    truths: &[usize],
    temperature: f64,
) -> Result<(), MetricsError> {
    if !(temperature.is_finite() && temperature > 0.0) {
        return Err(MetricsError::Temperature(temperature));
    }
    if logits.len() != truths.len() {
        return Err(MetricsError::Frames {
            frames: logits.len(),
            truths: truths.len(),
        });
    }
    for (frame, (logits, truth)) in logits.iter().zip(truths).enumerate() {
        let found = logits.len();
        if found != labels {
            return Err(MetricsError::Logits { frame, found, labels });
        }
        let truth = *truth;
        if truth >= labels {
            return Err(MetricsError::Truth { frame, truth, labels });
        }
        if !logits.iter().all(|logit| logit.is_finite()) {
            return Err(MetricsError::NotFinite { frame });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<Label> {
        ["none", "thumbs_up", "wave"]
            .map(|name| Label::new(name).expect("a label"))
            .to_vec()
    }

    fn is_close(found: [f64; 2], expected: [f64; 2]) -> bool {
        (0..2).all(|i| (found[i] - expected[i]).abs() < 5e-4)
    }

    #[test]
    fn wilson_interval_matches_statsmodels() {
        // Computed by statsmodels' proportion_confint(method="wilson").
        for (correct, frames, expected) in [
            (10, 10, [0.7225, 1.0]),
            (0, 10, [0.0, 0.2775]),
            (81, 263, [0.2553, 0.3662]),
            (1, 1, [0.2065, 1.0]),
        ] {
            let found = wilson_interval(correct, frames).expect("frames");
            assert!(is_close(found, expected), "{correct}/{frames}: {found:?}");
        }
        assert_eq!(wilson_interval(0, 0), None);
        assert_eq!(wilson_interval(3, 2), None);
    }

    #[test]
    fn label_without_frames_and_predictions_has_no_ratios() {
        let logits = [vec![1.0, 0.0, 0.0], vec![1.0, 0.0, 0.0], vec![0.0, 1.0, 0.0]];
        let metrics = Metrics::new(&labels(), &logits, &[0, 1, 1], 1.0).expect("consistent");
        let [none, up, wave] = &metrics.labels[..] else {
            panic!("three labels");
        };
        assert_eq!((none.precision, none.recall), (Some(0.5), Some(1.0)));
        assert_eq!((up.precision, up.recall, up.support), (Some(1.0), Some(0.5), 2));
        assert_eq!(up.f1, Some(2.0 / 3.0));
        assert_eq!((wave.precision, wave.recall, wave.f1), (None, None, None));
        assert_eq!((metrics.correct, metrics.frames), (2, 3));
    }

    #[test]
    fn temperature_lowers_the_calibration_error_of_an_overconfident_model_and_keeps_its_predictions() {
        let logits = vec![vec![8.0, 0.0, 0.0]; 20];
        let truths: Vec<usize> = (0..20).map(|frame| usize::from(frame >= 15)).collect();
        let temperature = temperature::fit_temperature(&logits, &truths);
        let metrics = Metrics::new(&labels(), &logits, &truths, temperature).expect("consistent");
        assert_eq!(metrics.accuracy, Some(0.75));
        assert!(metrics.ece_uncalibrated.expect("frames") > 0.24);
        assert!(metrics.ece.expect("frames") < 0.05, "{:?}", metrics.ece);
    }

    #[test]
    fn metrics_are_none_without_frames() {
        let metrics = Metrics::new(&labels(), &[], &[], 1.0).expect("consistent");
        assert_eq!((metrics.accuracy, metrics.interval), (None, None));
        assert_eq!(
            (metrics.ece, metrics.ece_uncalibrated, metrics.nll),
            (None, None, None)
        );
    }

    #[test]
    fn inconsistent_arguments_are_rejected() {
        let row = vec![1.0, 0.0, 0.0];
        let rejected = |logits: &[Vec<f32>], truths: &[usize], temperature| {
            Metrics::new(&labels(), logits, truths, temperature).expect_err("inconsistent")
        };
        let error = rejected(std::slice::from_ref(&row), &[0, 1], 1.0);
        assert_eq!(error, MetricsError::Frames { frames: 1, truths: 2 });
        assert!(matches!(
            rejected(&[vec![1.0]], &[0], 1.0),
            MetricsError::Logits { .. }
        ));
        assert!(matches!(
            rejected(std::slice::from_ref(&row), &[3], 1.0),
            MetricsError::Truth { .. }
        ));
        assert!(matches!(
            rejected(&[vec![f32::NAN, 0.0, 0.0]], &[0], 1.0),
            MetricsError::NotFinite { .. }
        ));
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                rejected(std::slice::from_ref(&row), &[0], temperature),
                MetricsError::Temperature(_)
            ));
        }
    }

    #[test]
    fn metrics_are_read_back_from_json() {
        let metrics = Metrics::new(&labels(), &[vec![1.0, 0.0, 0.0]], &[0], 1.5).expect("consistent");
        let json = serde_json::to_string(&metrics).expect("writes");
        let read: Metrics = serde_json::from_str(&json).expect("reads");
        assert_eq!(
            (&read.labels, &read.confusion),
            (&metrics.labels, &metrics.confusion)
        );
        // The last digit of a number may change.
        let difference = read.ece.expect("frames") - metrics.ece.expect("frames");
        assert!(difference.abs() < 1e-12, "{difference}");
    }
}
