//! The numbers that say how good a model is: its accuracy and how sure that is, each label's share in it, and its calibration.
//!
//! Pure: what the model makes of the frames comes from [`super::evaluate`] or the training.

use serde::{Deserialize, Serialize};

use super::Confusion;
use super::calibration::{
    Bin, expected_calibration_error, mean_negative_log_likelihood, probabilities, reliability,
};
use crate::dataset::Label;

/// What a model made of frames that it was not trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Frames classified.
    pub frames: usize,
    /// Frames whose likeliest label was the true one.
    pub correct: usize,
    /// `correct` / `frames`; none where there were no frames.
    pub accuracy: Option<f64>,
    /// See [`wilson_interval`].
    pub interval: Option<[f64; 2]>,
    /// One for each label, in the model's order.
    pub labels: Vec<LabelMetrics>,
    /// What was taken for what.
    pub confusion: Confusion,
    /// Expected calibration error with the temperature, 0 to 1; none where there were no frames.
    pub ece: Option<f64>,
    /// The same without it.
    pub ece_uncalibrated: Option<f64>,
    /// Mean negative log likelihood with the temperature, in nats; none where there were no frames.
    pub nll: Option<f64>,
    /// What the logits are divided by before the softmax.
    pub temperature: f64,
    /// The reliability diagram, with the temperature.
    pub reliability: Vec<Bin>,
}

/// How well one label is told from the others; 0 to 1, none where a ratio would be 0/0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelMetrics {
    /// The label.
    pub label: Label,
    /// Of the frames taken for it, the share that was it.
    pub precision: Option<f64>,
    /// Of the frames that were it, the share taken for it.
    pub recall: Option<f64>,
    /// The harmonic mean of the two.
    pub f1: Option<f64>,
    /// Frames that were it.
    pub support: usize,
}

/// Why there are no metrics.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum MetricsError {
    /// Some frames have no truth, or some truths no frame.
    #[error("{frames} frames with {truths} true labels; each frame has one")]
    Frames {
        /// Frames with logits.
        frames: usize,
        /// True labels.
        truths: usize,
    },
    /// A frame does not have one logit for each label.
    #[error("frame {frame} has {found} logits; there are {labels} labels")]
    Logits {
        /// The frame's index.
        frame: usize,
        /// Its logits.
        found: usize,
        /// Labels.
        labels: usize,
    },
    /// A true label is none.
    #[error("the true label of frame {frame} is number {truth}; there are {labels}, from 0 on")]
    Truth {
        /// The frame's index.
        frame: usize,
        /// Its true label.
        truth: usize,
        /// Labels.
        labels: usize,
    },
    /// The network computes no numbers.
    #[error("frame {frame} has a logit that is no finite number; the weights are broken")]
    Finite {
        /// The frame's index.
        frame: usize,
    },
    /// Logits cannot be divided by it.
    #[error("temperature {0}; it must be a finite number above 0")]
    Temperature(f64),
}

