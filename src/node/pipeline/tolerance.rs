//! The threshold in effect: that of the parameters, or a higher one that keeps the tolerated rate of false thumbs.

use crate::decision::DecisionSettings;
use crate::false_thumbs::ThumblessFrames;
use crate::model_store::manifest::Thumbless;
use crate::node::params::Params;
use crate::recognizer::settings::Method;

/// The settings of the decision, and why their threshold is not that of the parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tolerance {
    /// What was given when it was computed.
    parameters: Option<Parameters>,
    settings: DecisionSettings,
    /// `None` if no rate is set.
    explanation: Option<Explanation>,
}

/// Which threshold is in effect and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Explanation {
    /// For people.
    pub(super) text: String,
    /// Whether the model's held-out frames are enough to support the rate.
    pub(super) is_supported: bool,
}

/// The parameters on which the threshold depends.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Parameters {
    settings: DecisionSettings,
    max_per_minute: f32,
    method: Method,
}

impl Tolerance {
    /// The threshold for a model that decides by a method, and whose held-out frames are `None` if it has none.
    ///
    /// The method is not that of the parameters if the networks for hands could not be loaded.
    pub(super) fn new(params: &Params, method: Method, thumbless: Option<&Thumbless>) -> Tolerance {
        let parameters = Parameters::of(params);
        let Parameters {
            settings,
            max_per_minute,
            ..
        } = parameters;
        let unneeded = Tolerance {
            parameters: Some(parameters),
            settings,
            explanation: None,
        };
        if max_per_minute < 0.0 {
            return unneeded;
        }
        let frames = thumbless.and_then(|thumbless| match method {
            Method::Image => Some(&thumbless.image),
            Method::Hand => thumbless.hand.as_ref(),
            // Landmarks alone have no figures of their own.
            Method::Auto | Method::Landmarks => Some(&thumbless.auto),
        });
        let no_frames = ThumblessFrames::default();
        let frames = frames.unwrap_or(&no_frames);
        let found = frames.threshold_for(max_per_minute.into(), &settings);
        let threshold = format!(
            "threshold {:.2} is in effect, the parameter is {:.2}",
            found.threshold, settings.threshold
        );
        let bound = format!("{:.1} false thumbs per minute", found.max_per_minute);
        let count = frames.frames;
        let reason = match found.needed_frames {
            None if count == 0 => format!("at most {bound}, by hold_time alone"),
            None => format!("at most {bound} by {count} held-out frames without a thumb"),
            Some(_) if count == 0 => {
                "the model has no held-out frames without a thumb, which max_false_thumbs_per_minute needs; capture frames of none and train"
                    .to_owned()
            }
            Some(needed) => format!(
                "{count} held-out frames without a thumb support at most {bound}, not {max_per_minute}; {}",
                advice(needed)
            ),
        };
        Tolerance {
            settings: DecisionSettings {
                threshold: found.threshold,
                ..settings
            },
            explanation: Some(Explanation {
                text: format!("{threshold}: {reason}"),
                is_supported: found.needed_frames.is_none(),
            }),
            ..unneeded
        }
    }

    /// Whether it was computed for these parameters.
    pub(super) fn is_for(&self, params: &Params) -> bool {
        self.parameters == Some(Parameters::of(params))
    }

    /// With the threshold in effect.
    pub(super) fn settings(&self) -> DecisionSettings {
        self.settings
    }

    pub(super) fn explanation(&self) -> Option<&Explanation> {
        self.explanation.as_ref()
    }
}

impl Parameters {
    fn of(params: &Params) -> Parameters {
        Parameters {
            settings: params.decision(),
            max_per_minute: params.max_false_thumbs_per_minute,
            method: params.recognizer,
        }
    }
}

/// What to do if `needed` frames would support the rate.
fn advice(needed: u64) -> String {
    /// More than anybody captures.
    const MANY_FRAMES: u64 = 1_000_000;
    match needed {
        MANY_FRAMES.. => {
            "no dataset supports that, so set a higher max_false_thumbs_per_minute or hold_time".to_owned()
        }
        needed => format!(
            "capture more frames of none and train again: {needed} without a false thumb would do, or a longer hold_time"
        ),
    }
}

