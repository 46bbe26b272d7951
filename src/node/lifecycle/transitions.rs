//! The work of the transitions. Each method may be called in any state, and again after it has failed.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::node::models::{ConfigureError, Models};
use crate::node::pipeline::inbox::Inbox;
use crate::node::pipeline::subscriptions::Subscriptions;
use crate::node::retrain::Retraining;
use crate::node::ros::context::NodeContext;

/// Maximum time to wait for the process of a cancelled training to end.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);
const CANCEL_POLL_PERIOD: Duration = Duration::from_millis(20);

/// Why a transition did not succeed.
#[derive(Debug)]
pub(crate) enum TransitionError {
    /// The transition is not possible; the node is unchanged.
    Failure(String),
    /// The transition was interrupted; the node may be partly changed.
    Error(String),
}

impl From<ConfigureError> for TransitionError {
    fn from(error: ConfigureError) -> TransitionError {
        match error {
            ConfigureError::Unavailable(_) => TransitionError::Failure(error.to_string()),
            ConfigureError::Store(_) | ConfigureError::Activate(_) => {
                TransitionError::Error(error.to_string())
            }
        }
    }
}

/// The parts of the node that transitions change.
pub(crate) struct Transitions {
    pub(crate) context: NodeContext,
    pub(crate) subscriptions: Arc<Subscriptions>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) models: Arc<Models>,
    pub(crate) retraining: Arc<Retraining>,
}

impl Transitions {
    /// Loads the model and runs it once.
    pub(super) async fn configure(&self) -> Result<(), TransitionError> {
        let models = self.models.clone();
        let configured = joined(spawn_blocking(move || models.configure()).await)?;
        if configured.is_err() {
            // A training may have been started during the transition, and could not activate its model.
            self.cancel_training(CANCEL_TIMEOUT).await;
        }
        Ok(configured?)
    }

    /// Subscribes to all cameras, or to none on failure.
    pub(super) async fn activate(&self) -> Result<(), TransitionError> {
        self.subscriptions.start().await.map_err(TransitionError::Error)
    }

    /// Unsubscribes from the cameras, and publishes a last gesture with the reason `inactive` for each.
    pub(crate) async fn deactivate(&self) -> Result<(), TransitionError> {
        let subscriptions = self.subscriptions.clone();
        joined(spawn_blocking(move || subscriptions.stop()).await)?;
        self.inbox.deactivate().await;
        Ok(())
    }

    /// Cancels a training, and unloads the model.
    pub(super) async fn cleanup(&self) -> Result<(), TransitionError> {
        self.cancel_training(CANCEL_TIMEOUT).await;
        let models = self.models.clone();
        joined(spawn_blocking(move || models.unload()).await)?;
        // A training may have been started in between.
        self.cancel_training(CANCEL_TIMEOUT).await;
        self.inbox.unload().await;
        Ok(())
    }

    /// Cancels a running training and waits at most `timeout` for its process to end.
    pub(crate) async fn cancel_training(&self, timeout: Duration) {
        if self.retraining.cancel() {
            let ended = async {
                while self.retraining.is_running() {
                    tokio::time::sleep(CANCEL_POLL_PERIOD).await;
                }
            };
            // After the timeout the transition goes on; the task of the training still kills the process.
            tokio::time::timeout(timeout, ended).await.ok();
        }
    }
}

/// The result of a blocking task, which may have panicked.
fn joined<T>(result: Result<T, tokio::task::JoinError>) -> Result<T, TransitionError> {
    result.map_err(|error| TransitionError::Error(error.to_string()))
}
