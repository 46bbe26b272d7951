//! Publishers that threads share.

use std::sync::Mutex;

use r2r::{Publisher, QosProfile, WrappedTypesupport};

use super::log::{LogLevel, log};
use crate::sync::lock;

/// A publisher that any thread may use.
pub(crate) struct Topic<T: WrappedTypesupport> {
    logger: String,
    name: String,
    /// `None` once it was closed. r2r's publisher is `Send`, but not `Sync`.
    publisher: Mutex<Option<Publisher<T>>>,
}

impl<T: WrappedTypesupport + 'static> Topic<T> {
    /// Creates the publisher; `name` may begin with `~/`.
    ///
    /// # Errors
    /// rcl reported an error.
    pub(crate) fn new(node: &mut r2r::Node, name: &str, qos: QosProfile) -> r2r::Result<Topic<T>> {
        Ok(Topic {
            logger: node.logger().to_owned(),
            name: name.to_owned(),
            publisher: Mutex::new(Some(node.create_publisher(name, qos)?)),
        })
    }

    /// Removes the publisher from the ROS graph; messages that are published later are dropped.
    pub(crate) fn close(&self, node: &mut r2r::Node) {
        if let Some(publisher) = lock(&self.publisher).take() {
            node.destroy_publisher(publisher);
        }
    }

    /// Publishes the message, or logs why it cannot be published.
    pub(crate) fn publish(&self, message: &T) {
        let publisher = lock(&self.publisher);
        match publisher.as_ref().map_or(Ok(()), |open| open.publish(message)) {
            // The node was dropped, which ends the program.
            Ok(()) | Err(r2r::Error::RCL_RET_PUBLISHER_INVALID) => {}
            Err(error) => {
                let message = format!("cannot publish on {}: {error}", self.name);
                log(&self.logger, LogLevel::Error, &message);
            }
        }
    }

    pub(crate) fn has_subscribers(&self) -> bool {
        let publisher = lock(&self.publisher);
        let count = publisher
            .as_ref()
            .map(|open| open.get_inter_process_subscription_count().unwrap_or(0));
        count.is_some_and(|count| count > 0)
    }
}
