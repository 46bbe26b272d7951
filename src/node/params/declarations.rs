//! The node's parameters: declared once, checked on every way in.
//!
//! `config/thumb_gesture.yaml` and the table in `README.md` are held against [`DECLARATIONS`] by the tests below.

use std::collections::HashSet;
use std::hash::Hash;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use r2r::indexmap::IndexMap;
use r2r::{Parameter, ParameterValue};
use strum::VariantNames;

use crate::classifier::settings::{Backend, Device, Precision, Settings as ClassifierSettings};
use crate::decision::DecisionSettings;
use crate::network::Architecture;
use crate::node::ros::ffi::LogLevel;

/// All there is to know of a parameter.
pub struct Declaration {
    /// Its name.
    pub name: &'static str,
    /// Its default, which also fixes its type.
    pub default: Value,
    /// What it means, with the unit.
    pub description: &'static str,
    /// For numbers, also those of a list: the least and the greatest.
    pub range: Option<RangeInclusive<f64>>,
    /// For texts: the possible values; empty where any will do.
    pub choices: &'static [&'static str],
    /// True where a change takes effect at once; else it can only be set at the start.
    pub is_live: bool,
}

/// A default, as a constant can hold it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// true or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Double(f64),
    /// Text.
    Text(&'static str),
    /// Whole numbers, none by default, all different.
    Integers,
    /// Names, none by default, all different.
    Names,
}

/// The most entries of a list.
pub const MOST_ENTRIES: usize = 16;

/// Every parameter of the node.
pub const DECLARATIONS: &[Declaration] = &[
    text(
        "dataset",
        "~/.ros/thumb_gesture/dataset",
        "directory of the captured frames, one directory a label",
    ),
    text(
        "store",
        "~/.ros/thumb_gesture/store",
        "directory of the trained models",
    ),
    Declaration {
        is_live: true,
        ..text(
            "model",
            "",
            "id of the model that classifies; empty is the one that the store calls active; once set it follows what is made active",
        )
    },
    choice(
        "network",
        Architecture::VARIANTS[0],
        Architecture::VARIANTS,
        "what ~/retrain trains; others than alexnet and vgg16 need imported weights",
    ),
    Declaration {
        is_live: true,
        range: Some(1.0..=1000.0),
        ..declared(
            "keep_models",
            Value::Integer(10),
            "after a training so many models stay, the newest ones and the active one",
        )
    },
    declared(
        "cameras",
        Value::Names,
        "several cameras, such as [front, rear]: each has its front/image_raw and its front/thumb_gesture; empty is one, camera/image_raw and thumb_gesture",
    ),
    choice(
        "image_transport",
        "raw",
        &["raw", "compressed"],
        "raw subscribes image_raw, compressed image_raw/compressed",
    ),
    choice(
        "image_reliability",
        "best_effort",
        &["best_effort", "reliable"],
        "QoS of the camera's subscription; reliable receives nothing from a best-effort camera",
    ),
    Declaration {
        range: Some(1.0..=10.0),
        ..declared(
            "image_depth",
            Value::Integer(1),
            "QoS depth of the camera's subscription, frames",
        )
    },
    choice(
        "image_durability",
        "volatile",
        &["volatile", "transient_local"],
        "QoS of the camera's subscription; transient_local asks for the last frame before, and receives nothing from a volatile camera",
    ),
    Declaration {
        is_live: true,
        ..choice(
            "backend",
            "auto",
            Backend::VARIANTS,
            "what runs the network; auto is onnx",
        )
    },
    Declaration {
        is_live: true,
        ..choice(
            "device",
            "auto",
            Device::VARIANTS,
            "auto is a GPU where the runtime can use one, else the CPU; cuda is TensorRT or CUDA",
        )
    },
    Declaration {
        is_live: true,
        ..choice(
            "precision",
            "auto",
            Precision::VARIANTS,
            "auto is int8 on a CPU where the model's training accepted it, fp16 with TensorRT and with libtorch on a GPU, else fp32",
        )
    },
    text(
        "provider_library",
        "",
        "file that brings an execution provider for ONNX Runtime, such as TensorRT RTX's from PyPI, tried first; empty is none",
    ),
    Declaration {
        is_live: true,
        ..declared(
            "require_gpu",
            Value::Bool(false),
            "rather no model than one on the CPU",
        )
    },
    Declaration {
        is_live: true,
        range: Some(1.0..=64.0),
        ..declared(
            "threads",
            Value::Integer(2),
            "threads that run the network, on a CPU",
        )
    },
    Declaration {
        range: Some(0.0..=1023.0),
        ..declared(
            "affinity",
            Value::Integers,
            "the CPUs on which those threads run, such as [2, 3]; empty leaves that to the system",
        )
    },
    live("threshold", 0.5, 0.0..=1.0, "least probability of a decision"),
    live(
        "margin",
        0.1,
        0.0..=1.0,
        "least lead of a decision over the second likeliest label",
    ),
    live(
        "hysteresis",
        0.05,
        0.0..=1.0,
        "by so much a decision may fall below threshold and margin before it is given up",
    ),
    live(
        "smoothing",
        0.0,
        0.0..=60.0,
        "time constant of the smoothing over frames, s; 0 takes each for itself",
    ),
    live(
        "hold_time",
        0.5,
        0.0..=60.0,
        "how long a decision must hold to be stable, s",
    ),
    live(
        "stale_timeout",
        1.0,
        0.05..=60.0,
        "without a frame for so long the gesture is UNKNOWN, stale, s",
    ),
    live(
        "capture_timeout",
        5.0,
        0.1..=60.0,
        "a capture fails when no frame comes for so long, s",
    ),
    Declaration {
        is_live: true,
        ..declared(
            "overlay",
            Value::Bool(true),
            "draw the frames with their gestures while somebody subscribes to ~/overlay/compressed",
        )
    },
    Declaration {
        is_live: true,
        ..choice(
            "log_level",
            LogLevel::NAMES[0],
            &LogLevel::NAMES,
            "how much the node says; default is what --log-level has",
        )
    },
    declared(
        "autostart",
        Value::Bool(true),
        "configure and activate by itself; else a lifecycle manager does, or ros2 lifecycle set",
    ),
    declared(
        "use_sim_time",
        Value::Bool(false),
        "take the time from /clock, as a replayed bag needs it",
    ),
];

