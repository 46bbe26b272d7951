//! From the probabilities of single frames to a decision that a robot can act on: smoothing, threshold, margin, hysteresis, hold time.
//! The result depends on the arguments and earlier frames only: there is no I/O and no clock.
//!
//! `docs/concepts/decision.md` has a diagram of the states.
//!
//! Times are seconds on one clock that the caller chooses (the stamps of the frames). If that clock jumps back, as it does when a bag is
//! played in a loop, the filter is reset.

use strum::IntoStaticStr;

use crate::probability::argmax;

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
    /// True once the gesture has lasted for [`DecisionSettings::hold_secs`] without interruption.
    pub is_stable: bool,
}

/// Turns the probabilities of successive frames into decisions; it remembers the smoothed probabilities and the current gesture.
#[derive(Clone, Debug, Default)]
pub struct GestureFilter {
    smoothed: Vec<f32>,
    last_secs: Option<f64>,
    current: Option<CurrentGesture>,
}

/// The gesture of the last frame.
#[derive(Clone, Copy, Debug)]
struct CurrentGesture {
    label: usize,
    since_secs: f64,
}

impl UnknownReason {
    /// The value of `reason` in `ThumbGesture.msg`.
    pub fn reason(self) -> &'static str {
        self.into()
    }
}

impl GestureFilter {
    /// Forgets all frames.
    pub fn reset(&mut self) {
        *self = GestureFilter::default();
    }

    /// The decision after a frame captured at `now_secs`. There must be at least one probability.
    ///
    /// A probability that is not finite resets the filter, because it would make all later averages invalid.
    pub fn update(&mut self, settings: &DecisionSettings, probabilities: &[f32], now_secs: f64) -> Decision {
        if !probabilities.iter().all(|probability| probability.is_finite()) {
            self.reset();
            return Decision {
                label: 0,
                confidence: 0.0,
                unknown_reason: Some(UnknownReason::NotFinite),
                is_stable: false,
            };
        }
        let has_other_labels = self.smoothed.len() != probabilities.len();
        if has_other_labels || self.last_secs.is_some_and(|last_secs| now_secs < last_secs) {
            self.reset();
        }
        self.smooth(settings.smoothing_secs, probabilities, now_secs);

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
        let started = CurrentGesture {
            label,
            since_secs: now_secs,
        };
        self.current = match unknown_reason {
            Some(_) => None,
            None => Some(kept.unwrap_or(started)),
        };
        Decision {
            label,
            confidence,
            unknown_reason,
            is_stable: self
                .current
                .is_some_and(|gesture| now_secs - gesture.since_secs >= settings.hold_secs),
        }
    }

