//! Conversion of a parameter's value from the type of ROS into the type that the node uses.

use std::path::PathBuf;
use std::time::Duration;

use r2r::ParameterValue;

use crate::classifier::settings::{Device, Precision};
use crate::network::Architecture;
use crate::node::ros::log::LogLevel;
use crate::node::ros::qos::{Durability, ImageTransport, Reliability};
use crate::recognizer::settings::Method;

/// A type that a parameter can have in [`Values`](super::declarations::Values).
pub(super) trait FromParameter: Sized {
    /// Converts a value that has passed [`validate`](super::validation::Declaration::validate); `None` if it has another type.
    fn from_parameter(value: &ParameterValue) -> Option<Self>;
}

impl FromParameter for bool {
    fn from_parameter(value: &ParameterValue) -> Option<bool> {
        match value {
            ParameterValue::Bool(value) => Some(*value),
            _ => None,
        }
    }
}

impl FromParameter for usize {
    fn from_parameter(value: &ParameterValue) -> Option<usize> {
        match value {
            ParameterValue::Integer(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }
}

impl FromParameter for f64 {
    fn from_parameter(value: &ParameterValue) -> Option<f64> {
        match value {
            ParameterValue::Double(value) => Some(*value),
            _ => None,
        }
    }
}

impl FromParameter for f32 {
    fn from_parameter(value: &ParameterValue) -> Option<f32> {
        f64::from_parameter(value).map(|value| value as f32)
    }
}

/// From seconds.
impl FromParameter for Duration {
    fn from_parameter(value: &ParameterValue) -> Option<Duration> {
        Duration::try_from_secs_f64(f64::from_parameter(value)?).ok()
    }
}

impl FromParameter for String {
    fn from_parameter(value: &ParameterValue) -> Option<String> {
        match value {
            ParameterValue::String(value) => Some(value.clone()),
            _ => None,
        }
    }
}

/// `~/` at the beginning stands for the home directory.
impl FromParameter for PathBuf {
    fn from_parameter(value: &ParameterValue) -> Option<PathBuf> {
        let text = String::from_parameter(value)?;
        Some(match (text.strip_prefix("~/"), std::env::home_dir()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(text),
        })
    }
}

/// `None` from an empty text.
impl<T: FromParameter> FromParameter for Option<T> {
    fn from_parameter(value: &ParameterValue) -> Option<Option<T>> {
        match value {
            ParameterValue::String(text) if text.is_empty() => Some(None),
            value => T::from_parameter(value).map(Some),
        }
    }
}

impl FromParameter for Vec<usize> {
    fn from_parameter(value: &ParameterValue) -> Option<Vec<usize>> {
        match value {
            ParameterValue::IntegerArray(values) => {
                values.iter().map(|value| usize::try_from(*value).ok()).collect()
            }
            _ => None,
        }
    }
}

impl FromParameter for Vec<String> {
    fn from_parameter(value: &ParameterValue) -> Option<Vec<String>> {
        match value {
            ParameterValue::StringArray(values) => Some(values.clone()),
            _ => None,
        }
    }
}

macro_rules! from_name {
    ($($enumeration:ty),+) => {$(
        impl FromParameter for $enumeration {
            fn from_parameter(value: &ParameterValue) -> Option<$enumeration> {
                String::from_parameter(value)?.parse().ok()
            }
        }
    )+};
}

from_name!(
    Method,
    Architecture,
    Device,
    Precision,
    ImageTransport,
    Reliability,
    Durability,
    LogLevel
);