/// The parameters' values, each known to keep its declaration.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    values: Vec<ParameterValue>,
}

const fn declared(name: &'static str, default: Value, description: &'static str) -> Declaration {
    Declaration {
        name,
        default,
        description,
        range: None,
        choices: &[],
        is_live: false,
    }
}

const fn text(name: &'static str, default: &'static str, description: &'static str) -> Declaration {
    declared(name, Value::Text(default), description)
}

const fn choice(
    name: &'static str,
    default: &'static str,
    choices: &'static [&'static str],
    description: &'static str,
) -> Declaration {
    Declaration {
        name,
        default: Value::Text(default),
        description,
        range: None,
        choices,
        is_live: false,
    }
}

const fn live(
    name: &'static str,
    default: f64,
    range: RangeInclusive<f64>,
    description: &'static str,
) -> Declaration {
    Declaration {
        name,
        default: Value::Double(default),
        description,
        range: Some(range),
        choices: &[],
        is_live: true,
    }
}

impl Default for Params {
    /// Every parameter at its default.
    fn default() -> Params {
        let defaults = DECLARATIONS.iter().map(|declaration| declaration.default.into());
        Params {
            values: defaults.collect(),
        }
    }
}

impl Params {
    /// The defaults, with what was given when the node was started.
    ///
    /// # Errors
    /// The reason why a value is refused.
    pub fn given(overrides: &IndexMap<String, Parameter>) -> Result<Params, String> {
        let mut params = Params::default();
        for (name, parameter) in overrides {
            // rclcpp's and launch's own, which this node has no use for.
            if !name.starts_with("qos_overrides.") {
                params.set_at_start(name, &parameter.value)?;
            }
        }
        Ok(params)
    }

    /// The value of a parameter; none where none of that name is declared.
    pub fn get(&self, name: &str) -> Option<&ParameterValue> {
        Some(&self.values[index_of(name)?])
    }

    /// The value of a whole-number parameter.
    pub fn integer(&self, name: &str) -> usize {
        match self.value(name) {
            ParameterValue::Integer(value) => usize::try_from(*value).unwrap_or_default(),
            other => unreachable!("{name} is declared otherwise: {other:?}"),
        }
    }