    /// First-order low-pass filter for frames at any rate: s += (1 - e^(-dt / time constant)) (p - s).
    fn smooth(&mut self, smoothing_secs: f64, probabilities: &[f32], now_secs: f64) {
        match self.last_secs {
            Some(last_secs) if smoothing_secs > 0.0 => {
                let weight = 1.0 - (-(now_secs - last_secs) / smoothing_secs).exp();
                for (smoothed, probability) in self.smoothed.iter_mut().zip(probabilities) {
                    *smoothed += weight as f32 * (probability - *smoothed);
                }
            }
            _ => {
                self.smoothed.clear();
                self.smoothed.extend_from_slice(probabilities);
            }
        }
        self.last_secs = Some(now_secs);
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: DecisionSettings = DecisionSettings {
        threshold: 0.6,
        margin: 0.2,
        hysteresis: 0.0,
        smoothing_secs: 0.0,
        hold_secs: 0.5,
    };

    fn decision(probabilities: &[f32]) -> Decision {
        GestureFilter::default().update(&SETTINGS, probabilities, 0.0)
    }

    #[test]
    fn label_with_the_highest_probability_is_the_gesture() {
        let decision = decision(&[0.1, 0.8, 0.1]);
        assert_eq!(
            (decision.label, decision.confidence, decision.unknown_reason),
            (1, 0.8, None)
        );
    }

    #[test]
    fn probability_that_is_not_finite_gives_unknown_and_resets_the_filter() {
        let mut filter = GestureFilter::default();
        let smoothing = DecisionSettings {
            smoothing_secs: 10.0,
            ..SETTINGS
        };
        let invalid = filter.update(&smoothing, &[f32::NAN, 0.8, 0.2], 0.0);
        assert_eq!(
            (invalid.unknown_reason, invalid.is_stable),
            (Some(UnknownReason::NotFinite), false)
        );
        let next = filter.update(&smoothing, &[0.0, 1.0, 0.0], 0.1);
        assert_eq!((next.label, next.confidence, next.unknown_reason), (1, 1.0, None));
    }

    #[test]
    fn probability_below_the_threshold_gives_unknown() {
        assert_eq!(
            decision(&[0.55, 0.25, 0.2]).unknown_reason,
            Some(UnknownReason::Threshold)
        );
    }

    #[test]
    fn difference_below_the_margin_gives_unknown() {
        let settings = DecisionSettings {
            threshold: 0.4,
            ..SETTINGS
        };
        let decision = GestureFilter::default().update(&settings, &[0.5, 0.45, 0.05], 0.0);
        assert_eq!(decision.unknown_reason, Some(UnknownReason::Margin));
    }

    #[test]
    fn gesture_is_stable_after_the_hold_time() {
        let mut filter = GestureFilter::default();
        let stable: Vec<bool> = [0.0, 0.25, 0.5, 0.75]
            .into_iter()
            .map(|now_secs| filter.update(&SETTINGS, &[0.9, 0.1], now_secs).is_stable)
            .collect();
        assert_eq!(stable, [false, false, true, true]);
        assert!(
            !filter.update(&SETTINGS, &[0.1, 0.9], 1.0).is_stable,
            "another gesture restarts the hold time"
        );
    }

    #[test]
    fn unknown_restarts_the_hold_time() {
        let mut filter = GestureFilter::default();
        filter.update(&SETTINGS, &[0.9, 0.1], 0.0);
        filter.update(&SETTINGS, &[0.5, 0.5], 0.3);
        assert!(!filter.update(&SETTINGS, &[0.9, 0.1], 0.6).is_stable);
    }

    #[test]
    fn single_outlier_does_not_change_a_smoothed_decision() {
        let settings = DecisionSettings {
            smoothing_secs: 0.3,
            ..SETTINGS
        };
        let mut filter = GestureFilter::default();
        for frame in 0..10 {
            filter.update(&settings, &[0.95, 0.05], f64::from(frame) / 30.0);
        }
        assert_eq!(filter.update(&settings, &[0.05, 0.95], 10.0 / 30.0).label, 0);
    }

    #[test]
    fn clock_that_jumps_back_resets_the_filter() {
        let settings = DecisionSettings {
            smoothing_secs: 10.0,
            ..SETTINGS
        };
        let mut filter = GestureFilter::default();
        filter.update(&settings, &[1.0, 0.0], 100.0);
        let decision = filter.update(&settings, &[0.0, 1.0], 3.0);
        assert_eq!((decision.label, decision.is_stable), (1, false));
    }

    #[test]
    fn another_number_of_labels_resets_the_filter() {
        let mut filter = GestureFilter::default();
        filter.update(&SETTINGS, &[0.9, 0.1], 0.0);
        assert_eq!(filter.update(&SETTINGS, &[0.0, 0.1, 0.9], 0.1).label, 2);
    }

    const WITH_HYSTERESIS: DecisionSettings = DecisionSettings {
        hysteresis: 0.15,
        ..SETTINGS
    };

    #[test]
    fn gesture_is_kept_down_to_threshold_minus_hysteresis() {
        let dip = [0.5, 0.3, 0.2];
        let mut filter = GestureFilter::default();
        assert!(
            filter
                .update(&WITH_HYSTERESIS, &dip, 0.0)
                .unknown_reason
                .is_some(),
            "below the threshold of a new gesture"
        );
        filter.update(&WITH_HYSTERESIS, &[0.8, 0.1, 0.1], 0.1);
        let decision = filter.update(&WITH_HYSTERESIS, &dip, 0.9);
        assert_eq!(
            (decision.label, decision.unknown_reason, decision.is_stable),
            (0, None, true)
        );
        let dropped = filter.update(&WITH_HYSTERESIS, &[0.44, 0.3, 0.26], 1.0);
        assert_eq!(
            dropped.unknown_reason,
            Some(UnknownReason::Threshold),
            "below threshold - hysteresis"
        );
        assert!(
            filter
                .update(&WITH_HYSTERESIS, &dip, 1.1)
                .unknown_reason
                .is_some(),
            "hysteresis does not apply to a dropped gesture"
        );
    }

    #[test]
    fn gesture_changes_once_the_other_label_leads_by_more_than_the_hysteresis() {
        let close = DecisionSettings {
            threshold: 0.4,
            margin: 0.1,
            ..WITH_HYSTERESIS
        };
        let mut filter = GestureFilter::default();
        filter.update(&close, &[0.6, 0.4], 0.0);
        let decision = filter.update(&close, &[0.49, 0.51], 0.1);
        assert_eq!(
            (decision.label, decision.confidence, decision.unknown_reason),
            (0, 0.49, None)
        );
        let decision = filter.update(&close, &[0.4, 0.6], 0.2);
        assert_eq!(
            (decision.label, decision.unknown_reason, decision.is_stable),
            (1, None, false)
        );
    }

    /// Any settings, and any frames of three labels: seconds since the last frame, and weights that are normalized to probabilities.
    fn any_run() -> impl Strategy<Value = (DecisionSettings, Vec<(f64, [f32; 3])>)> {
        let settings = (
            0.0..=1.0f32,
            0.0..=1.0f32,
            0.0..=0.5f32,
            0.0..=1.0f64,
            0.0..=1.0f64,
        )
            .prop_map(|(threshold, margin, hysteresis, smoothing_secs, hold_secs)| {
                DecisionSettings {
                    threshold,
                    margin,
                    hysteresis,
                    smoothing_secs,
                    hold_secs,
                }
            });
        let frame = (0.001..=0.5f64, prop::array::uniform3(0.001..=1.0f32));
        (settings, prop::collection::vec(frame, 1..40))
    }

    /// The decisions for frames that start at `start_secs`, with the time of each frame.
    fn decisions(
        settings: &DecisionSettings,
        frames: &[(f64, [f32; 3])],
        start_secs: f64,
    ) -> Vec<(f64, Decision)> {
        let mut filter = GestureFilter::default();
        let mut now_secs = start_secs;
        let decision = |(step_secs, weights): &(f64, [f32; 3])| {
            now_secs += step_secs;
            let sum: f32 = weights.iter().sum();
            let probabilities = weights.map(|weight| weight / sum);
            (now_secs, filter.update(settings, &probabilities, now_secs))
        };
        frames.iter().map(decision).collect()
    }

    proptest! {
        /// Robots rely on this: stable means that each frame of the last `hold_secs` had the same gesture.
        #[test]
        fn stable_gesture_has_lasted_for_the_hold_time((settings, frames) in any_run()) {
            let run = decisions(&settings, &frames, 0.0);
            for (index, (now_secs, decision)) in run.iter().enumerate() {
                if decision.is_stable {
                    let begin = run[..=index].iter().rposition(|(_, earlier)| {
                        earlier.label != decision.label || earlier.unknown_reason.is_some()
                    });
                    let begin = begin.map_or(0, |before| before + 1);
                    prop_assert!(begin <= index && now_secs - run[begin].0 >= settings.hold_secs);
                }
            }
        }

        /// A new gesture reaches the threshold, and a kept one the threshold minus the hysteresis.
        #[test]
        fn confidence_of_a_gesture_reaches_the_threshold((settings, frames) in any_run()) {
            let mut before = None;
            for (_, decision) in decisions(&settings, &frames, 0.0) {
                if decision.unknown_reason.is_none() {
                    let is_new = before != Some(decision.label);
                    let min = settings.threshold - if is_new { 0.0 } else { settings.hysteresis };
                    prop_assert!(decision.confidence >= min);
                }
                before = decision.unknown_reason.is_none().then_some(decision.label);
            }
        }

        /// A frame that has a gesture without hysteresis has one with hysteresis too.
        #[test]
        fn hysteresis_never_drops_a_gesture((settings, frames) in any_run()) {
            let without = DecisionSettings { hysteresis: 0.0, ..settings };
            let (kept, plain) = (decisions(&settings, &frames, 0.0), decisions(&without, &frames, 0.0));
            for ((_, kept), (_, plain)) in kept.iter().zip(&plain) {
                prop_assert!(plain.unknown_reason.is_some() || kept.unknown_reason.is_none());
            }
        }

        /// A bag that is played after another one with later stamps gives the same decisions as on its own.
        #[test]
        fn decisions_after_a_jump_back_do_not_depend_on_earlier_frames((settings, frames) in any_run(), (_, others) in any_run()) {
            let mut filter = GestureFilter::default();
            for (index, (_, weights)) in others.iter().enumerate() {
                let sum: f32 = weights.iter().sum();
                filter.update(&settings, &weights.map(|weight| weight / sum), 1e6 + index as f64);
            }
            let alone = decisions(&settings, &frames, 0.0);
            let mut now_secs = 0.0;
            for ((step_secs, weights), (_, expected)) in frames.iter().zip(&alone) {
                now_secs += step_secs;
                let sum: f32 = weights.iter().sum();
                let decision = filter.update(&settings, &weights.map(|weight| weight / sum), now_secs);
                prop_assert_eq!(&decision, expected);
            }
        }
    }
}
