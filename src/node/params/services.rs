//! The services of `rcl_interfaces` for parameters, and `/parameter_events`.
//!
//! They replace those of r2r, which report neither ranges nor read-only parameters and publish no events.

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

use super::declarations::{DECLARATIONS, index_of};
use super::validation::{Declaration, DefaultValue, ParameterError};
use super::values::Params;
use crate::node::ros::context::NodeContext;
use crate::node::ros::log::set_log_level;
use crate::node::ros::service::{answer, answer_from_disk};
use crate::node::ros::topic::Topic;
use crate::sync::lock;
use crate::text;

// The constants of `ParameterType.msg`.
const BOOL: u8 = ParameterType::PARAMETER_BOOL as u8;
const INTEGER: u8 = ParameterType::PARAMETER_INTEGER as u8;
const DOUBLE: u8 = ParameterType::PARAMETER_DOUBLE as u8;
const STRING: u8 = ParameterType::PARAMETER_STRING as u8;
const BYTE_ARRAY: u8 = ParameterType::PARAMETER_BYTE_ARRAY as u8;
const BOOL_ARRAY: u8 = ParameterType::PARAMETER_BOOL_ARRAY as u8;
const INTEGER_ARRAY: u8 = ParameterType::PARAMETER_INTEGER_ARRAY as u8;
const DOUBLE_ARRAY: u8 = ParameterType::PARAMETER_DOUBLE_ARRAY as u8;
const STRING_ARRAY: u8 = ParameterType::PARAMETER_STRING_ARRAY as u8;

/// QoS history depth of `/parameter_events` in rclcpp.
const EVENTS_DEPTH: usize = 1000;

/// The node's current parameters, and the topic that announces changes.
pub(crate) struct ParameterServer {
    context: NodeContext,
    /// Full name of the node.
    node: String,
    params: Arc<Mutex<Params>>,
    events: Topic<ParameterEvent>,
}

/// A requested change of parameters.
pub(crate) struct Change<'a> {
    server: &'a ParameterServer,
    new_values: Vec<(&'a str, ParameterValue)>,
}

/// A change of parameters that was validated against the current ones.
pub(crate) struct ValidatedChange<'a> {
    server: &'a ParameterServer,
    params: Params,
    changed: Vec<&'static str>,
}

/// The part of the node that applies changed parameters.
pub(crate) trait ApplyParams: Send + Sync + 'static {
    /// Prevents concurrent changes, validates this one, prepares what it needs, such as another model, and commits it.
    ///
    /// # Errors
    /// Why the change is rejected, human-readable; nothing has changed then.
    fn apply(&self, change: Change) -> Result<(), String>;
}

/// Creates the services, and announces all parameters on `/parameter_events`.
///
/// # Errors
/// rcl reported an error.
pub(crate) fn serve(
    node: &mut Node,
    context: &NodeContext,
    server: &Arc<ParameterServer>,
    target: &Arc<impl ApplyParams>,
) -> r2r::Result<()> {
    let all = DECLARATIONS
        .iter()
        .map(|declaration| server.get(declaration.name));
    server.publish(all.collect(), Vec::new());

    let own = server.clone();
    answer::<GetParameters::Service>(node, context, "~/get_parameters", move |request| {
        let values = request.names.iter().map(|name| own.get(name).value);
        GetParameters::Response {
            values: values.collect(),
        }
    })?;
    let own = server.clone();
    answer::<GetParameterTypes::Service>(node, context, "~/get_parameter_types", move |request| {
        let types = request.names.iter().map(|name| own.get(name).value.type_);
        GetParameterTypes::Response {
            types: types.collect(),
        }
    })?;
    answer::<DescribeParameters::Service>(node, context, "~/describe_parameters", |request| {
        DescribeParameters::Response {
            descriptors: request.names.iter().map(|name| descriptor(name)).collect(),
        }
    })?;
    answer::<ListParameters::Service>(node, context, "~/list_parameters", |request| {
        ListParameters::Response {
            result: ListParametersResult {
                names: names_with_prefix(&request.prefixes),
                prefixes: Vec::new(),
            },
        }
    })?;
    let (own, own_target) = (server.clone(), target.clone());
    answer_from_disk::<SetParameters::Service>(node, context, "~/set_parameters", move |request| {
        let each = request.parameters.chunks(1);
        SetParameters::Response {
            results: each.map(|one| own.set(one, &*own_target)).collect(),
        }
    })?;
    let (own, own_target) = (server.clone(), target.clone());
    let name = "~/set_parameters_atomically";
    answer_from_disk::<SetParametersAtomically::Service>(node, context, name, move |request| {
        SetParametersAtomically::Response {
            result: own.set(&request.parameters, &*own_target),
        }
    })
}

impl ParameterServer {
    /// Creates the publisher of `/parameter_events`; [`serve`] creates the services.
    ///
    /// # Errors
    /// rcl reported an error.
    pub(crate) fn new(
        node: &mut Node,
        context: &NodeContext,
        params: Arc<Mutex<Params>>,
    ) -> r2r::Result<ParameterServer> {
        let events = QosProfile::default().keep_last(EVENTS_DEPTH);
        Ok(ParameterServer {
            context: context.clone(),
            node: node.fully_qualified_name()?,
            params,
            events: Topic::new(node, "/parameter_events", events)?,
        })
    }

