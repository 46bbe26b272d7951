//! Creation of the node.

use std::panic::{catch_unwind, set_hook, take_hook};

use r2r::{Context, Node};

use super::ffi::{reason_of, take_error};

/// The node could not be created.
#[derive(Debug, thiserror::Error)]
#[error("cannot create the node: {0}")]
pub struct StartError(String);

/// Creates the node of this process, whose arguments may change its name and namespace.
///
/// # Errors
/// rcl or the middleware reported an error.
pub fn create_node(name: &str) -> Result<Node, StartError> {
    create_context()
        .and_then(|context| Node::create(context, name, "").map_err(with_reason))
        .map_err(StartError)
}

/// Creates the context. If rcl cannot be initialized, r2r panics with rcl's message.
fn create_context() -> Result<Context, String> {
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let created = catch_unwind(Context::create);
    set_hook(hook);
    match created {
        Ok(context) => context.map_err(with_reason),
        Err(panic) => Err(panic
            .downcast_ref::<String>()
            .map_or_else(String::new, |text| reason_of(text))),
    }
}

/// rcl's reason for an error of r2r, which has only its number.
fn with_reason(error: r2r::Error) -> String {
    let reason = take_error();
    if reason.is_empty() {
        error.to_string()
    } else {
        reason
    }
}
