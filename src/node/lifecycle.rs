//! The managed node: states, transitions and services.

pub mod machine;
pub mod services;
pub mod transitions;
