//! The interface to ROS 2: clock and log, topics, services, QoS, messages and the executor. Does not
//! depend on the node's other modules.

pub(crate) mod arguments;
pub(crate) mod context;
pub(crate) mod executor;
pub(crate) mod ffi;
pub(crate) mod image_topic;
pub(crate) mod interfaces;
pub(crate) mod log;
pub(crate) mod messages;
pub(crate) mod overrides;
pub(crate) mod qos;
pub(crate) mod service;
pub(crate) mod start;
pub(crate) mod topic;
pub(crate) mod tracing_layer;
pub(crate) mod type_description;
