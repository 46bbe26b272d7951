//! From the probabilities of single frames to a decision one can act on: smoothing, threshold, margin, hysteresis, hold. Pure.
//!
//! `docs/decision.md` has an image of the states.
//!
//! Times are seconds on one clock of the caller's (the frames' stamps). When that clock jumps back, as a looped bag makes it, the
//! decision starts afresh.

use crate::probability::argmax;

/// How sure is sure enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecisionSettings {
    /// The least probability of a decision, 0 to 1.
    pub threshold: f32,
    /// The least lead over the second likeliest label, 0 to 1.
    pub margin: f32,
    /// By so much a decision may fall below threshold and margin before it is given up, 0 to 1.
    pub hysteresis: f32,
    /// Time constant of the exponential smoothing in seconds; 0 takes each frame for itself.
    pub smoothing_secs: f64,
    /// Seconds that a decision must hold to be stable.
    pub hold_secs: f64,
}

impl Default for DecisionSettings {
    /// As the node has them by default.
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

/// Why there is no decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownReason {
    /// The likeliest label is less likely than the threshold.
    Threshold,
    /// The second likeliest label is too close.
    Margin,
    /// The network gave no numbers.
    NotFinite,
}

/// What the frames so far say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// Index of the likeliest label, or of the one that is held although another has come close.
    pub label: usize,
    /// Its smoothed probability, 0 to 1.
    pub confidence: f32,
    /// Why it is no decision all the same.
    pub unknown_reason: Option<UnknownReason>,
    /// True once it has held for the configured time, without doubt.
    pub stable: bool,
}

/// The memory between frames.
#[derive(Clone, Debug, Default)]
pub struct GestureFilter {
    smoothed: Vec<f32>,
    last_secs: Option<f64>,
    /// The label without unknown_reason, and since when.
    held: Option<(usize, f64)>,
}

impl UnknownReason {
    /// The word for it in `ThumbGesture.msg`'s `reason`.
    pub fn reason(self) -> &'static str {
        match self {
            UnknownReason::Threshold => "threshold",
            UnknownReason::Margin => "margin",
            UnknownReason::NotFinite => "not_finite",
        }
    }
}

impl GestureFilter {
    /// Forgets all frames.
    pub fn reset(&mut self) {
        *self = GestureFilter::default();
    }

    /// Takes in the probabilities of one frame, taken at `now_secs`. There must be at least one.
    ///
    /// Where one of them is no number the frames before are forgotten: nothing can be averaged with it.
    pub fn update(&mut self, settings: &DecisionSettings, probabilities: &[f32], now_secs: f64) -> Decision {
        if !probabilities.iter().all(|probability| probability.is_finite()) {
            self.reset();
            return Decision {
                label: 0,
                confidence: 0.0,
                unknown_reason: Some(UnknownReason::NotFinite),
                stable: false,
            };
        }
        let is_fresh = self.smoothed.len() != probabilities.len();
        if is_fresh || self.last_secs.is_some_and(|last_secs| now_secs < last_secs) {
            self.reset();
        }
        self.smooth(settings.smoothing_secs, probabilities, now_secs);

        let kept = self.held.filter(|(held, _)| {
            let (confidence, lead) = standing(&self.smoothed, *held);
            confidence >= settings.threshold - settings.hysteresis
                && lead >= settings.margin - settings.hysteresis
        });
        let label = kept.map_or_else(|| argmax(&self.smoothed), |(held, _)| held);
        let (confidence, lead) = standing(&self.smoothed, label);
        let unknown_reason = match kept {
            Some(_) => None,
            None if confidence < settings.threshold => Some(UnknownReason::Threshold),
            None if lead < settings.margin => Some(UnknownReason::Margin),
            None => None,
        };
        self.held = match unknown_reason {
            Some(_) => None,
            None => kept.or(Some((label, now_secs))),
        };
        Decision {
            label,
            confidence,
            unknown_reason,
            stable: self
                .held
                .is_some_and(|(_, since_secs)| now_secs - since_secs >= settings.hold_secs),
        }
    }