#[cfg(test)]
mod tests {
    use r2r::ParameterValue;
    use r2r::indexmap::IndexMap;

    use super::*;
    use crate::node::ros::overrides::Override;

    fn params(values: &[(&str, ParameterValue)]) -> Params {
        let given = |(name, value): &(&str, ParameterValue)| {
            let source = String::new();
            let value = value.clone();
            ((*name).to_owned(), Override { value, source })
        };
        let given: IndexMap<String, Override> = values.iter().map(given).collect();
        Params::from_overrides(&given).expect("valid")
    }

    fn thumbless() -> Thumbless {
        let frames = |thumbs: &[f32]| ThumblessFrames {
            frames: 300,
            thumbs: thumbs.to_vec(),
        };
        Thumbless {
            auto: frames(&[]),
            image: frames(&[0.8]),
            hand: None,
        }
    }

    #[test]
    fn threshold_is_that_of_the_parameters_unless_a_rate_is_set() {
        let params = params(&[("threshold", ParameterValue::Double(0.6))]);
        let tolerance = Tolerance::new(&params, params.recognizer, Some(&thumbless()));
        assert_eq!(tolerance.settings(), params.decision());
        assert_eq!(tolerance.explanation(), None);
        assert!(tolerance.is_for(&params) && !Tolerance::default().is_for(&params));
    }

    #[test]
    fn threshold_follows_the_rate_and_the_recognizer() {
        let rate = ("max_false_thumbs_per_minute", ParameterValue::Double(1.5));
        let image = ("recognizer", ParameterValue::String("image".to_owned()));
        let auto = params(std::slice::from_ref(&rate));
        let kept = Tolerance::new(&auto, auto.recognizer, Some(&thumbless()));
        assert_eq!(kept.settings().threshold, 0.5);
        let by_image = params(&[rate.clone(), image]);
        let raised = Tolerance::new(&by_image, by_image.recognizer, Some(&thumbless()));
        assert_eq!(raised.settings().threshold, 0.86);
        let explanation = raised.explanation().expect("a rate is set");
        let expected =
            "threshold 0.86 is in effect, the parameter is 0.50: at most 1.2 false thumbs per minute";
        assert!(explanation.text.starts_with(expected), "{explanation:?}");
        assert!(!raised.is_for(&auto));
        let hand = ("recognizer", ParameterValue::String("hand".to_owned()));
        let hold_time = ("hold_time", ParameterValue::Double(60.0));
        for (hold_time, expected) in [
            (None, "no held-out frames"),
            (Some(hold_time), "by hold_time alone"),
        ] {
            let by_hand: Vec<_> = [rate.clone(), hand.clone()]
                .into_iter()
                .chain(hold_time)
                .collect();
            let by_hand = Tolerance::new(&params(&by_hand), Method::Hand, Some(&thumbless()));
            let explanation = by_hand.explanation().expect("a rate is set");
            assert!(explanation.text.contains(expected), "{explanation:?}");
        }
    }

    #[test]
    fn what_the_frames_cannot_support_is_said_with_what_would() {
        let text = |rate: f64, thumbless: Option<&Thumbless>| {
            let rate = ("max_false_thumbs_per_minute", ParameterValue::Double(rate));
            let tolerance = Tolerance::new(&params(&[rate]), Method::Auto, thumbless);
            assert_eq!(tolerance.settings().threshold, 0.5);
            let explanation = tolerance.explanation().expect("a rate is set");
            assert!(!explanation.is_supported);
            explanation.text.clone()
        };
        assert!(text(1.0, Some(&thumbless())).contains("358 without a false thumb"));
        assert!(text(0.0, Some(&thumbless())).contains("no dataset supports that"));
        assert!(text(1.0, None).contains("no held-out frames without a thumb"));
    }
}
