//! Thumbs in the parts of a bag that should show none: how often a robot would act on one, and which threshold would prevent that.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::expected::Interval;
use super::predictions::BagPredictions;
use crate::dataset::Label;
use crate::decision::DecisionSettings;
use crate::false_thumbs::{is_thumb, max_expected, thresholds_from};

/// The false thumbs of a bag, in its intervals with labels other than thumbs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FalseThumbs {
    /// The recorded time in these intervals, seconds; a gap counts as at most the stale timeout.
    pub seconds: f64,
    /// The number of frames in these intervals.
    pub frames: usize,
    /// The number of these frames whose gesture is a thumb.
    pub thumb_frames: usize,
    /// How often a thumb became stable.
    pub stable_thumbs: usize,
    /// `stable_thumbs` per minute; `None` without recorded time.
    pub per_minute: Option<f64>,
    /// Upper bound of the expected number per minute, with 95 % confidence.
    pub max_per_minute: Option<f64>,
}

/// The threshold that prevents false thumbs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    /// Minimum probability of a gesture, 0 to 1.
    pub threshold: f32,
    /// The stable false thumbs per minute at this threshold.
    pub per_minute: f64,
    /// The number of frames whose gesture is the expected thumb at this threshold.
    pub thumbs_kept: usize,
    /// The number of such frames at the present threshold.
    pub thumbs: usize,
}

/// What the frames of a bag should show.
pub(super) struct ExpectedFrames<'a> {
    predictions: &'a BagPredictions,
    settings: DecisionSettings,
    is_thumb: Vec<bool>,
    /// Index of the label that a frame should show; `None` outside the intervals.
    labels: Vec<Option<usize>>,
}

/// What a robot learns of a frame.
struct Shown {
    gesture: Option<usize>,
    is_stable: bool,
}

impl FalseThumbs {
    pub(super) fn new(seconds: f64, frames: usize, thumb_frames: usize, stable_thumbs: usize) -> FalseThumbs {
        let per_minute = |events: f64| (seconds > 0.0).then(|| events * 60.0 / seconds);
        FalseThumbs {
            seconds,
            frames,
            thumb_frames,
            stable_thumbs,
            per_minute: per_minute(stable_thumbs as f64),
            max_per_minute: per_minute(max_expected(stable_thumbs)),
        }
    }

    /// Those of several bags; `None` without any.
    pub(super) fn sum<'a>(all: impl IntoIterator<Item = &'a FalseThumbs>) -> Option<FalseThumbs> {
        let sums = all.into_iter().map(|found| {
            let FalseThumbs {
                seconds,
                frames,
                thumb_frames,
                stable_thumbs,
                ..
            } = *found;
            (seconds, frames, thumb_frames, stable_thumbs)
        });
        let (seconds, frames, thumb_frames, stable_thumbs) =
            sums.reduce(|a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2, a.3 + b.3))?;
        Some(FalseThumbs::new(seconds, frames, thumb_frames, stable_thumbs))
    }

    /// Whether there are more per minute, or any without recorded time.
    pub fn exceeds(&self, max_per_minute: f64) -> bool {
        let is_more = |per_minute: f64| per_minute > max_per_minute;
        self.per_minute.map_or(self.stable_thumbs > 0, is_more)
    }
}

impl fmt::Display for FalseThumbs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FalseThumbs {
            seconds,
            frames,
            thumb_frames,
            stable_thumbs,
            ..
        } = self;
        write!(
            f,
            "{stable_thumbs} false thumbs became stable in {seconds:.1} s without thumbs: "
        )?;
        match (self.per_minute, self.max_per_minute) {
            (Some(found), Some(max)) => {
                write!(f, "{found:.1} per minute, at most {max:.1} with 95 % confidence")?;
            }
            _ => f.write_str("too short for a rate")?,
        }
        write!(f, "; {thumb_frames} of {frames} frames show one")
    }
}

impl fmt::Display for Recommendation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Recommendation {
            threshold,
            per_minute,
            thumbs_kept,
            thumbs,
        } = self;
        write!(
            f,
            "threshold {threshold:.2} would give {per_minute:.1} false thumbs per minute"
        )?;
        match *thumbs {
            0 => f.write_str("; no frame with a thumb is correct, so that its cost is not measured"),
            thumbs => {
                let percent = 100.0 * *thumbs_kept as f64 / thumbs as f64;
                write!(
                    f,
                    " and keep {percent:.0} % of the correct thumbs ({thumbs_kept} of {thumbs} frames)"
                )
            }
        }
    }
}

