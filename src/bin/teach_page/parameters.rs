//! The live parameters of the gesture node that the page shows.

use std::sync::Mutex;

use axum::http::StatusCode;
use r2r::rcl_interfaces::msg::{Parameter, ParameterDescriptor, ParameterType, ParameterValue};
use r2r::rcl_interfaces::srv::{DescribeParameters, GetParameters, SetParameters};
use serde_json::{Map, Value, json};
use thumb_gesture::node::params::DECLARATIONS;
use thumb_gesture::sync::lock;
use tokio::sync::Notify;

use crate::error::HttpError;
use crate::json;
use crate::page::Page;

/// The parameters of the decision, which take effect at once.
const LIVE: [&str; 6] = [
    "threshold",
    "margin",
    "hysteresis",
    "smoothing",
    "hold_time",
    "familiarity_threshold",
];

const BOOL: u8 = ParameterType::PARAMETER_BOOL as u8;
const INTEGER: u8 = ParameterType::PARAMETER_INTEGER as u8;
const DOUBLE: u8 = ParameterType::PARAMETER_DOUBLE as u8;
const STRING: u8 = ParameterType::PARAMETER_STRING as u8;

/// What is known of the parameters.
#[derive(Default)]
pub(crate) struct Parameters {
    descriptors: Mutex<Vec<ParameterDescriptor>>,
    /// A parameter may have changed.
    pub(crate) refresh: Notify,
}

/// Reads the parameters and puts them onto the board.
///
/// # Errors
/// The node does not respond.
pub(crate) async fn read(page: &Page) -> Result<(), HttpError> {
    let names: Vec<String> = LIVE.iter().map(ToString::to_string).collect();
    let request = GetParameters::Request { names: names.clone() };
    let values = page.gesture_node.get_parameters.call(&request).await?.values;
    let request = DescribeParameters::Request { names };
    let described = page.gesture_node.describe_parameters.call(&request).await?;
    let shown = described
        .descriptors
        .iter()
        .zip(&values)
        .filter_map(|(descriptor, value)| show(descriptor, value));
    page.board.set("parameters", shown.collect());
    *lock(&page.parameters.descriptors) = described.descriptors;
    Ok(())
}

/// A parameter as the page shows it; `None` if the node has not declared it.
fn show(descriptor: &ParameterDescriptor, value: &ParameterValue) -> Option<Value> {
    let name = descriptor.name.as_str();
    let value = match value.type_ {
        BOOL => json!(value.bool_value),
        INTEGER => json!(value.integer_value),
        DOUBLE => json!(value.double_value),
        STRING => json!(value.string_value),
        _ => return None,
    };
    let range = match (
        descriptor.floating_point_range.first(),
        descriptor.integer_range.first(),
    ) {
        (Some(range), _) => [json!(range.from_value), json!(range.to_value)],
        (None, Some(range)) => [json!(range.from_value), json!(range.to_value)],
        (None, None) => [Value::Null, Value::Null],
    };
    let declaration = DECLARATIONS.iter().find(|declaration| declaration.name == name);
    let default: Option<Value> =
        declaration.and_then(|found| serde_json::from_str(&found.default.to_string()).ok());
    let [minimum, maximum] = range;
    Some(json!({
        "name": name,
        "value": value,
        "default": default,
        "minimum": minimum,
        "maximum": maximum,
        "description": descriptor.description,
    }))
}

/// Sets parameters, and returns the node's answer for each.
///
/// # Errors
/// One is not among the live ones, or has a value of another type, or the node does not respond.
pub(crate) async fn set(page: &Page, given: &Map<String, Value>) -> Result<Value, HttpError> {
    let parameters: Result<Vec<Parameter>, HttpError> = given
        .iter()
        .map(|(name, value)| parameter(page, name, value))
        .collect();
    let request = SetParameters::Request {
        parameters: parameters?,
    };
    let response = page.gesture_node.set_parameters.call(&request).await?;
    page.parameters.refresh.notify_one();
    let results = request
        .parameters
        .iter()
        .zip(&response.results)
        .map(|(parameter, result)| {
            let mut result = json::from_message(result);
            result["name"] = Value::from(parameter.name.clone());
            result
        });
    Ok(json!({ "results": results.collect::<Vec<Value>>() }))
}

fn parameter(page: &Page, name: &str, value: &Value) -> Result<Parameter, HttpError> {
    let invalid = |reason: String| HttpError(StatusCode::BAD_REQUEST, reason);
    if !LIVE.contains(&name) {
        return Err(invalid(format!(
            "parameter {name:?} cannot be set here, only: {}",
            LIVE.join(", ")
        )));
    }
    let type_ = {
        let descriptors = lock(&page.parameters.descriptors);
        let found = descriptors.iter().find(|descriptor| descriptor.name == name);
        found.map_or(DOUBLE, |descriptor| descriptor.type_)
    };
    let mut message = ParameterValue {
        type_,
        ..ParameterValue::default()
    };
    let is_set = match type_ {
        DOUBLE => value.as_f64().map(|value| message.double_value = value),
        INTEGER => value.as_i64().map(|value| message.integer_value = value),
        BOOL => value.as_bool().map(|value| message.bool_value = value),
        _ => value
            .as_str()
            .map(|value| message.string_value = value.to_owned()),
    };
    is_set.ok_or_else(|| {
        invalid(format!(
            "{name} is {value}, which is of another type than the parameter"
        ))
    })?;
    Ok(Parameter {
        name: name.to_owned(),
        value: message,
    })
}