impl Metrics {
    /// Measures what a network made of frames: `logits` has one row a frame with one value a label, `truths` the index of each
    /// frame's true label.
    ///
    /// Where the temperature was fitted on these very frames, the calibration error with it is a little flattered.
    ///
    /// # Errors
    /// [`MetricsError`] where these do not fit together, a logit is not finite, or the temperature is not above 0.
    pub fn new(
        labels: &[Label],
        logits: &[Vec<f32>],
        truths: &[usize],
        temperature: f64,
    ) -> Result<Metrics, MetricsError> {
        check(labels.len(), logits, truths, temperature)?;
        let mut confusion = Confusion::new(labels.len());
        for (logits, truth) in logits.iter().zip(truths) {
            confusion.count(*truth, logits);
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

/// Wilson's 95 % score interval of an accuracy, 0 to 1 (Wilson 1927); unlike the normal approximation it holds for few frames
/// and for an accuracy of 1. None where there are no frames, or more right ones than frames.
///
/// It takes the frames for independent. Frames of one capture are not, so that the truth may well lie outside.
pub fn wilson_interval(correct: usize, frames: usize) -> Option<[f64; 2]> {
    /// The normal distribution's 97.5th percentile.
    const Z: f64 = 1.959_963_984_540_054;
    if frames == 0 || correct > frames {
        return None;
    }
    let n = frames as f64;
    let accuracy = correct as f64 / n;
    let scale = 1.0 + Z * Z / n;
    let centre = (accuracy + Z * Z / (2.0 * n)) / scale;
    let half_width = Z * (accuracy * (1.0 - accuracy) / n + Z * Z / (4.0 * n * n)).sqrt() / scale;
    // Rounding must not push the interval off the accuracy where all frames are right or all wrong.
    let low = (centre - half_width).clamp(0.0, accuracy);
    let high = (centre + half_width).clamp(accuracy, 1.0);
    Some([low, high])
}

/// Precision, recall and F1 of each label; the labels are in the confusion's order.
pub fn label_metrics(labels: &[Label], confusion: &Confusion) -> Vec<LabelMetrics> {
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

fn check(labels: usize, logits: &[Vec<f32>], truths: &[usize], temperature: f64) -> Result<(), MetricsError> {
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
            return Err(MetricsError::Finite { frame });
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

    fn close(found: [f64; 2], wanted: [f64; 2]) -> bool {
        (0..2).all(|i| (found[i] - wanted[i]).abs() < 5e-4)
    }

    #[test]
    fn intervals_are_those_of_the_tables() {
        // As statsmodels' proportion_confint(method="wilson") gives them.
        for (correct, frames, wanted) in [
            (10, 10, [0.7225, 1.0]),
            (0, 10, [0.0, 0.2775]),
            (81, 263, [0.2553, 0.3662]),
            (1, 1, [0.2065, 1.0]),
        ] {
            let found = wilson_interval(correct, frames).expect("frames");
            assert!(close(found, wanted), "{correct}/{frames}: {found:?}");
        }
        assert_eq!(wilson_interval(0, 0), None);
        assert_eq!(wilson_interval(3, 2), None);
    }

    #[test]
    fn a_label_never_seen_and_never_named_has_no_ratios() {
        let logits = [vec![1.0, 0.0, 0.0], vec![1.0, 0.0, 0.0], vec![0.0, 1.0, 0.0]];
        let metrics = Metrics::new(&labels(), &logits, &[0, 1, 1], 1.0).expect("fits");
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
    fn the_temperature_lowers_the_error_of_an_overconfident_model_and_keeps_its_predictions() {
        let logits = vec![vec![8.0, 0.0, 0.0]; 20];
        let truths: Vec<usize> = (0..20).map(|frame| usize::from(frame >= 15)).collect();
        let temperature = super::super::calibration::fit_temperature(&logits, &truths);
        let metrics = Metrics::new(&labels(), &logits, &truths, temperature).expect("fits");
        assert_eq!(metrics.accuracy, Some(0.75));
        assert!(metrics.ece_uncalibrated.expect("frames") > 0.24);
        assert!(metrics.ece.expect("frames") < 0.05, "{:?}", metrics.ece);
    }

    #[test]
    fn without_frames_nothing_is_measured() {
        let metrics = Metrics::new(&labels(), &[], &[], 1.0).expect("fits");
        assert_eq!((metrics.accuracy, metrics.interval), (None, None));
        assert_eq!(
            (metrics.ece, metrics.ece_uncalibrated, metrics.nll),
            (None, None, None)
        );
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let row = vec![1.0, 0.0, 0.0];
        let refused = |logits: &[Vec<f32>], truths: &[usize], temperature| {
            Metrics::new(&labels(), logits, truths, temperature).expect_err("does not fit")
        };
        let error = refused(std::slice::from_ref(&row), &[0, 1], 1.0);
        assert_eq!(error, MetricsError::Frames { frames: 1, truths: 2 });
        assert!(matches!(
            refused(&[vec![1.0]], &[0], 1.0),
            MetricsError::Logits { .. }
        ));
        assert!(matches!(
            refused(std::slice::from_ref(&row), &[3], 1.0),
            MetricsError::Truth { .. }
        ));
        assert!(matches!(
            refused(&[vec![f32::NAN, 0.0, 0.0]], &[0], 1.0),
            MetricsError::Finite { .. }
        ));
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                refused(std::slice::from_ref(&row), &[0], temperature),
                MetricsError::Temperature(_)
            ));
        }
    }

    #[test]
    fn metrics_survive_their_json() {
        let metrics = Metrics::new(&labels(), &[vec![1.0, 0.0, 0.0]], &[0], 1.5).expect("fits");
        let json = serde_json::to_string(&metrics).expect("writes");
        let read: Metrics = serde_json::from_str(&json).expect("reads");
        assert_eq!(
            (&read.labels, &read.confusion),
            (&metrics.labels, &metrics.confusion)
        );
        // A number may come back with another last digit.
        let difference = read.ece.expect("frames") - metrics.ece.expect("frames");
        assert!(difference.abs() < 1e-12, "{difference}");
    }
}
