//! The node's parameters as ROS sees them: the services of `rcl_interfaces`, and `/parameter_events`.
//!
//! r2r has such services too, but theirs tell neither ranges nor what is read-only, and publish no events.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use r2r::rcl_interfaces::msg::{
    FloatingPointRange, IntegerRange, ListParametersResult, Parameter, ParameterDescriptor, ParameterEvent,
    ParameterType, ParameterValue as ValueMessage, SetParametersResult,
};
use r2r::rcl_interfaces::srv::{
    DescribeParameters, GetParameterTypes, GetParameters, ListParameters, SetParameters,
    SetParametersAtomically,
};
use r2r::{Node, ParameterValue, QosProfile};

use crate::node::models::Models;
use crate::node::params::declarations::{DECLARATIONS, Declaration, Params, Value};
use crate::node::ros::context::{NodeContext, Topic, lock};
use crate::node::ros::ffi::{LogLevel, set_log_level};
use crate::node::{answer, answer_from_disk};

// The types of `ParameterType.msg`.
const BOOL: u8 = ParameterType::PARAMETER_BOOL as u8;
const INTEGER: u8 = ParameterType::PARAMETER_INTEGER as u8;
const DOUBLE: u8 = ParameterType::PARAMETER_DOUBLE as u8;
const STRING: u8 = ParameterType::PARAMETER_STRING as u8;
const BYTE_ARRAY: u8 = ParameterType::PARAMETER_BYTE_ARRAY as u8;
const BOOL_ARRAY: u8 = ParameterType::PARAMETER_BOOL_ARRAY as u8;
const INTEGER_ARRAY: u8 = ParameterType::PARAMETER_INTEGER_ARRAY as u8;
const DOUBLE_ARRAY: u8 = ParameterType::PARAMETER_DOUBLE_ARRAY as u8;
const STRING_ARRAY: u8 = ParameterType::PARAMETER_STRING_ARRAY as u8;

/// As many events as rclcpp's nodes keep for a slow listener.
const EVENTS_KEPT: usize = 1000;

/// The parameters, and who is told of their changes.
pub struct Parameters {
    handle: NodeContext,
    /// The node's full name, which its events go by.
    node: String,
    params: Arc<Mutex<Params>>,
    events: Topic<ParameterEvent>,
}

/// Offers the services, and says on `/parameter_events` which parameters there are.
///
/// # Errors
/// rcl's word.
pub fn serve(
    node: &mut Node,
    handle: &NodeContext,
    parameters: Arc<Parameters>,
    models: Arc<Models>,
) -> r2r::Result<()> {
    let all = DECLARATIONS
        .iter()
        .map(|declaration| parameters.get(declaration.name));
    parameters.publish(all.collect(), Vec::new());

    let own = parameters.clone();
    answer::<GetParameters::Service>(node, handle, "~/get_parameters", move |request| {
        let values = request.names.iter().map(|name| own.get(name).value);
        GetParameters::Response {
            values: values.collect(),
        }
    })?;
    let own = parameters.clone();
    answer::<GetParameterTypes::Service>(node, handle, "~/get_parameter_types", move |request| {
        let types = request.names.iter().map(|name| own.get(name).value.type_);
        GetParameterTypes::Response {
            types: types.collect(),
        }
    })?;
    answer::<DescribeParameters::Service>(node, handle, "~/describe_parameters", |request| {
        DescribeParameters::Response {
            descriptors: request.names.iter().map(|name| descriptor(name)).collect(),
        }
    })?;
    answer::<ListParameters::Service>(node, handle, "~/list_parameters", |request| {
        ListParameters::Response {
            result: ListParametersResult {
                names: listed(&request.prefixes),
                prefixes: Vec::new(),
            },
        }
    })?;
    let (own, loader) = (parameters.clone(), models.clone());
    answer_from_disk::<SetParameters::Service>(node, handle, "~/set_parameters", move |request| {
        let results = request.parameters.chunks(1).map(|one| own.set(one, &loader));
        SetParameters::Response {
            results: results.collect(),
        }
    })?;
    let name = "~/set_parameters_atomically";
    answer_from_disk::<SetParametersAtomically::Service>(node, handle, name, move |request| {
        SetParametersAtomically::Response {
            result: parameters.set(&request.parameters, &models),
        }
    })
}

impl Parameters {
    /// The parameters as they are at the start.
    ///
    /// # Errors
    /// rcl's word.
    pub fn new(node: &mut Node, handle: &NodeContext, params: Arc<Mutex<Params>>) -> r2r::Result<Parameters> {
        let events = QosProfile::default().keep_last(EVENTS_KEPT);
        Ok(Parameters {
            handle: handle.clone(),
            node: node.fully_qualified_name()?,
            params,
            events: Topic::new(node, "/parameter_events", events)?,
        })
    }

    /// What they are now.
    pub fn current(&self) -> Params {
        lock(&self.params).clone()
    }

    /// Another model was made active: where `model` names one, it now names that.
    pub fn follow_model(&self, id: &str) {
        let mut params = lock(&self.params);
        let value = ParameterValue::String(id.to_owned());
        if !params.text("model").is_empty()
            && let Ok((followed, changed)) = params.changed(&[("model", value)])
        {
            *params = followed;
            drop(params);
            self.tell(&changed);
        }
    }

    /// A parameter; one that is not declared has a value that is not set.
    fn get(&self, name: &str) -> Parameter {
        let value = lock(&self.params).get(name).map(message_from_value);
        Parameter {
            name: name.to_owned(),
            value: value.unwrap_or_default(),
        }
    }

