//! From the probabilities of single frames to a decision that a robot can act on: freshness, smoothing, threshold, margin, hysteresis,
//! hold time. The result depends on the arguments and earlier frames only: there is no I/O and no clock.
//!
//! `docs/concepts/decision.md` has a diagram of the states, and the rules for the clocks.

mod frame_info;
mod freshness;
mod stream;

use strum::IntoStaticStr;

use crate::probability::argmax;
pub use frame_info::FrameInfo;
use freshness::Freshness;
pub use freshness::StaleCause;
use stream::{Stream, StreamFrame};

/// The parameters of a [`GestureFilter`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecisionSettings {
    /// Minimum probability of a gesture, 0 to 1.
    pub threshold: f32,
    /// Minimum difference between the highest and the second highest probability, 0 to 1.
    pub margin: f32,
    /// How far a gesture may fall below threshold and margin before it is dropped, 0 to 1.
    pub hysteresis: f32,
    /// Time constant of the exponential smoothing in seconds; with 0 the probabilities are not smoothed.
    pub smoothing_secs: f64,
    /// Seconds after which an uninterrupted gesture is stable.
    pub hold_secs: f64,
    /// Maximum age of a frame, maximum time without a new stamp or new pixels, and maximum time between two frames of a hold, seconds.
    pub stale_secs: f64,
    /// Whether frames that repeat the pixels of the last ones for more than `stale_secs` are stale.
    pub detect_frozen_camera: bool,
}

impl Default for DecisionSettings {
    /// The node's default parameters.
    fn default() -> DecisionSettings {
        DecisionSettings {
            threshold: 0.5,
            margin: 0.1,
            hysteresis: 0.05,
            smoothing_secs: 0.0,
            hold_secs: 0.5,
            stale_secs: 1.0,
            detect_frozen_camera: true,
        }
    }
}

/// Why there is no gesture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum UnknownReason {
    /// The highest probability is below the threshold.
    Threshold,
    /// The highest probability exceeds the second highest by less than the margin.
    Margin,
    /// A probability is NaN or infinite.
    NotFinite,
    /// The frame does not resemble those that the model was trained on, so that its probabilities mean nothing.
    Unfamiliar,
    /// The frame does not show what is before the camera now.
    Stale(StaleCause),
}

/// The decision after a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// Index of the label with the highest smoothed probability, or of the current gesture while hysteresis keeps it.
    pub label: usize,
    /// The smoothed probability of `label`, 0 to 1.
    pub confidence: f32,
    /// Why `label` is not a gesture; `None` if it is one.
    pub unknown_reason: Option<UnknownReason>,
    /// True once the gesture has lasted for [`DecisionSettings::hold_secs`] without interruption, on the clock of the stamps and on that of
    /// the arrivals.
    pub is_stable: bool,
    /// Whether the frame continues the stream of the previous ones; otherwise the hold time begins with it.
    pub is_continuous: bool,
}

/// Turns the probabilities of successive frames into decisions; it remembers the smoothed probabilities, the current gesture, and since
/// when stamps and pixels repeat.
#[derive(Clone, Debug, Default)]
pub struct GestureFilter {
    stream: Stream,
    freshness: Freshness,
    smoothed: Vec<f32>,
    /// The last frame in `smoothed`.
    last: Option<FrameInfo>,
    current: Option<CurrentGesture>,
}

/// The gesture of the last frame.
#[derive(Clone, Copy, Debug)]
struct CurrentGesture {
    label: usize,
    /// The frame with which its hold began; `None` if none of its frames can begin one.
    since: Option<FrameInfo>,
}

impl UnknownReason {
    /// The value of `reason` for each [`UnknownReason::Stale`].
    pub(crate) const STALE: &str = "stale";

    /// The value of `reason` in `ThumbGesture.msg`.
    pub fn reason(self) -> &'static str {
        self.into()
    }
}

impl Decision {
    fn unknown(frame: &StreamFrame, label: usize, confidence: f32, reason: UnknownReason) -> Decision {
        Decision {
            label,
            confidence,
            unknown_reason: Some(reason),
            is_stable: false,
            is_continuous: frame.is_continuous,
        }
    }
}

impl GestureFilter {
    /// Forgets the gesture and the smoothed probabilities, but not since when the camera is frozen.
    pub fn forget_gesture(&mut self) {
        self.smoothed.clear();
        self.last = None;
        self.current = None;
    }