    /// A copy of the current parameters.
    pub(crate) fn current(&self) -> Params {
        lock(&self.params).clone()
    }

    /// Sets `model` to the model that has become the active one, unless `model` is empty.
    pub(crate) fn follow_model(&self, id: &str) {
        let mut params = lock(&self.params);
        let value = ParameterValue::String(id.to_owned());
        if params.model.is_some()
            && let Ok((followed, changed)) = params.with_changes(&[("model", value)])
        {
            *params = followed;
            drop(params);
            self.publish_changed(&changed);
        }
    }

    /// A parameter with its value; the value is not set if the parameter is not declared.
    fn get(&self, name: &str) -> Parameter {
        let value = lock(&self.params).get(name).map(message_from_value);
        Parameter {
            name: name.to_owned(),
            value: value.unwrap_or_default(),
        }
    }

    /// Sets all of the parameters or none.
    fn set(&self, new_values: &[Parameter], target: &impl ApplyParams) -> SetParametersResult {
        let new_values = new_values
            .iter()
            .map(|parameter| (parameter.name.as_str(), value_from_message(&parameter.value)))
            .collect();
        let result = target.apply(Change {
            server: self,
            new_values,
        });
        SetParametersResult {
            successful: result.is_ok(),
            reason: text::message(&result.err().unwrap_or_default()),
        }
    }

    fn publish_changed(&self, changed: &[&str]) {
        if !changed.is_empty() {
            self.publish(Vec::new(), changed.iter().map(|name| self.get(name)).collect());
        }
    }

    fn publish(&self, new_parameters: Vec<Parameter>, changed_parameters: Vec<Parameter>) {
        self.events.publish(&ParameterEvent {
            stamp: self.context.stamp(),
            node: self.node.clone(),
            new_parameters,
            changed_parameters,
            deleted_parameters: Vec::new(),
        });
    }
}

impl<'a> Change<'a> {
    /// Whether the value of this parameter is set.
    pub(crate) fn sets(&self, name: &str) -> bool {
        self.new_values.iter().any(|(set, _)| *set == name)
    }

    /// Validates the change against the current parameters.
    ///
    /// # Errors
    /// A parameter is unknown or read-only, or its value is rejected.
    pub(crate) fn validate(self) -> Result<ValidatedChange<'a>, ParameterError> {
        let (params, changed) = self.server.current().with_changes(&self.new_values)?;
        Ok(ValidatedChange {
            server: self.server,
            params,
            changed,
        })
    }
}

impl ValidatedChange<'_> {
    /// The parameters after the change.
    pub(crate) fn params(&self) -> &Params {
        &self.params
    }

    /// Makes the parameters the current ones, and announces the changed ones.
    pub(crate) fn commit(&self) {
        *lock(&self.server.params) = self.params.clone();
        self.server.publish_changed(&self.changed);
        if self.changed.contains(&"log_level") {
            set_log_level(self.server.context.logger(), self.params.log_level);
        }
    }
}

/// The names that equal a prefix or continue it after a dot; all names if there are no prefixes.
fn names_with_prefix(prefixes: &[String]) -> Vec<String> {
    let has_prefix = |name: &str| {
        prefixes.iter().any(|prefix| {
            let rest = name.strip_prefix(prefix.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    let names = DECLARATIONS.iter().map(|declaration| declaration.name);
    names
        .filter(|name| prefixes.is_empty() || has_prefix(name))
        .map(str::to_owned)
        .collect()
}

/// Describes a parameter; only its name if it is not declared.
fn descriptor(name: &str) -> ParameterDescriptor {
    let Some(index) = index_of(name) else {
        return ParameterDescriptor {
            name: name.to_owned(),
            ..ParameterDescriptor::default()
        };
    };
    let declaration = &DECLARATIONS[index];
    let (integer_range, floating_point_range) = ranges(declaration);
    ParameterDescriptor {
        name: name.to_owned(),
        type_: message_from_value(&declaration.default.into()).type_,
        description: declaration.description.to_owned(),
        additional_constraints: declaration.constraint(),
        read_only: !declaration.is_live,
        dynamic_typing: false,
        floating_point_range,
        integer_range,
    }
}

/// The range of a number. `rcl_interfaces` allows none for a list, whose range is in `additional_constraints`.
fn ranges(declaration: &Declaration) -> (Vec<IntegerRange>, Vec<FloatingPointRange>) {
    let range = declaration.range.clone().map(RangeInclusive::into_inner);
    match (declaration.default, range) {
        (DefaultValue::Integer(_), Some((min, max))) => {
            let range = IntegerRange {
                from_value: min as i64,
                to_value: max as i64,
                step: 1,
            };
            (vec![range], Vec::new())
        }
        (DefaultValue::Double(_), Some((from_value, to_value))) => {
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
        // The node declares no parameter of these types.
        ParameterValue::NotSet
        | ParameterValue::BoolArray(_)
        | ParameterValue::ByteArray(_)
        | ParameterValue::DoubleArray(_) => {}
    }
    message
}

/// The value of a message; `NotSet` if its type is unknown.
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
