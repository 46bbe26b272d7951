//! Messages of ROS as JSON, and back.

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A message as JSON. `Time` and `Duration` become seconds, and NaN becomes null.
pub(crate) fn from_message(message: &impl Serialize) -> Value {
    // By way of a text, in which a float32 has no more digits than it needs.
    let text = serde_json::to_string(message).unwrap_or_default();
    let mut value = serde_json::from_str(&text).unwrap_or_default();
    simplify(&mut value);
    value
}

fn simplify(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(seconds) = seconds(fields) {
                *value = Value::from(seconds);
            } else {
                fields.values_mut().for_each(simplify);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(simplify),
        _ => {}
    }
}

fn seconds(fields: &Map<String, Value>) -> Option<f64> {
    if fields.len() != 2 {
        return None;
    }
    let (seconds, nanoseconds) = (fields.get("sec")?.as_f64()?, fields.get("nanosec")?.as_f64()?);
    Some(seconds + nanoseconds / 1e9)
}

/// Reads JSON from outside.
///
/// # Errors
/// It is not valid, or a text in it contains a NUL, which texts of ROS cannot.
pub(crate) fn parse(text: &[u8]) -> Result<Value, String> {
    let value = serde_json::from_slice(text).map_err(|error| format!("invalid JSON: {error}"))?;
    match has_nul(&value) {
        true => Err("a text contains the character NUL, which is not allowed".to_owned()),
        false => Ok(value),
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A request from JSON; absent fields have the default of the message.
///
/// # Errors
/// It is not an object, has a field that the request has not, or one of another type.
pub(crate) fn to_request<T: Serialize + DeserializeOwned + Default>(value: Value) -> anyhow::Result<T> {
    let given = value
        .as_object()
        .context("the body must be a JSON object of the request's fields")?;
    let known = serde_json::to_value(T::default())?;
    let known = known.as_object().context("the request has no fields")?;
    if let Some(unknown) = given.keys().find(|name| !known.contains_key(*name)) {
        let names: Vec<&str> = known
            .keys()
            .map(String::as_str)
            .filter(|name| !name.starts_with("structure_needs"))
            .collect();
        anyhow::bail!("unknown field {unknown:?}; the request has: {}", names.join(", "));
    }
    Ok(serde_json::from_value(value)?)
}

#[cfg(test)]
mod tests {
    use r2r::builtin_interfaces::msg::Time;
    use r2r::thumb_gesture::msg::ThumbGesture;
    use r2r::thumb_gesture::srv::{CaptureFrames, ListModels};
    use serde_json::json;

    use super::*;

    #[test]
    fn times_become_seconds_and_nan_becomes_null() {
        let mut gesture = ThumbGesture {
            confidence: 0.6,
            familiarity: f32::NAN,
            ..ThumbGesture::default()
        };
        gesture.header.stamp = Time {
            sec: 2,
            nanosec: 500_000_000,
        };
        let value = from_message(&gesture);
        assert_eq!(value["header"]["stamp"], json!(2.5));
        assert_eq!(value["age"], json!(0.0));
        assert_eq!(value["confidence"], json!(0.6));
        assert_eq!(value["familiarity"], Value::Null);
    }

    #[test]
    fn texts_with_nul_are_rejected_wherever_they_are() {
        for text in [
            r#""\u0000""#,
            r#"{"a": ["b\u0000"]}"#,
            r#"{"a\u0000": 1}"#,
            "{",
            "\0",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(parse(br#"{"a": "\\u0000"}"#), Ok(json!({"a": "\\u0000"})));
    }

    #[test]
    fn request_has_only_the_fields_of_the_service() {
        let request: CaptureFrames::Request = to_request(json!({"label": "none"})).expect("a request");
        assert_eq!((request.label.as_str(), request.frames), ("none", 0));
        for (wrong, expected) in [
            (json!({"lable": "none"}), "unknown field \"lable\""),
            (json!({"label": 3}), "string"),
            (json!({"frames": -1}), "u32"),
            (json!([]), "a JSON object"),
        ] {
            let error = to_request::<CaptureFrames::Request>(wrong).expect_err("is wrong");
            assert!(error.to_string().contains(expected), "{error}");
        }
        to_request::<ListModels::Request>(json!({})).expect("a request without fields");
    }
}
