//! How often frames without a thumb are taken for thumbs, and the threshold that keeps this below a tolerated rate. Pure.
//!
//! A thumb that a robot acts on is stable: it was shown for the hold time. If a share of the frames without a thumb is taken for one, there
//! is at most one stable thumb for each hold time in that share of a minute.

use serde::{Deserialize, Serialize};

use crate::dataset::Label;
use crate::decision::DecisionSettings;
use crate::gesture::Gesture;
use crate::probability::argmax;

/// Probability that a rate is above its upper bound.
const ERROR_RATE: f64 = 0.05;
/// The distance of a camera's frames, seconds: without a hold time, each frame may be a stable thumb.
const FRAME_SECS: f64 = 1.0 / 30.0;
/// Thresholds are tried in steps of a hundredth, below 1, which few probabilities reach.
const HIGHEST_PERCENT: u8 = 99;

/// Held-out frames of labels other than thumbs, and those of them that are taken for thumbs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ThumblessFrames {
    /// Number of frames.
    pub frames: usize,
    /// Probability of the thumb in each frame that is taken for one, 0 to 1.
    pub thumbs: Vec<f32>,
}

/// The threshold for a tolerated rate of false thumbs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateThreshold {
    /// Minimum probability of a gesture, 0 to 1.
    pub threshold: f32,
    /// Stable false thumbs per minute at this threshold, at most, with 95 % confidence.
    pub max_per_minute: f64,
    /// Number of frames that would support the tolerated rate if none of them was taken for a thumb; `None` if the threshold keeps it.
    pub needed_frames: Option<u64>,
}

/// Whether a robot acts on this label as on a thumb.
pub fn is_thumb(label: &Label) -> bool {
    matches!(
        Gesture::from_label(label.as_str()),
        Gesture::ThumbsUp | Gesture::ThumbsDown
    )
}

impl ThumblessFrames {
    /// The frames whose true label is no thumb, given the true label and the probabilities of each frame.
    pub(crate) fn new<'a>(
        labels: &[Label],
        frames: impl Iterator<Item = (usize, &'a [f32])>,
    ) -> ThumblessFrames {
        let mut found = ThumblessFrames::default();
        for (_, probabilities) in frames.filter(|(truth, _)| !is_thumb(&labels[*truth])) {
            let label = argmax(probabilities);
            found.frames += 1;
            found
                .thumbs
                .extend(is_thumb(&labels[label]).then(|| probabilities[label]));
        }
        found
    }

    /// The lowest threshold, not below that of the settings, at which at most `max_per_minute` false thumbs become stable per minute. If the
    /// frames are too few to support that, the lowest one at which the fewest frames are taken for thumbs.
    ///
    /// The frames count as independent, and as what the robot sees without a thumb.
    pub fn threshold_for(&self, max_per_minute: f64, settings: &DecisionSettings) -> RateThreshold {
        // Hysteresis keeps a gesture down to here.
        let false_thumbs = |threshold: f32| {
            let lowest = threshold - settings.hysteresis;
            self.thumbs
                .iter()
                .filter(|confidence| **confidence >= lowest)
                .count()
        };
        let hold_secs = settings.hold_secs.max(FRAME_SECS);
        let bound = |threshold: f32| {
            let share = max_share(false_thumbs(threshold), self.frames);
            60.0 * share / hold_secs
        };
        let thresholds = thresholds_from(settings.threshold);
        let first = thresholds.partition_point(|threshold| bound(*threshold) > max_per_minute);
        let (threshold, needed_frames) = match thresholds.get(first) {
            Some(threshold) => (*threshold, None),
            None => {
                let fewest = thresholds.last().map_or(0, |last| false_thumbs(*last));
                let first = thresholds.partition_point(|threshold| false_thumbs(*threshold) > fewest);
                let needed = frames_for(max_per_minute * hold_secs / 60.0);
                (thresholds[first], Some(needed))
            }
        };
        RateThreshold {
            threshold,
            max_per_minute: bound(threshold),
            needed_frames,
        }
    }
}

/// A threshold, and the higher ones in steps of a hundredth.
pub(crate) fn thresholds_from(lowest: f32) -> Vec<f32> {
    let higher = (0..=HIGHEST_PERCENT).map(|percent| f32::from(percent) / 100.0);
    let higher = higher.filter(|threshold| *threshold > lowest);
    std::iter::once(lowest).chain(higher).collect()
}

/// The upper bound of a share of which `found` of `frames` independent frames are a sample, with 95 % confidence on this side
/// (Clopper and Pearson 1934). Without any, it is 3 / `frames`, as the rule of three says; without frames 1.
pub fn max_share(found: usize, frames: usize) -> f64 {
    if found >= frames {
        return 1.0;
    }
    let count = frames as f64;
    at_error_rate(1.0, |share| {
        let ratio = |index: usize| (count - index as f64) / (index + 1) as f64 * share / (1.0 - share);
        probability_up_to(found, count * (-share).ln_1p(), ratio)
    })
}

/// The upper bound of the expected number of events if `found` were counted, with 95 % confidence on this side (Garwood 1936). Without any,
/// it is 3.
pub fn max_expected(found: usize) -> f64 {
    let limit = 10.0 + 3.0 * found as f64;
    at_error_rate(limit, |expected| {
        probability_up_to(found, -expected, |index| expected / (index + 1) as f64)
    })
}

/// Number of independent frames that support a share if none of them is false.
fn frames_for(share: f64) -> u64 {
    // The cast saturates for a share of 0, which no number of frames supports.
    (ERROR_RATE.ln() / (-share.min(1.0)).ln_1p()).ceil() as u64
}

/// The sum of the probabilities of 0 to `last` events: that of 0 is given by its logarithm, the others by their ratio to the previous one.
fn probability_up_to(last: usize, log_first: f64, ratio: impl Fn(usize) -> f64) -> f64 {
    let mut log = log_first;
    let mut sum = log.exp();
    for index in 0..last {
        log += ratio(index).ln();
        sum += log.exp();
    }
    sum
}

/// Where a probability that decreases from 1 falls to [`ERROR_RATE`], between 0 and `limit`.
fn at_error_rate(limit: f64, probability: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, limit);
    // Halves the distance until it is that of two neighboring numbers.
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if probability(middle) > ERROR_RATE {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests;
