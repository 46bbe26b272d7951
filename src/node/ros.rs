//! What the node uses of ROS 2: clock, log, topics, services and the executor.

pub mod context;
pub mod executor;
pub mod ffi;
pub mod messages;
pub mod qos;
pub mod tracing_layer;