    /// The value of a parameter that is true or false.
    pub fn boolean(&self, name: &str) -> bool {
        match self.value(name) {
            ParameterValue::Bool(value) => *value,
            other => unreachable!("{name} is declared otherwise: {other:?}"),
        }
    }

    /// The value of a number parameter.
    pub fn double(&self, name: &str) -> f64 {
        match self.value(name) {
            ParameterValue::Double(value) => *value,
            other => unreachable!("{name} is declared otherwise: {other:?}"),
        }
    }

    /// The value of a number parameter in seconds, as a span.
    pub fn span(&self, name: &str) -> Duration {
        Duration::from_secs_f64(self.double(name))
    }

    /// The value of a text parameter.
    pub fn text(&self, name: &str) -> &str {
        match self.value(name) {
            ParameterValue::String(value) => value,
            other => unreachable!("{name} is declared otherwise: {other:?}"),
        }
    }

    /// The value of a parameter that is a list of names.
    pub fn names(&self, name: &str) -> &[String] {
        match self.value(name) {
            ParameterValue::StringArray(value) => value,
            other => unreachable!("{name} is declared otherwise: {other:?}"),
        }
    }

    /// The value of a parameter that is a list of whole numbers.
    fn integers(&self, name: &str) -> Vec<usize> {
        match self.value(name) {
            ParameterValue::IntegerArray(value) => value
                .iter()
                .filter_map(|number| usize::try_from(*number).ok())
                .collect(),
            other => unreachable!("{name} is declared otherwise: {other:?}"),
        }
    }

    /// The value of a text parameter that names a directory or a file; `~/` is the user's home.
    pub fn path(&self, name: &str) -> PathBuf {
        let text = self.text(name);
        match (text.strip_prefix("~/"), std::env::home_dir()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(text),
        }
    }

    /// The parameters of the decision.
    pub fn decision(&self) -> DecisionSettings {
        DecisionSettings {
            threshold: self.double("threshold") as f32,
            margin: self.double("margin") as f32,
            hysteresis: self.double("hysteresis") as f32,
            smoothing_secs: self.double("smoothing"),
            hold_secs: self.double("hold_time"),
        }
    }

    /// What is asked of the classifier.
    pub fn classifier(&self) -> ClassifierSettings {
        ClassifierSettings {
            backend: self.choice("backend"),
            device: self.choice("device"),
            precision: self.choice("precision"),
            threads: self.integer("threads"),
            affinity: self.integers("affinity"),
            provider_library: Some(self.path("provider_library")).filter(|path| !path.as_os_str().is_empty()),
            batch: self.names("cameras").len().max(1),
            require_gpu: self.boolean("require_gpu"),
        }
    }

    /// The value of a text parameter that has choices.
    fn choice<T: FromStr>(&self, name: &str) -> T {
        let choice = self.text(name).parse();
        choice.unwrap_or_else(|_| unreachable!("{name} is one of its choices"))
    }

    fn value(&self, name: &str) -> &ParameterValue {
        self.get(name)
            .unwrap_or_else(|| unreachable!("{name} is not declared"))
    }

    /// Takes a value as it was given at the start.
    fn set_at_start(&mut self, name: &str, value: &ParameterValue) -> Result<(), String> {
        let Some(index) = index_of(name) else {
            let known: Vec<&str> = DECLARATIONS.iter().map(|declaration| declaration.name).collect();
            return Err(format!(
                "there is no parameter {name}; known: {}",
                known.join(", ")
            ));
        };
        self.values[index] = DECLARATIONS[index].checked(value)?;
        Ok(())
    }

    /// These parameters with other values, as somebody wants them while the node runs, and the names of those that would change.
    ///
    /// # Errors
    /// The reason why one of them is refused.
    pub fn changed(&self, wanted: &[(&str, ParameterValue)]) -> Result<(Params, Vec<&'static str>), String> {
        let mut params = self.clone();
        let mut changed = Vec::new();
        for (name, value) in wanted {
            let (index, value) = checked_live(name, value)?;
            if params.values[index] != value {
                params.values[index] = value;
                changed.push(DECLARATIONS[index].name);
            }
        }
        Ok((params, changed))
    }
}

