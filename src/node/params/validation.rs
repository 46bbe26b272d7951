//! The declaration of a parameter, and the validation of values against it.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::ops::RangeInclusive;

use r2r::ParameterValue;

use crate::text::shorten;

/// Maximum number of entries of a list.
pub(crate) const MAX_ENTRIES: usize = 16;
/// Maximum length of the name of a camera, which is a part of file names.
const MAX_CAMERA_NAME: usize = 64;

/// Type, default, constraint and description of a parameter.
pub struct Declaration {
    /// Name, as `ros2 param` uses it.
    pub name: &'static str,
    /// Default, which also determines the type.
    pub default: DefaultValue,
    /// Meaning, with the unit.
    pub description: &'static str,
    /// Range of a number, or of each number in a list.
    pub(super) range: Option<RangeInclusive<f64>>,
    /// Valid texts; empty if every text is valid.
    pub(super) choices: &'static [&'static str],
    /// `true` if it can be changed while the node runs, `false` if it can only be set at the start.
    pub(super) is_live: bool,
}

/// Default of a parameter, as a constant can hold it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DefaultValue {
    /// `true` or `false`.
    Bool(bool),
    /// Integer.
    Integer(i64),
    /// Floating-point number.
    Double(f64),
    /// Text.
    Text(&'static str),
    /// Empty list of distinct integers.
    Integers,
    /// Empty list of distinct namespaces of cameras, relative to that of the node or absolute.
    Cameras,
}

/// Why the value of a parameter is rejected.
#[derive(Debug, thiserror::Error)]
pub enum ParameterError {
    /// No parameter of this name is declared.
    #[error("unknown parameter {name}; known: {known}")]
    Unknown {
        /// Name that was given.
        name: String,
        /// Names of the declared parameters.
        known: String,
    },
    /// The parameter cannot be changed while the node runs.
    #[error("{0} is read-only; set it when the node starts")]
    ReadOnly(&'static str),
    /// The value has the wrong type.
    #[error("{name} is of type {found}, must be of type {expected}")]
    Type {
        /// Name of the parameter.
        name: &'static str,
        /// Type that was given.
        found: &'static str,
        /// Type that is declared.
        expected: &'static str,
    },
    /// The value violates the declared constraint.
    #[error("{name} is {value}, must be {constraint}")]
    Constraint {
        /// Name of the parameter.
        name: &'static str,
        /// Value that was given.
        value: String,
        /// Valid values, human-readable.
        constraint: String,
    },
    /// The value that was given when the node was started is rejected.
    #[error("{source_name}: {error}")]
    AtStart {
        /// The argument that has the value.
        source_name: String,
        /// Why it is rejected.
        error: Box<ParameterError>,
    },
    /// The value is valid, but has no representation in the type that the node uses.
    #[error("the value of {0} cannot be converted")]
    Conversion(&'static str),
}

impl Declaration {
    const fn new(default: DefaultValue) -> Declaration {
        Declaration {
            name: "",
            default,
            description: "",
            range: None,
            choices: &[],
            is_live: false,
        }
    }

    const fn with_range(self, range: RangeInclusive<f64>) -> Declaration {
        Declaration {
            range: Some(range),
            ..self
        }
    }

    /// Allows changes while the node runs.
    pub(super) const fn live(self) -> Declaration {
        Declaration {
            is_live: true,
            ..self
        }
    }

    /// Returns the value in the declared type.
    ///
    /// # Errors
    /// The value has the wrong type, or violates the constraint.
    pub(super) fn validate(&self, value: &ParameterValue) -> Result<ParameterValue, ParameterError> {
        let value = self.convert(value)?;
        if self.is_satisfied_by(&value) {
            return Ok(value);
        }
        Err(ParameterError::Constraint {
            name: self.name,
            value: shorten(&display(&value)),
            constraint: self.constraint(),
        })
    }

    fn convert(&self, value: &ParameterValue) -> Result<ParameterValue, ParameterError> {
        match (self.default, value) {
            // YAML reads 1 as an integer where the number 1.0 is meant.
            (DefaultValue::Double(_), ParameterValue::Integer(integer)) => {
                Ok(ParameterValue::Double(*integer as f64))
            }
            // An empty list in YAML has no type; `ros2 param set` sends it as one of booleans.
            (DefaultValue::Integers | DefaultValue::Cameras, value) if is_empty(value) => {
                Ok(self.default.into())
            }
            (DefaultValue::Bool(_), ParameterValue::Bool(_))
            | (DefaultValue::Integer(_), ParameterValue::Integer(_))
            | (DefaultValue::Double(_), ParameterValue::Double(_))
            | (DefaultValue::Text(_), ParameterValue::String(_))
            | (DefaultValue::Integers, ParameterValue::IntegerArray(_))
            | (DefaultValue::Cameras, ParameterValue::StringArray(_)) => Ok(value.clone()),
            _ => Err(ParameterError::Type {
                name: self.name,
                found: value.type_name(),
                expected: ParameterValue::from(self.default).type_name(),
            }),
        }
    }

    fn is_satisfied_by(&self, value: &ParameterValue) -> bool {
        match (value, &self.range) {
            (ParameterValue::Integer(number), Some(range)) => range.contains(&(*number as f64)),
            (ParameterValue::Double(number), Some(range)) => range.contains(number),
            (ParameterValue::IntegerArray(numbers), Some(range)) => {
                is_short_and_distinct(numbers)
                    && numbers.iter().all(|number| range.contains(&(*number as f64)))
            }
            (ParameterValue::StringArray(names), _) => {
                // In file names, a relative name and an absolute one look the same.
                let relative: Vec<&str> = names.iter().map(|name| name.trim_start_matches('/')).collect();
                is_short_and_distinct(&relative) && names.iter().all(|name| is_camera(name))
            }
            (ParameterValue::String(text), _) if self.choices.is_empty() => {
                !text.is_empty() || self.default == DefaultValue::Text("")
            }
            (ParameterValue::String(text), _) => self.choices.contains(&text.as_str()),
            _ => true,
        }
    }

    /// Valid values, human-readable, such as `0 to 1` or `raw or compressed`.
    pub(super) fn constraint(&self) -> String {
        let span = |range: &RangeInclusive<f64>| format!("{} to {}", range.start(), range.end());
        match (self.default, &self.range) {
            (DefaultValue::Integers, Some(range)) => {
                format!("at most {MAX_ENTRIES} different numbers, {}", span(range))
            }
            (DefaultValue::Cameras, _) => {
                format!(
                    "at most {MAX_ENTRIES} different names such as front or /robot1/camera, without /image_raw, of at most {MAX_CAMERA_NAME} letters, digits, _ and /, no part beginning with a digit"
                )
            }
            (_, Some(range)) => span(range),
            (DefaultValue::Bool(_), None) => "true or false".to_owned(),
            _ if !self.choices.is_empty() => self.choices.join(" or "),
            (DefaultValue::Text(""), None) => "any".to_owned(),
            _ => "not empty".to_owned(),
        }
    }
}

pub(super) const fn boolean(default: bool) -> Declaration {
    Declaration::new(DefaultValue::Bool(default))
}

pub(super) const fn integer(default: i64, range: RangeInclusive<f64>) -> Declaration {
    Declaration::new(DefaultValue::Integer(default)).with_range(range)
}

pub(super) const fn double(default: f64, range: RangeInclusive<f64>) -> Declaration {
    Declaration::new(DefaultValue::Double(default)).with_range(range)
}

pub(super) const fn text(default: &'static str) -> Declaration {
    Declaration::new(DefaultValue::Text(default))
}

pub(super) const fn choice(default: &'static str, choices: &'static [&'static str]) -> Declaration {
    Declaration {
        choices,
        ..text(default)
    }
}

pub(super) const fn integers(range: RangeInclusive<f64>) -> Declaration {
    Declaration::new(DefaultValue::Integers).with_range(range)
}

pub(super) const fn cameras() -> Declaration {
    Declaration::new(DefaultValue::Cameras)
}

impl From<DefaultValue> for ParameterValue {
    fn from(default: DefaultValue) -> ParameterValue {
        match default {
            DefaultValue::Bool(value) => ParameterValue::Bool(value),
            DefaultValue::Integer(value) => ParameterValue::Integer(value),
            DefaultValue::Double(value) => ParameterValue::Double(value),
            DefaultValue::Text(value) => ParameterValue::String(value.to_owned()),
            DefaultValue::Integers => ParameterValue::IntegerArray(Vec::new()),
            DefaultValue::Cameras => ParameterValue::StringArray(Vec::new()),
        }
    }
}

/// As YAML writes it.
impl fmt::Display for DefaultValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DefaultValue::Bool(value) => value.fmt(f),
            DefaultValue::Integer(value) => value.fmt(f),
            DefaultValue::Double(value) => write!(f, "{value:?}"),
            DefaultValue::Text("") => "''".fmt(f),
            DefaultValue::Text(value) => value.fmt(f),
            DefaultValue::Integers | DefaultValue::Cameras => "[]".fmt(f),
        }
    }
}

