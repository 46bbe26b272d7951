//! Publishers that threads share.

use std::sync::Mutex;

use r2r::{Publisher, QosProfile, WrappedTypesupport};

use super::log::{LogLevel, log};
use crate::sync::lock;

/// A publisher that any thread may use.
pub(crate) struct Topic<T: WrappedTypesupport> {
    logger: String,
    name: String,
    // r2r's publisher is `Send`, but not `Sync`.
    publisher: Mutex<Publisher<T>>,
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
            publisher: Mutex::new(node.create_publisher(name, qos)?),
        })
    }

    /// Publishes the message, or logs why it cannot be published.
    pub(crate) fn publish(&self, message: &T) {
        match lock(&self.publisher).publish(message) {
            // The node was dropped, which ends the program.
            Ok(()) | Err(r2r::Error::RCL_RET_PUBLISHER_INVALID) => {}
            Err(error) => {
                let message = format!("cannot publish on {}: {error}", self.name);
                log(&self.logger, LogLevel::Error, &message);
            }
        }
    }

    pub(crate) fn has_subscribers(&self) -> bool {
        lock(&self.publisher)
            .get_inter_process_subscription_count()
            .unwrap_or(0)
            > 0
    }
}
