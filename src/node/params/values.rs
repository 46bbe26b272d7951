//! The validated values of the parameters.

use std::ops::Deref;

use r2r::ParameterValue;
use r2r::indexmap::IndexMap;

use super::declarations::{DECLARATIONS, Values, index_of};
use super::validation::ParameterError;
use crate::classifier::settings::Settings as ClassifierSettings;
use crate::decision::DecisionSettings;
use crate::node::ros::overrides::Override;
use crate::node::ros::qos::ImageSubscription;
use crate::recognizer::settings::{HandSettings, RecognizerSettings};
use crate::text::printable;

/// Validated values of all parameters. They are read as the fields of [`Values`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Params {
    /// As they were set, in the order of [`DECLARATIONS`], for `~/get_parameters`.
    raw: Vec<ParameterValue>,
    values: Values,
}

impl Deref for Params {
    type Target = Values;

    fn deref(&self) -> &Values {
        &self.values
    }
}

impl Params {
    /// The defaults, with the values that were given when the node was started. Those of unknown parameters are ignored.
    ///
    /// # Errors
    /// A value is rejected.
    pub(crate) fn from_overrides(overrides: &IndexMap<String, Override>) -> Result<Params, ParameterError> {
        let mut raw: Vec<ParameterValue> = DECLARATIONS
            .iter()
            .map(|declaration| declaration.default.into())
            .collect();
        for (name, given) in overrides {
            let Some(index) = index_of(name) else {
                continue;
            };
            let validated = DECLARATIONS[index].validate(&given.value);
            raw[index] = validated.map_err(|error| ParameterError::AtStart {
                source_name: given.source.clone(),
                error: Box::new(error),
            })?;
        }
        Params::from_raw(raw)
    }

    fn from_raw(raw: Vec<ParameterValue>) -> Result<Params, ParameterError> {
        let values = Values::convert(&raw).map_err(ParameterError::Conversion)?;
        Ok(Params { raw, values })
    }

    /// The value of a parameter as it was set; `None` if it is not declared.
    pub(super) fn get(&self, name: &str) -> Option<&ParameterValue> {
        Some(&self.raw[index_of(name)?])
    }

    /// Returns these parameters with new values, and the names of those that differ.
    ///
    /// # Errors
    /// A parameter is unknown or read-only, or its value is rejected.
    pub(super) fn with_changes(
        &self,
        new_values: &[(&str, ParameterValue)],
    ) -> Result<(Params, Vec<&'static str>), ParameterError> {
        let mut raw = self.raw.clone();
        let mut changed = Vec::new();
        for (name, value) in new_values {
            let index = known_index(name)?;
            let declaration = &DECLARATIONS[index];
            if !declaration.is_live {
                return Err(ParameterError::ReadOnly(declaration.name));
            }
            let value = declaration.validate(value)?;
            if raw[index] != value {
                raw[index] = value;
                changed.push(declaration.name);
            }
        }
        Ok((Params::from_raw(raw)?, changed))
    }
}

impl Values {
    pub(crate) fn decision(&self) -> DecisionSettings {
        DecisionSettings {
            threshold: self.threshold,
            margin: self.margin,
            hysteresis: self.hysteresis,
            smoothing_secs: self.smoothing.as_secs_f64(),
            hold_secs: self.hold_time.as_secs_f64(),
            stale_secs: self.stale_timeout.as_secs_f64(),
            detect_frozen_camera: self.detect_frozen_camera,
        }
    }

    pub(crate) fn recognizer_settings(&self) -> RecognizerSettings {
        RecognizerSettings {
            method: self.recognizer,
            hands: HandSettings {
                max_hands: self.max_hands,
                camera_roll_deg: self.camera_roll,
            },
            network: self.network_settings(),
        }
    }

    fn network_settings(&self) -> ClassifierSettings {
        ClassifierSettings {
            device: self.device,
            precision: self.precision,
            threads: self.threads,
            affinity: self.affinity.clone(),
            provider_library: self.provider_library.clone(),
            batch: self.cameras.len().max(1),
            require_gpu: self.require_gpu,
        }
    }

    pub(crate) fn image_subscription(&self) -> ImageSubscription {
        let requested = ImageSubscription {
            transport: self.image_transport,
            reliability: self.image_reliability,
            durability: self.image_durability,
            depth: self.image_depth,
        };
        requested.for_middleware()
    }
}