fn is_empty(value: &ParameterValue) -> bool {
    match value {
        ParameterValue::NotSet => true,
        ParameterValue::BoolArray(values) => values.is_empty(),
        ParameterValue::ByteArray(values) => values.is_empty(),
        ParameterValue::IntegerArray(values) => values.is_empty(),
        ParameterValue::DoubleArray(values) => values.is_empty(),
        ParameterValue::StringArray(values) => values.is_empty(),
        _ => false,
    }
}

/// A value for an error message.
fn display(value: &ParameterValue) -> String {
    match value {
        ParameterValue::Bool(value) => format!("{value:?}"),
        ParameterValue::Integer(value) => format!("{value:?}"),
        ParameterValue::Double(value) => format!("{value:?}"),
        ParameterValue::String(value) => format!("{value:?}"),
        ParameterValue::IntegerArray(values) => format!("{values:?}"),
        ParameterValue::StringArray(values) => format!("{values:?}"),
        other => other.type_name().to_owned(),
    }
}

fn is_short_and_distinct<T: Eq + Hash>(entries: &[T]) -> bool {
    let distinct: HashSet<&T> = entries.iter().collect();
    distinct.len() == entries.len() && entries.len() <= MAX_ENTRIES
}

/// Whether the name is that of a namespace, and not of the topic in it, with which it is easily confused.
fn is_camera(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_part =
        |part: &str| part.chars().all(is_word) && part.starts_with(|first: char| !first.is_ascii_digit());
    let relative = name.strip_prefix('/').unwrap_or(name);
    name.len() <= MAX_CAMERA_NAME && relative.split('/').all(is_part) && !relative.ends_with("image_raw")
}
