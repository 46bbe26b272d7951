//! Definitions of the interfaces that the program uses, by their names.

use std::sync::Mutex;

use r2r::WrappedServiceTypeSupport;

use super::ffi::{InterfaceDefinition, message_definition, service_definition};
use crate::sync::lock;

type Definition = fn() -> Option<InterfaceDefinition>;

/// Of the services that the program has created: r2r finds messages by their names, but not services.
static SERVICES: Mutex<Vec<Definition>> = Mutex::new(Vec::new());

/// Adds a service to the interfaces that are found.
pub(super) fn add_service<T: WrappedServiceTypeSupport + 'static>() {
    lock(&SERVICES).push(service_definition::<T>);
}

/// The definition of an interface such as `sensor_msgs/msg/Image` or `thumb_gesture/srv/Retrain`: of all messages in the packages that the
/// program was built with, and of the services that it has created.
pub(super) fn find(name: &str) -> Option<InterfaceDefinition> {
    message_definition(name).or_else(|| {
        let services = lock(&SERVICES);
        let mut definitions = services.iter().filter_map(|service| service());
        definitions.find(|definition| definition.description.type_description.type_name == name)
    })
}
