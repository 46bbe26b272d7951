//! Compares the predictions for a bag with its expected labels.

use serde::Serialize;

use super::expected::Interval;
use super::predictions::BagPredictions;
use crate::dataset::Label;
use crate::metrics::ConfusionMatrix;

/// How the gestures of a bag's frames compare with the expected labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// The number of frames in the intervals.
    pub frames: usize,
    /// The number of frames with the expected gesture; a frame with an unknown gesture is not correct.
    pub correct: usize,
    /// `correct` / `frames`; `None` without frames.
    pub accuracy: Option<f64>,
    /// The number of frames that are unknown because they are unfamiliar.
    pub unfamiliar: usize,
    /// `correct` / the number of the other frames; `None` if there are none.
    pub familiar_accuracy: Option<f64>,
    /// The confusion matrix: a row for each expected label, a column for each label and a last one for unknown.
    pub confusion: ConfusionMatrix,
    /// The same for each interval.
    pub intervals: Vec<IntervalAgreement>,
}

/// How the gestures of an interval's frames compare with its label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IntervalAgreement {
    /// The inclusive start, seconds from the first frame.
    pub from: f64,
    /// The exclusive end, seconds from the first frame.
    pub to: f64,
    /// The expected label.
    pub label: String,
    /// The number of frames in the interval.
    pub frames: usize,
    /// The number of frames with the expected gesture.
    pub correct: usize,
    /// The number of frames that are unknown because they are unfamiliar.
    pub unfamiliar: usize,
    /// Seconds from the start until the expected gesture was stable; `None` if it never was.
    pub stable_after: Option<f64>,
}

impl Agreement {
    /// Compares predictions with intervals. `labels` are the model's labels.
    pub fn new(predictions: &BagPredictions, expected: &[Interval], labels: &[Label]) -> Agreement {
        let first = predictions.frames.first();
        let start_secs = first.map_or(0.0, |first| first.time_ns as f64 * 1e-9);
        let mut confusion = ConfusionMatrix::with_unknown(labels.len());
        let compare_interval = |interval: &Interval| {
            let interval = interval.relative_to(start_secs);
            IntervalAgreement::new(predictions, interval, labels, &mut confusion)
        };
        let intervals: Vec<IntervalAgreement> = expected.iter().map(compare_interval).collect();
        let sum = |count: fn(&IntervalAgreement) -> usize| intervals.iter().map(count).sum::<usize>();
        let frames = sum(|interval| interval.frames);
        let correct = sum(|interval| interval.correct);
        let unfamiliar = sum(|interval| interval.unfamiliar);
        let share = |frames: usize| (frames > 0).then(|| correct as f64 / frames as f64);
        Agreement {
            frames,
            correct,
            accuracy: share(frames),
            unfamiliar,
            familiar_accuracy: share(frames - unfamiliar),
            confusion,
            intervals,
        }
    }
}

impl IntervalAgreement {
    /// Compares the frames of an interval, relative to the first frame, with its label, and counts them in `confusion`.
    fn new(
        predictions: &BagPredictions,
        interval: Interval,
        labels: &[Label],
        confusion: &mut ConfusionMatrix,
    ) -> IntervalAgreement {
        let expected = labels.iter().position(|label| label.as_str() == interval.label);
        let expected = expected.unwrap_or_default();
        let (mut frames, mut correct, mut unfamiliar, mut stable_after) = (0, 0, 0, None);
        for frame in &predictions.frames {
            let secs = predictions.secs(frame);
            if !interval.contains(secs) {
                continue;
            }
            let gesture = frame.gesture().unwrap_or(labels.len());
            confusion.count(expected, gesture);
            frames += 1;
            unfamiliar += usize::from(frame.is_unfamiliar());
            if gesture == expected {
                correct += 1;
                if frame.stable {
                    stable_after.get_or_insert(secs - interval.from);
                }
            }
        }
        IntervalAgreement {
            from: interval.from,
            to: interval.to,
            label: interval.label,
            frames,
            correct,
            unfamiliar,
            stable_after,
        }
    }
}