    /// s += (1 - e^(-dt / time constant)) (p - s): the first-order low pass, for frames that come at any rate.
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

/// A label's value, and its lead over the greatest of the others, which is its own value where there are none.
fn standing(values: &[f32], label: usize) -> (f32, f32) {
    let others = values.iter().enumerate().filter(|(index, _)| *index != label);
    let best_other = others.map(|(_, value)| *value).fold(0.0, f32::max);
    (values[label], values[label] - best_other)
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
    fn the_likeliest_label_is_the_decision() {
        let decision = decision(&[0.1, 0.8, 0.1]);
        assert_eq!(
            (decision.label, decision.confidence, decision.unknown_reason),
            (1, 0.8, None)
        );
    }

    #[test]
    fn what_is_no_number_is_no_decision_and_is_forgotten() {
        let mut filter = GestureFilter::default();
        let smoothing = DecisionSettings {
            smoothing_secs: 10.0,
            ..SETTINGS
        };
        let broken = filter.update(&smoothing, &[f32::NAN, 0.8, 0.2], 0.0);
        assert_eq!(
            (broken.unknown_reason, broken.stable),
            (Some(UnknownReason::NotFinite), false)
        );
        let next = filter.update(&smoothing, &[0.0, 1.0, 0.0], 0.1);
        assert_eq!((next.label, next.confidence, next.unknown_reason), (1, 1.0, None));
    }

    #[test]
    fn below_the_threshold_there_is_doubt() {
        assert_eq!(
            decision(&[0.55, 0.25, 0.2]).unknown_reason,
            Some(UnknownReason::Threshold)
        );
    }

    #[test]
    fn within_the_margin_there_is_doubt() {
        let settings = DecisionSettings {
            threshold: 0.4,
            ..SETTINGS
        };
        let decision = GestureFilter::default().update(&settings, &[0.5, 0.45, 0.05], 0.0);
        assert_eq!(decision.unknown_reason, Some(UnknownReason::Margin));
    }

    #[test]
    fn a_decision_is_stable_once_it_has_held() {
        let mut filter = GestureFilter::default();
        let stable: Vec<bool> = [0.0, 0.25, 0.5, 0.75]
            .into_iter()
            .map(|now_secs| filter.update(&SETTINGS, &[0.9, 0.1], now_secs).stable)
            .collect();
        assert_eq!(stable, [false, false, true, true]);
        assert!(
            !filter.update(&SETTINGS, &[0.1, 0.9], 1.0).stable,
            "another label begins afresh"
        );
    }

    #[test]
    fn doubt_ends_the_hold() {
        let mut filter = GestureFilter::default();
        filter.update(&SETTINGS, &[0.9, 0.1], 0.0);
        filter.update(&SETTINGS, &[0.5, 0.5], 0.3);
        assert!(!filter.update(&SETTINGS, &[0.9, 0.1], 0.6).stable);
    }

    #[test]
    fn one_odd_frame_does_not_turn_a_smoothed_decision() {
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
    fn a_clock_that_jumps_back_begins_afresh() {
        let settings = DecisionSettings {
            smoothing_secs: 10.0,
            ..SETTINGS
        };
        let mut filter = GestureFilter::default();
        filter.update(&settings, &[1.0, 0.0], 100.0);
        let decision = filter.update(&settings, &[0.0, 1.0], 3.0);
        assert_eq!((decision.label, decision.stable), (1, false));
    }

    #[test]
    fn another_number_of_labels_begins_afresh() {
        let mut filter = GestureFilter::default();
        filter.update(&SETTINGS, &[0.9, 0.1], 0.0);
        assert_eq!(filter.update(&SETTINGS, &[0.0, 0.1, 0.9], 0.1).label, 2);
    }

    const STICKY: DecisionSettings = DecisionSettings {
        hysteresis: 0.15,
        ..SETTINGS
    };

    #[test]
    fn a_decision_outlives_a_dip_that_would_not_have_made_it() {
        let dip = [0.5, 0.3, 0.2];
        let mut filter = GestureFilter::default();
        assert!(
            filter.update(&STICKY, &dip, 0.0).unknown_reason.is_some(),
            "not enough to begin"
        );
        filter.update(&STICKY, &[0.8, 0.1, 0.1], 0.1);
        let decision = filter.update(&STICKY, &dip, 0.9);
        assert_eq!(
            (decision.label, decision.unknown_reason, decision.stable),
            (0, None, true)
        );
        let fallen = filter.update(&STICKY, &[0.44, 0.3, 0.26], 1.0);
        assert_eq!(
            fallen.unknown_reason,
            Some(UnknownReason::Threshold),
            "below threshold - hysteresis"
        );
        assert!(
            filter.update(&STICKY, &dip, 1.1).unknown_reason.is_some(),
            "given up is given up"
        );
    }

    #[test]
    fn one_that_has_come_close_does_not_take_over_until_it_leads() {
        let close = DecisionSettings {
            threshold: 0.4,
            margin: 0.1,
            ..STICKY
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
            (decision.label, decision.unknown_reason, decision.stable),
            (1, None, false)
        );
    }

    /// Any settings, and any frames of three labels: seconds since the last one, and what their probabilities are made of.
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

    /// The decisions of a run that begins at `start_secs`, with the times of the frames.
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
        /// What a robot relies on: stable means that each frame of the last `hold_secs` had this decision, without doubt.
        #[test]
        fn stable_is_what_was_held_for_long_enough((settings, frames) in any_run()) {
            let run = decisions(&settings, &frames, 0.0);
            for (index, (now_secs, decision)) in run.iter().enumerate() {
                if decision.stable {
                    let begin = run[..=index].iter().rposition(|(_, earlier)| {
                        earlier.label != decision.label || earlier.unknown_reason.is_some()
                    });
                    let begin = begin.map_or(0, |before| before + 1);
                    prop_assert!(begin <= index && now_secs - run[begin].0 >= settings.hold_secs);
                }
            }
        }

        /// No decision is below what hysteresis leaves of the threshold, and a new one is not below the threshold itself.
        #[test]
        fn a_decision_is_likely_enough((settings, frames) in any_run()) {
            let mut before = None;
            for (_, decision) in decisions(&settings, &frames, 0.0) {
                if decision.unknown_reason.is_none() {
                    let is_new = before != Some(decision.label);
                    let least = settings.threshold - if is_new { 0.0 } else { settings.hysteresis };
                    prop_assert!(decision.confidence >= least);
                }
                before = decision.unknown_reason.is_none().then_some(decision.label);
            }
        }

        /// Whatever is no doubt without hysteresis is none with it.
        #[test]
        fn more_hysteresis_never_ends_a_decision_that_less_would_keep((settings, frames) in any_run()) {
            let none = DecisionSettings { hysteresis: 0.0, ..settings };
            let (sticky, plain) = (decisions(&settings, &frames, 0.0), decisions(&none, &frames, 0.0));
            for ((_, sticky), (_, plain)) in sticky.iter().zip(&plain) {
                prop_assert!(plain.unknown_reason.is_some() || sticky.unknown_reason.is_none());
            }
        }

        /// A bag that is played again after another, from an earlier time on, says what it says by itself.
        #[test]
        fn a_jump_back_is_a_new_beginning((settings, frames) in any_run(), (_, others) in any_run()) {
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