fn known_index(name: &str) -> Result<usize, ParameterError> {
    index_of(name).ok_or_else(|| {
        let known: Vec<&str> = DECLARATIONS.iter().map(|declaration| declaration.name).collect();
        ParameterError::Unknown {
            name: printable(name),
            known: known.join(", "),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recognizer::settings::Method;

    fn defaults() -> Params {
        Params::from_overrides(&IndexMap::new()).expect("the defaults are valid")
    }

    fn at_start(name: &str, value: ParameterValue) -> Result<Params, String> {
        let source = "own.yaml".to_owned();
        let overrides = IndexMap::from_iter([(name.to_owned(), Override { value, source })]);
        Params::from_overrides(&overrides).map_err(|error| error.to_string())
    }

    /// Without ROS, a bag's frames get the same gestures as in the node.
    #[test]
    fn default_settings_equal_those_without_ros() {
        assert_eq!(defaults().decision(), DecisionSettings::default());
        let RecognizerSettings { method, hands, .. } = defaults().recognizer_settings();
        assert_eq!((method, hands), (Method::default(), HandSettings::default()));
    }

    #[test]
    fn integer_is_accepted_for_a_double() {
        let params = at_start("threshold", ParameterValue::Integer(1)).expect("1 is 1.0");
        assert_eq!(params.threshold, 1.0);
    }

    #[test]
    fn empty_texts_are_none_and_a_tilde_is_the_home_directory() {
        let params = defaults();
        assert_eq!((&params.model, &params.provider_library), (&None, &None));
        let home = std::env::home_dir().expect("a home directory");
        assert!(params.store.starts_with(home), "{:?}", params.store);
        let dataset = params.get("dataset");
        let unexpanded = ParameterValue::String("~/.ros/thumb_gesture/dataset".into());
        assert_eq!(dataset, Some(&unexpanded));
    }

    #[test]
    fn invalid_values_are_rejected_with_the_constraint() {
        let rejections = [
            ("threshold", ParameterValue::Double(1.5), "is 1.5, must be 0 to 1"),
            ("threshold", ParameterValue::Double(f64::NAN), "0 to 1"),
            ("threads", ParameterValue::Integer(0), "1 to 64"),
            ("threads", ParameterValue::Double(2.0), "integer"),
            (
                "image_transport",
                ParameterValue::String("theora".into()),
                "raw or compressed",
            ),
            ("dataset", ParameterValue::String(String::new()), "not empty"),
            ("cameras", ParameterValue::String("front".into()), "string array"),
            ("affinity", ParameterValue::IntegerArray(vec![-1]), "0 to 1023"),
            ("affinity", ParameterValue::IntegerArray(vec![1, 1]), "different"),
        ];
        for (name, value, constraint) in rejections {
            let reason = at_start(name, value).expect_err(name);
            assert!(
                reason.contains(constraint) && reason.starts_with("own.yaml: "),
                "{reason}"
            );
        }
        let unknown = at_start("treshold", ParameterValue::Double(0.9)).expect("is ignored");
        assert_eq!(unknown, defaults());
    }

    #[test]
    fn cameras_are_distinct_namespaces() {
        let given = |names: &[&str]| {
            let names = names.iter().map(|&name| name.to_owned()).collect();
            at_start("cameras", ParameterValue::StringArray(names))
        };
        let params = given(&["front", "/_robot2/camera"]).expect("good names");
        assert_eq!(params.cameras, ["front", "/_robot2/camera"]);
        assert_eq!(params.recognizer_settings().network.batch, 2);
        let empty = at_start("cameras", ParameterValue::NotSet).expect("an empty list in YAML");
        assert_eq!(
            (empty.cameras.len(), empty.recognizer_settings().network.batch),
            (0, 1)
        );
        for bad in [
            &["2nd"][..],
            &["a//b"],
            &["//a"],
            &["a/2nd"],
            &["/a", "a"],
            &["a/image_raw"],
            &[""],
            &["front", "front"],
            &["a b"],
            &["é"],
            &["~"],
        ] {
            assert!(
                given(bad).expect_err("bad names").contains("different names"),
                "{bad:?}"
            );
        }
        let many: Vec<String> = (0..17).map(|number| format!("camera{number}")).collect();
        assert!(at_start("cameras", ParameterValue::StringArray(many)).is_err());
    }

    #[test]
    fn parameters_without_effect_at_run_time_are_read_only() {
        let error = defaults()
            .with_changes(&[("store", ParameterValue::String("/x".into()))])
            .expect_err("read-only");
        assert!(error.to_string().contains("read-only"), "{error}");
        let new_values = [("threshold", ParameterValue::Double(0.9))];
        let (params, changed) = defaults().with_changes(&new_values).expect("is live");
        assert_eq!((params.decision().threshold, changed), (0.9, vec!["threshold"]));
        let (same, changed) = params.with_changes(&new_values).expect("is live");
        assert!(same == params && changed.is_empty(), "nothing has changed");
    }

    #[test]
    fn either_all_values_are_set_or_none() {
        let good = ("threshold", ParameterValue::Double(0.9));
        let error = defaults()
            .with_changes(&[good.clone(), ("margin", ParameterValue::Double(7.0))])
            .expect_err("out of range");
        assert!(error.to_string().contains("0 to 1"), "{error}");
        let (_, changed) = defaults()
            .with_changes(&[good, ("margin", ParameterValue::Integer(0))])
            .expect("are live");
        assert_eq!(changed, ["threshold", "margin"]);
    }
}