    /// Sets all of them, or none: not before the model that they ask for is loaded.
    fn set(&self, wanted: &[Parameter], models: &Models) -> SetParametersResult {
        let values: Vec<(&str, ParameterValue)> = wanted
            .iter()
            .map(|parameter| (parameter.name.as_str(), value_from_message(&parameter.value)))
            .collect();
        match self.take_on(&values, models) {
            Ok(()) => SetParametersResult {
                successful: true,
                reason: String::new(),
            },
            Err(reason) => SetParametersResult {
                successful: false,
                reason,
            },
        }
    }

    fn take_on(&self, values: &[(&str, ParameterValue)], models: &Models) -> Result<(), String> {
        let is_configured = models.lock_changes();
        let (wanted, changed) = self.current().changed(values)?;
        let commit = || {
            *lock(&self.params) = wanted.clone();
            self.tell(&changed);
        };
        let taken_on = models.apply_parameters(*is_configured, &wanted, commit);
        taken_on.map_err(|error| error.to_string())?;
        if changed.contains(&"log_level") {
            set_log_level(self.handle.logger(), LogLevel::named(wanted.text("log_level")));
        }
        Ok(())
    }

    /// Says that parameters have changed.
    fn tell(&self, changed: &[&str]) {
        if !changed.is_empty() {
            self.publish(Vec::new(), changed.iter().map(|name| self.get(name)).collect());
        }
    }

    fn publish(&self, new_parameters: Vec<Parameter>, changed_parameters: Vec<Parameter>) {
        self.events.publish(&ParameterEvent {
            stamp: self.handle.stamp(),
            node: self.node.clone(),
            new_parameters,
            changed_parameters,
            deleted_parameters: Vec::new(),
        });
    }
}

/// The names that begin with one of the prefixes, as words between dots; all of them where there are no prefixes.
fn listed(prefixes: &[String]) -> Vec<String> {
    let is_asked_for = |name: &str| {
        let begins = |prefix: &String| {
            let rest = name.strip_prefix(prefix.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        prefixes.is_empty() || prefixes.iter().any(begins)
    };
    let names = DECLARATIONS.iter().map(|declaration| declaration.name);
    names
        .filter(|name| is_asked_for(name))
        .map(str::to_owned)
        .collect()
}

/// What there is to know of a parameter; of one that is not declared, only its name.
fn descriptor(name: &str) -> ParameterDescriptor {
    let declared = DECLARATIONS.iter().find(|declaration| declaration.name == name);
    let Some(declaration) = declared else {
        return ParameterDescriptor {
            name: name.to_owned(),
            ..ParameterDescriptor::default()
        };
    };
    let (integer_range, floating_point_range) = ranges(declaration);
    ParameterDescriptor {
        name: name.to_owned(),
        type_: message_from_value(&declaration.default.into()).type_,
        description: declaration.description.to_owned(),
        additional_constraints: declaration.rule(),
        read_only: !declaration.is_live,
        dynamic_typing: false,
        floating_point_range,
        integer_range,
    }
}

/// The range of a number; a list has none here, its rule is in words.
fn ranges(declaration: &Declaration) -> (Vec<IntegerRange>, Vec<FloatingPointRange>) {
    let range = declaration.range.clone().map(RangeInclusive::into_inner);
    match (declaration.default, range) {
        (Value::Integer(_), Some((least, greatest))) => {
            let range = IntegerRange {
                from_value: least as i64,
                to_value: greatest as i64,
                step: 1,
            };
            (vec![range], Vec::new())
        }
        (Value::Double(_), Some((from_value, to_value))) => {
            let range = FloatingPointRange {
                from_value,
                to_value,
                step: 0.0,
            };
            (Vec::new(), vec![range])
        }
        _ => (Vec::new(), Vec::new()),
    }
}

fn message_from_value(value: &ParameterValue) -> ValueMessage {
    let mut message = ValueMessage::default();
    match value.clone() {
        ParameterValue::Bool(value) => (message.type_, message.bool_value) = (BOOL, value),
        ParameterValue::Integer(value) => (message.type_, message.integer_value) = (INTEGER, value),
        ParameterValue::Double(value) => (message.type_, message.double_value) = (DOUBLE, value),
        ParameterValue::String(value) => (message.type_, message.string_value) = (STRING, value),
        ParameterValue::IntegerArray(value) => {
            (message.type_, message.integer_array_value) = (INTEGER_ARRAY, value);
        }
        ParameterValue::StringArray(value) => {
            (message.type_, message.string_array_value) = (STRING_ARRAY, value);
        }
        // No parameter of the node is declared so.
        ParameterValue::NotSet
        | ParameterValue::BoolArray(_)
        | ParameterValue::ByteArray(_)
        | ParameterValue::DoubleArray(_) => {}
    }
    message
}

/// The value of a message; one that is not set where the type is none.
fn value_from_message(message: &ValueMessage) -> ParameterValue {
    let message = message.clone();
    match message.type_ {
        BOOL => ParameterValue::Bool(message.bool_value),
        INTEGER => ParameterValue::Integer(message.integer_value),
        DOUBLE => ParameterValue::Double(message.double_value),
        STRING => ParameterValue::String(message.string_value),
        BYTE_ARRAY => ParameterValue::ByteArray(message.byte_array_value),
        BOOL_ARRAY => ParameterValue::BoolArray(message.bool_array_value),
        INTEGER_ARRAY => ParameterValue::IntegerArray(message.integer_array_value),
        DOUBLE_ARRAY => ParameterValue::DoubleArray(message.double_array_value),
        STRING_ARRAY => ParameterValue::StringArray(message.string_array_value),
        _ => ParameterValue::NotSet,
    }
}
