//! The managed node: the transition table of `rcl_lifecycle`, the work of each transition, and the services.

mod driver;
mod machine;
mod messages;
mod services;
mod transitions;

pub(crate) use driver::Lifecycle;
pub(crate) use services::serve;
pub(crate) use transitions::Transitions;