/// A value as it will be kept, and its place, or the reason why it is refused while the node runs.
fn checked_live(name: &str, value: &ParameterValue) -> Result<(usize, ParameterValue), String> {
    let index = index_of(name).ok_or_else(|| format!("there is no parameter {name}"))?;
    let declaration = &DECLARATIONS[index];
    if !declaration.is_live {
        return Err(format!("{name} is read-only: set it when the node starts"));
    }
    Ok((index, declaration.checked(value)?))
}

impl Declaration {
    /// The value, where it keeps the declaration; else the rule it breaks.
    fn checked(&self, value: &ParameterValue) -> Result<ParameterValue, String> {
        let value = match (self.default, value) {
            // YAML makes 1 an integer, where a person means the number 1.0.
            (Value::Double(_), ParameterValue::Integer(whole)) => ParameterValue::Double(*whole as f64),
            // YAML does not tell of what an empty list would be.
            (Value::Integers | Value::Names, ParameterValue::NotSet) => self.default.into(),
            (Value::Bool(_), ParameterValue::Bool(_))
            | (Value::Integer(_), ParameterValue::Integer(_))
            | (Value::Double(_), ParameterValue::Double(_))
            | (Value::Text(_), ParameterValue::String(_))
            | (Value::Integers, ParameterValue::IntegerArray(_))
            | (Value::Names, ParameterValue::StringArray(_)) => value.clone(),
            _ => return Err(format!("{} is of type {}", self.name, self.default.type_name())),
        };
        let is_allowed = match (&value, &self.range) {
            (ParameterValue::Integer(number), Some(range)) => range.contains(&(*number as f64)),
            (ParameterValue::Double(number), Some(range)) => range.contains(number),
            (ParameterValue::IntegerArray(numbers), Some(range)) => {
                is_set(numbers) && numbers.iter().all(|number| range.contains(&(*number as f64)))
            }
            (ParameterValue::StringArray(names), _) => {
                is_set(names) && names.iter().all(|name| is_ros_name(name))
            }
            (ParameterValue::String(text), _) if self.choices.is_empty() => {
                !text.is_empty() || self.default == Value::Text("")
            }
            (ParameterValue::String(text), _) => self.choices.contains(&text.as_str()),
            _ => true,
        };
        match is_allowed {
            true => Ok(value),
            false => Err(format!("{} must be {}", self.name, self.rule())),
        }
    }

    /// What a value must be, for people.
    pub fn rule(&self) -> String {
        let range = |range: &RangeInclusive<f64>| format!("{} to {}", range.start(), range.end());
        match (self.default, &self.range) {
            (Value::Integers, Some(of_each)) => {
                format!("at most {MOST_ENTRIES} different numbers, {}", range(of_each))
            }
            (Value::Names, _) => {
                format!(
                    "at most {MOST_ENTRIES} different names of letters, digits and _, not beginning with a digit"
                )
            }
            (_, Some(of_it)) => range(of_it),
            (Value::Bool(_), None) => "true or false".to_owned(),
            _ if !self.choices.is_empty() => self.choices.join(" or "),
            (Value::Text(""), None) => "any".to_owned(),
            _ => "not empty".to_owned(),
        }
    }
}

impl Value {
    fn type_name(self) -> &'static str {
        ParameterValue::from(self).type_name()
    }
}

impl From<Value> for ParameterValue {
    fn from(default: Value) -> ParameterValue {
        match default {
            Value::Bool(value) => ParameterValue::Bool(value),
            Value::Integer(value) => ParameterValue::Integer(value),
            Value::Double(value) => ParameterValue::Double(value),
            Value::Text(value) => ParameterValue::String(value.to_owned()),
            Value::Integers => ParameterValue::IntegerArray(Vec::new()),
            Value::Names => ParameterValue::StringArray(Vec::new()),
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Bool(value) => value.fmt(f),
            Value::Integer(value) => value.fmt(f),
            Value::Double(value) => write!(f, "{value:?}"),
            Value::Text("") => "''".fmt(f),
            Value::Text(value) => value.fmt(f),
            Value::Integers | Value::Names => "[]".fmt(f),
        }
    }
}

/// True where no entry is there twice, and not too many are.
fn is_set<T: Eq + Hash>(entries: &[T]) -> bool {
    let distinct: HashSet<&T> = entries.iter().collect();
    distinct.len() == entries.len() && entries.len() <= MOST_ENTRIES
}

