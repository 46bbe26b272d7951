//! Creation of the node.

use std::panic::{catch_unwind, set_hook, take_hook};

use r2r::{Context, Node};

use super::ffi::{reason_of, take_error};

/// The node could not be created.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot create the node: {reason}; check the environment variables of ROS, such as ROS_DOMAIN_ID{}",
    domain()
)]
pub struct StartError {
    reason: String,
}

/// Creates the node of this process; the arguments of the process may change its name and namespace.
///
/// # Errors
/// rcl or the middleware reported an error.
pub fn create_node(name: &str) -> Result<Node, StartError> {
    let context = create_context().map_err(|reason| StartError { reason })?;
    Node::create(context, name, "").map_err(|error| {
        let reason = take_error();
        let reason = if reason.is_empty() {
            error.to_string()
        } else {
            reason
        };
        StartError { reason }
    })
}

/// Creates the context. r2r panics with rcl's message if that fails.
fn create_context() -> Result<Context, String> {
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let created = catch_unwind(Context::create);
    set_hook(hook);
    match created {
        Ok(context) => context.map_err(|error| error.to_string()),
        Err(panic) => Err(panic
            .downcast_ref::<String>()
            .map_or_else(String::new, |text| reason_of(text))),
    }
}

/// The value of `ROS_DOMAIN_ID`, if there is one.
fn domain() -> String {
    std::env::var("ROS_DOMAIN_ID").map_or_else(
        |_| String::new(),
        |value| format!(" (is {value:?}, must be 0 to 232)"),
    )
}
