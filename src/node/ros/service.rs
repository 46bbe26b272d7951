//! Creation of services, and their responses.

use std::sync::Arc;

use futures::{FutureExt, Stream, StreamExt};
use r2r::{Node, QosProfile, ServiceRequest, WrappedServiceTypeSupport};

use super::context::NodeContext;
use super::interfaces::add_service;

/// Creates a service and returns its requests.
///
/// # Errors
/// rcl reported an error.
pub(crate) fn requests<T: WrappedServiceTypeSupport + 'static>(
    node: &mut Node,
    name: &str,
) -> r2r::Result<impl Stream<Item = ServiceRequest<T>> + Unpin + use<T>> {
    add_service::<T>();
    node.create_service::<T>(name, QosProfile::services_default())
}

/// Creates a service whose `answer` does not block.
///
/// # Errors
/// rcl reported an error.
pub(crate) fn answer<T: WrappedServiceTypeSupport + 'static>(
    node: &mut Node,
    context: &NodeContext,
    name: &str,
    answer: impl Fn(&T::Request) -> T::Response + Send + 'static,
) -> r2r::Result<()> {
    let context = context.clone();
    tokio::spawn(requests::<T>(node, name)?.for_each(move |request| {
        let response = answer(&request.message);
        respond(&context, request, response);
        std::future::ready(())
    }));
    Ok(())
}

/// Creates a service whose `answer` reads from the disk, and therefore runs on tokio's threads for blocking work.
///
/// # Errors
/// rcl reported an error.
pub(crate) fn answer_from_disk<T: WrappedServiceTypeSupport + 'static>(
    node: &mut Node,
    context: &NodeContext,
    name: &str,
    answer: impl Fn(&T::Request) -> T::Response + Send + Sync + 'static,
) -> r2r::Result<()> {
    let context = context.clone();
    let answer = Arc::new(answer);
    tokio::spawn(requests::<T>(node, name)?.for_each(move |request| {
        let (context, answer) = (context.clone(), answer.clone());
        let work = tokio::task::spawn_blocking(move || {
            let response = answer(&request.message);
            respond(&context, request, response);
        });
        // The panic hook has reported a panic of `answer`; the service continues.
        work.map(drop)
    }));
    Ok(())
}

/// Sends a response, or logs why it cannot be sent.
pub(crate) fn respond<T: WrappedServiceTypeSupport + 'static>(
    context: &NodeContext,
    request: ServiceRequest<T>,
    response: T::Response,
) {
    match request.respond(response) {
        // The node was dropped, which ends the program.
        Ok(()) | Err(r2r::Error::RCL_RET_ACTION_SERVER_INVALID) => {}
        Err(error) => context.error(&format!("cannot send the response of a service: {error}")),
    }
}
