pub mod context;
pub mod executor;
pub mod ffi;
pub mod qos;
pub mod tracing_layer;