/// True for what may stand between two slashes of a topic's name.
fn is_ros_name(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(is_word) && name.starts_with(|first: char| !first.is_ascii_digit())
}

fn index_of(name: &str) -> Option<usize> {
    DECLARATIONS
        .iter()
        .position(|declaration| declaration.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: ParameterValue) -> Result<Params, String> {
        let mut params = Params::default();
        params.set_at_start(name, &value)?;
        Ok(params)
    }

    #[test]
    fn every_default_keeps_its_own_rule() {
        for declaration in DECLARATIONS {
            let default = declaration.default.into();
            assert_eq!(declaration.checked(&default), Ok(default));
        }
    }

    /// What classifies a bag without ROS decides as the node does.
    #[test]
    fn the_decision_has_the_same_defaults_here_and_there() {
        assert_eq!(Params::default().decision(), DecisionSettings::default());
    }

    #[test]
    fn a_whole_number_will_do_for_a_number() {
        let params = set("threshold", ParameterValue::Integer(1)).expect("1 is 1.0");
        assert_eq!(params.double("threshold"), 1.0);
    }

    #[test]
    fn bad_values_are_refused_with_the_rule() {
        let refusals = [
            ("threshold", ParameterValue::Double(1.5), "0 to 1"),
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
            ("treshold", ParameterValue::Double(0.5), "known: dataset, store"),
        ];
        for (name, value, rule) in refusals {
            let reason = set(name, value).expect_err(name);
            assert!(reason.contains(rule), "{reason}");
        }
    }

    #[test]
    fn cameras_are_names_of_topics_each_its_own() {
        let given = |names: &[&str]| {
            let names = names.iter().map(|&name| name.to_owned()).collect();
            set("cameras", ParameterValue::StringArray(names))
        };
        let params = given(&["front", "_rear2"]).expect("good names");
        assert_eq!(params.names("cameras"), ["front", "_rear2"]);
        assert_eq!(params.classifier().batch, 2);
        let empty = set("cameras", ParameterValue::NotSet).expect("YAML's empty list");
        assert_eq!((empty.names("cameras").len(), empty.classifier().batch), (0, 1));
        for bad in [
            &["2nd"][..],
            &["a/b"],
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
        assert!(set("cameras", ParameterValue::StringArray(many)).is_err());
    }

    #[test]
    fn what_cannot_take_effect_is_read_only_while_running() {
        let reason = Params::default().changed(&[("store", ParameterValue::String("/x".into()))]);
        assert!(reason.expect_err("read-only").contains("read-only"));
        let wanted = [("threshold", ParameterValue::Double(0.9))];
        let (params, changed) = Params::default().changed(&wanted).expect("is live");
        assert_eq!((params.decision().threshold, changed), (0.9, vec!["threshold"]));
        let (same, changed) = params.changed(&wanted).expect("is live");
        assert!(same == params && changed.is_empty(), "nothing has changed");
    }

    #[test]
    fn of_several_all_are_set_or_none() {
        let good = ("threshold", ParameterValue::Double(0.9));
        let refused = Params::default().changed(&[good.clone(), ("margin", ParameterValue::Double(7.0))]);
        assert!(refused.expect_err("out of range").contains("0 to 1"));
        let changed = Params::default().changed(&[good, ("margin", ParameterValue::Integer(0))]);
        assert_eq!(changed.expect("are live").1, ["threshold", "margin"]);
    }

    #[test]
    fn the_configuration_file_holds_exactly_the_defaults() {
        let mut expected = "/**:\n  ros__parameters:\n".to_owned();
        for Declaration {
            name,
            default,
            description,
            ..
        } in DECLARATIONS
        {
            expected += &format!("    {name}: {default}  # {description}\n");
        }
        let found: String = include_str!("../../../config/thumb_gesture.yaml")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_readme_describes_every_parameter() {
        let readme = include_str!("../../../README.md");
        for declaration in DECLARATIONS {
            let Declaration {
                name,
                default,
                description,
                is_live,
                ..
            } = declaration;
            let live = if *is_live { "yes" } else { "no" };
            let row = format!(
                "| `{name}` | `{default}` | {} | {live} | {description} |",
                declaration.rule()
            );
            assert!(readme.contains(&row), "README.md lacks the row\n{row}");
        }
    }
}
