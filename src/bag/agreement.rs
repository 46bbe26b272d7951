//! Compares the predictions for a bag with its expected labels.

use serde::{Deserialize, Serialize};

use super::expected::{Expected, Interval};
use super::false_thumbs::{ExpectedFrames, FalseThumbs, Recommendation};
use super::predictions::BagPredictions;
use crate::dataset::Label;
use crate::decision::DecisionSettings;
use crate::metrics::ConfusionMatrix;

/// How the gestures of a bag's frames compare with the expected labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The thumbs in intervals with other labels; `None` if there are no such frames, or the model has no label for thumbs.
    pub false_thumbs: Option<FalseThumbs>,
    /// The threshold that prevents the false thumbs that are not tolerated; `None` if there are none, or no threshold does.
    pub recommended: Option<Recommendation>,
}

/// How the gestures of an interval's frames compare with its label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Compares predictions, which the settings gave, with what is expected. `labels` are the model's labels.
    pub fn new(
        predictions: &BagPredictions,
        expected: &Expected,
        labels: &[Label],
        settings: &DecisionSettings,
        max_false_thumbs_per_minute: f64,
    ) -> Agreement {
        let first = predictions.frames.first();
        let start_secs = first.map_or(0.0, |first| first.time_ns as f64 * 1e-9);
        let times = predictions.frames.iter().map(|frame| predictions.secs(frame));
        let range = times.fold((0.0_f64, 0.0_f64), |(low, high), secs| {
            (low.min(secs), high.max(secs))
        });
        let expected = expected.intervals(start_secs, range);
        let mut confusion = ConfusionMatrix::with_unknown(labels.len());
        let compare_interval =
            |interval: &Interval| IntervalAgreement::new(predictions, interval, labels, &mut confusion);
        let intervals: Vec<IntervalAgreement> = expected.iter().map(compare_interval).collect();
        let sum = |count: fn(&IntervalAgreement) -> usize| intervals.iter().map(count).sum::<usize>();
        let frames = sum(|interval| interval.frames);
        let correct = sum(|interval| interval.correct);
        let unfamiliar = sum(|interval| interval.unfamiliar);
        let share = |frames: usize| (frames > 0).then(|| correct as f64 / frames as f64);
        let expected = ExpectedFrames::new(predictions, &expected, labels, settings);
        let false_thumbs = expected.false_thumbs();
        let exceeds = |found: &FalseThumbs| found.exceeds(max_false_thumbs_per_minute);
        let recommended = false_thumbs.as_ref().filter(|found| exceeds(found));
        Agreement {
            frames,
            correct,
            accuracy: share(frames),
            unfamiliar,
            familiar_accuracy: share(frames - unfamiliar),
            confusion,
            intervals,
            recommended: recommended.and_then(|_| expected.recommendation(max_false_thumbs_per_minute)),
            false_thumbs,
        }
    }
}

impl IntervalAgreement {
    /// Compares the frames of an interval, relative to the first frame, with its label, and counts them in `confusion`.
    fn new(
        predictions: &BagPredictions,
        interval: &Interval,
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
            label: interval.label.clone(),
            frames,
            correct,
            unfamiliar,
            stable_after,
        }
    }
}
