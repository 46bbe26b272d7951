//! Start of a program with a node: its arguments, its exit status, and creation of the node.

use std::fmt::Display;
use std::panic::{catch_unwind, set_hook, take_hook};

use std::process::ExitCode;

use r2r::{Context, Node};

use super::arguments::RosArguments;
use super::ffi::{reason_of, take_error};
use crate::text::message;

/// The node could not be created.
#[derive(Debug, thiserror::Error)]
#[error("cannot create the node: {0}")]
pub struct StartError(String);

/// Runs a program with the arguments of this process. Returns its exit status: 2 for invalid arguments after `--ros-args`, and 1 after a
/// failure, whose error is printed in one line.
pub fn run_program<E: Display>(run: impl FnOnce(&RosArguments) -> Result<(), E>) -> ExitCode {
    let print = |error: String| eprintln!("Error: {}", message(&error));
    let arguments = match RosArguments::from_env() {
        Ok(arguments) => arguments,
        Err(error) => {
            print(error.to_string());
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With its causes, if it is an `anyhow::Error`.
            print(format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

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
