//! From the probabilities of single frames to a verdict one can act on: smoothing, threshold, margin, hold. Pure.
//!
//! Times are seconds on one clock of the caller's (the frames' stamps). When that clock jumps back, as a looped bag makes it, the
//! decision starts afresh.

/// How sure is sure enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecisionSettings {
    /// The least probability of a verdict, 0 to 1.
    pub threshold: f32,
    /// The least lead over the second likeliest label, 0 to 1.
    pub margin: f32,
    /// Time constant of the exponential smoothing in seconds; 0 takes each frame for itself.
    pub smoothing_secs: f64,
    /// Seconds that a verdict must hold to be stable.
    pub hold_secs: f64,
}

/// Why there is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The likeliest label is less likely than the threshold.
    Threshold,
    /// The second likeliest label is too close.
    Margin,
    /// The network gave no numbers.
    NotFinite,
}

/// What the frames so far say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Index of the likeliest label.
    pub label: usize,
    /// Its smoothed probability, 0 to 1.
    pub confidence: f32,
    /// Why it is no verdict all the same.
    pub doubt: Option<Doubt>,
    /// True once it has held for the configured time, without doubt.
    pub stable: bool,
}

/// The memory between frames.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    smoothed: Vec<f32>,
    last_secs: Option<f64>,
    /// The label without doubt, and since when.
    held: Option<(usize, f64)>,
}

impl Doubt {
    /// The word for it in `ThumbGesture.msg`'s `reason`.
    pub fn reason(self) -> &'static str {
        match self {
            Doubt::Threshold => "threshold",
            Doubt::Margin => "margin",
            Doubt::NotFinite => "not_finite",
        }
    }
}

impl Decision {
    /// Forgets all frames.
    pub fn reset(&mut self) {
        *self = Decision::default();
    }

    /// Takes in the probabilities of one frame, taken at `now_secs`. There must be at least one.
    ///
    /// Where one of them is no number the frames before are forgotten: nothing can be averaged with it.
    pub fn update(&mut self, settings: &DecisionSettings, probabilities: &[f32], now_secs: f64) -> Verdict {
        if !probabilities.iter().all(|probability| probability.is_finite()) {
            self.reset();
            return Verdict {
                label: 0,
                confidence: 0.0,
                doubt: Some(Doubt::NotFinite),
                stable: false,
            };
        }
        let is_fresh = self.smoothed.len() != probabilities.len();
        if is_fresh || self.last_secs.is_some_and(|last_secs| now_secs < last_secs) {
            self.reset();
        }
        self.smooth(settings.smoothing_secs, probabilities, now_secs);

        let (label, confidence, runner_up) = two_greatest(&self.smoothed);
        let doubt = if confidence < settings.threshold {
            Some(Doubt::Threshold)
        } else if confidence - runner_up < settings.margin {
            Some(Doubt::Margin)
        } else {
            None
        };
        self.held = match (doubt, self.held) {
            (Some(_), _) => None,
            (None, Some((held, since_secs))) if held == label => Some((held, since_secs)),
            (None, _) => Some((label, now_secs)),
        };
        Verdict {
            label,
            confidence,
            doubt,
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

/// The index of the greatest value, that value, and the second greatest (0 where there is none).
fn two_greatest(values: &[f32]) -> (usize, f32, f32) {
    let mut best = (0, f32::MIN);
    let mut second = f32::MIN;
    for (index, &value) in values.iter().enumerate() {
        if value > best.1 {
            second = best.1;
            best = (index, value);
        } else if value > second {
            second = value;
        }
    }
    (best.0, best.1, second.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: DecisionSettings = DecisionSettings {
        threshold: 0.6,
        margin: 0.2,
        smoothing_secs: 0.0,
        hold_secs: 0.5,
    };

    fn verdict(probabilities: &[f32]) -> Verdict {
        Decision::default().update(&SETTINGS, probabilities, 0.0)
    }

    #[test]
    fn the_likeliest_label_is_the_verdict() {
        let verdict = verdict(&[0.1, 0.8, 0.1]);
        assert_eq!((verdict.label, verdict.confidence, verdict.doubt), (1, 0.8, None));
    }

    #[test]
    fn what_is_no_number_is_no_verdict_and_is_forgotten() {
        let mut decision = Decision::default();
        let smoothing = DecisionSettings {
            smoothing_secs: 10.0,
            ..SETTINGS
        };
        let broken = decision.update(&smoothing, &[f32::NAN, 0.8, 0.2], 0.0);
        assert_eq!((broken.doubt, broken.stable), (Some(Doubt::NotFinite), false));
        let next = decision.update(&smoothing, &[0.0, 1.0, 0.0], 0.1);
        assert_eq!((next.label, next.confidence, next.doubt), (1, 1.0, None));
    }

    #[test]
    fn below_the_threshold_there_is_doubt() {
        assert_eq!(verdict(&[0.55, 0.25, 0.2]).doubt, Some(Doubt::Threshold));
    }

    #[test]
    fn within_the_margin_there_is_doubt() {
        let settings = DecisionSettings {
            threshold: 0.4,
            ..SETTINGS
        };
        let verdict = Decision::default().update(&settings, &[0.5, 0.45, 0.05], 0.0);
        assert_eq!(verdict.doubt, Some(Doubt::Margin));
    }

    #[test]
    fn a_verdict_is_stable_once_it_has_held() {
        let mut decision = Decision::default();
        let stable: Vec<bool> = [0.0, 0.25, 0.5, 0.75]
            .into_iter()
            .map(|now_secs| decision.update(&SETTINGS, &[0.9, 0.1], now_secs).stable)
            .collect();
        assert_eq!(stable, [false, false, true, true]);
        assert!(
            !decision.update(&SETTINGS, &[0.1, 0.9], 1.0).stable,
            "another label begins afresh"
        );
    }

    #[test]
    fn doubt_ends_the_hold() {
        let mut decision = Decision::default();
        decision.update(&SETTINGS, &[0.9, 0.1], 0.0);
        decision.update(&SETTINGS, &[0.5, 0.5], 0.3);
        assert!(!decision.update(&SETTINGS, &[0.9, 0.1], 0.6).stable);
    }

    #[test]
    fn one_odd_frame_does_not_turn_a_smoothed_verdict() {
        let settings = DecisionSettings {
            smoothing_secs: 0.3,
            ..SETTINGS
        };
        let mut decision = Decision::default();
        for frame in 0..10 {
            decision.update(&settings, &[0.95, 0.05], f64::from(frame) / 30.0);
        }
        assert_eq!(decision.update(&settings, &[0.05, 0.95], 10.0 / 30.0).label, 0);
    }

    #[test]
    fn a_clock_that_jumps_back_begins_afresh() {
        let settings = DecisionSettings {
            smoothing_secs: 10.0,
            ..SETTINGS
        };
        let mut decision = Decision::default();
        decision.update(&settings, &[1.0, 0.0], 100.0);
        let verdict = decision.update(&settings, &[0.0, 1.0], 3.0);
        assert_eq!((verdict.label, verdict.stable), (1, false));
    }

    #[test]
    fn another_number_of_labels_begins_afresh() {
        let mut decision = Decision::default();
        decision.update(&SETTINGS, &[0.9, 0.1], 0.0);
        assert_eq!(decision.update(&SETTINGS, &[0.0, 0.1, 0.9], 0.1).label, 2);
    }
}