    /// The decision after a frame. There must be at least one probability.
    ///
    /// A probability that is not finite makes the filter forget, because it would make all later averages invalid. So do a stale frame,
    /// and a frame that does not continue the stream of the previous ones. An unfamiliar frame ends the gesture, and has no weight in the
    /// averages.
    pub fn update(
        &mut self,
        settings: &DecisionSettings,
        probabilities: &[f32],
        frame: &FrameInfo,
    ) -> Decision {
        let frame = self.stream.advance(frame, settings.stale_secs);
        let stale_cause = self.freshness.check(&frame.info, settings);
        let has_other_labels = self.smoothed.len() != probabilities.len();
        if !frame.is_continuous || has_other_labels {
            self.forget_gesture();
        }
        if !probabilities.iter().all(|probability| probability.is_finite()) {
            self.without_gesture(&frame, 0, 0.0, UnknownReason::NotFinite)
        } else if let Some(cause) = stale_cause {
            let label = argmax(probabilities);
            self.without_gesture(&frame, label, probabilities[label], UnknownReason::Stale(cause))
        } else if !frame.info.is_familiar {
            self.current = None;
            let label = argmax(probabilities);
            Decision::unknown(&frame, label, probabilities[label], UnknownReason::Unfamiliar)
        } else {
            self.smooth(settings.smoothing_secs, probabilities, &frame.info);
            self.decide(settings, &frame)
        }
    }

    /// Forgets the gesture; `label` and `confidence` are those of the frame alone.
    fn without_gesture(
        &mut self,
        frame: &StreamFrame,
        label: usize,
        confidence: f32,
        reason: UnknownReason,
    ) -> Decision {
        self.forget_gesture();
        Decision::unknown(frame, label, confidence, reason)
    }

    /// The decision for the smoothed probabilities after `frame`.
    fn decide(&mut self, settings: &DecisionSettings, frame: &StreamFrame) -> Decision {
        let kept = self.current.filter(|gesture| {
            let (confidence, margin) = confidence_and_margin(&self.smoothed, gesture.label);
            confidence >= settings.threshold - settings.hysteresis
                && margin >= settings.margin - settings.hysteresis
        });
        let label = kept.map_or_else(|| argmax(&self.smoothed), |gesture| gesture.label);
        let (confidence, margin) = confidence_and_margin(&self.smoothed, label);
        let unknown_reason = if kept.is_some() {
            None
        } else if confidence < settings.threshold {
            Some(UnknownReason::Threshold)
        } else if margin < settings.margin {
            Some(UnknownReason::Margin)
        } else {
            None
        };
        let since = kept.and_then(|gesture| gesture.since);
        let since = since.or_else(|| frame.can_begin_hold.then_some(frame.info));
        self.current = unknown_reason
            .is_none()
            .then_some(CurrentGesture { label, since });
        let hold_secs = since.map(|since| frame.info.held_secs(&since));
        Decision {
            label,
            confidence,
            unknown_reason,
            is_stable: unknown_reason.is_none() && hold_secs.is_some_and(|secs| secs >= settings.hold_secs),
            is_continuous: frame.is_continuous,
        }
    }

    /// First-order low-pass filter for frames at any rate: s += (1 - e^(-dt / time constant)) (p - s).
    fn smooth(&mut self, smoothing_secs: f64, probabilities: &[f32], frame: &FrameInfo) {
        match &self.last {
            Some(last) if smoothing_secs > 0.0 => {
                let weight = 1.0 - (-frame.captured_secs(last) / smoothing_secs).exp();
                for (smoothed, probability) in self.smoothed.iter_mut().zip(probabilities) {
                    *smoothed += weight as f32 * (probability - *smoothed);
                }
            }
            _ => {
                self.smoothed.clear();
                self.smoothed.extend_from_slice(probabilities);
            }
        }
        self.last = Some(*frame);
    }
}

/// The probability of a label, and its difference to the highest probability of the other labels, or to 0 if there are none.
fn confidence_and_margin(probabilities: &[f32], label: usize) -> (f32, f32) {
    let others = probabilities
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != label);
    let best_other = others.map(|(_, probability)| *probability).fold(0.0, f32::max);
    (probabilities[label], probabilities[label] - best_other)
}

#[cfg(test)]
mod clock_tests;
#[cfg(test)]
mod tests;