impl<'a> ExpectedFrames<'a> {
    /// The intervals are in seconds from the first frame.
    pub(super) fn new(
        predictions: &'a BagPredictions,
        intervals: &[Interval],
        labels: &[Label],
        settings: &DecisionSettings,
    ) -> ExpectedFrames<'a> {
        let label_at = |secs: f64| {
            let interval = intervals.iter().find(|interval| interval.contains(secs))?;
            Label::find(labels, &interval.label)
        };
        let frames = predictions.frames.iter();
        ExpectedFrames {
            predictions,
            settings: *settings,
            is_thumb: labels.iter().map(is_thumb).collect(),
            labels: frames.map(|frame| label_at(predictions.secs(frame))).collect(),
        }
    }

    /// The false thumbs; `None` if each frame may show a thumb, or the model has no label for one.
    pub(super) fn false_thumbs(&self) -> Option<FalseThumbs> {
        let frames = (0..self.labels.len())
            .filter(|frame| self.is_thumbless(*frame))
            .count();
        if frames == 0 || !self.is_thumb.contains(&true) {
            return None;
        }
        let shown = self.predictions.frames.iter();
        let shown = shown.map(|frame| Shown {
            gesture: frame.gesture(),
            is_stable: frame.stable,
        });
        let (thumb_frames, stable_thumbs) = self.count(shown);
        Some(FalseThumbs::new(
            self.thumbless_secs(),
            frames,
            thumb_frames,
            stable_thumbs,
        ))
    }

    /// The lowest threshold from which on no higher one has more than `max_per_minute` stable false thumbs; `None` if none is high enough.
    pub(super) fn recommendation(&self, max_per_minute: f64) -> Option<Recommendation> {
        let seconds = self.thumbless_secs();
        let mut best = None;
        for threshold in thresholds_from(self.settings.threshold).into_iter().rev() {
            let per_minute = self.count(self.shown_at(threshold)).1 as f64 * 60.0 / seconds;
            // Also for a duration of 0.
            if per_minute.is_nan() || per_minute > max_per_minute {
                break;
            }
            best = Some((threshold, per_minute));
        }
        let (threshold, per_minute) = best?;
        Some(Recommendation {
            threshold,
            per_minute,
            thumbs_kept: self.right_thumbs(threshold),
            thumbs: self.right_thumbs(self.settings.threshold),
        })
    }

    /// Whether a frame is in an interval, and should not show a thumb.
    fn is_thumbless(&self, frame: usize) -> bool {
        self.labels[frame].is_some_and(|label| !self.is_thumb[label])
    }

    /// The time until the next frame of each frame without a thumb.
    fn thumbless_secs(&self) -> f64 {
        let pairs = self.predictions.frames.windows(2).enumerate();
        let pairs = pairs.filter(|(frame, _)| self.is_thumbless(*frame));
        let secs = pairs.map(|(_, pair)| self.predictions.secs(&pair[1]) - self.predictions.secs(&pair[0]));
        secs.map(|secs| secs.clamp(0.0, self.settings.stale_secs)).sum()
    }

    fn shown_at(&self, threshold: f32) -> impl Iterator<Item = Shown> {
        let settings = DecisionSettings {
            threshold,
            ..self.settings
        };
        self.predictions.decide(settings).map(|decision| Shown {
            gesture: decision.unknown_reason.is_none().then_some(decision.label),
            is_stable: decision.is_stable,
        })
    }

    /// The number of frames with a false thumb, and how often a false thumb became stable.
    fn count(&self, shown: impl Iterator<Item = Shown>) -> (usize, usize) {
        let (mut thumb_frames, mut stable_thumbs) = (0, 0);
        let mut stable = None;
        for (frame, shown) in shown.enumerate() {
            let thumb = shown.gesture.filter(|label| self.is_thumb[*label]);
            let previous = std::mem::replace(&mut stable, thumb.filter(|_| shown.is_stable));
            if self.is_thumbless(frame) {
                thumb_frames += usize::from(thumb.is_some());
                stable_thumbs += usize::from(stable.is_some() && stable != previous);
            }
        }
        (thumb_frames, stable_thumbs)
    }

    /// The number of frames that show the expected thumb.
    fn right_thumbs(&self, threshold: f32) -> usize {
        let shown = self.shown_at(threshold).zip(&self.labels);
        let is_right = |(shown, expected): &(Shown, &Option<usize>)| {
            expected.is_some_and(|label| self.is_thumb[label] && shown.gesture == Some(label))
        };
        shown.filter(is_right).count()
    }
}

#[cfg(test)]
mod tests;
