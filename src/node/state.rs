//! The lifecycle state of the node, which its parts share.

use std::sync::{Arc, Mutex};

use tokio::sync::OwnedMutexGuard;

use crate::sync::lock;

/// A state of a managed node; the discriminants are the ids in `lifecycle_msgs/State`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum State {
    Unknown = 0,
    /// No model is loaded.
    Unconfigured = 1,
    /// The model is loaded; no camera is subscribed to.
    Inactive = 2,
    /// Frames are classified.
    Active = 3,
    /// After `shutdown`: no transition leads out.
    Finalized = 4,
    Configuring = 10,
    CleaningUp = 11,
    ShuttingDown = 12,
    Activating = 13,
    Deactivating = 14,
    /// After an error in a transition: everything is released.
    ErrorProcessing = 15,
}

/// The current state, and why the last transition did not succeed. Clones share one state.
#[derive(Clone)]
pub(crate) struct NodeState {
    status: Arc<Mutex<Status>>,
    /// Locked during a transition.
    transition: Arc<tokio::sync::Mutex<()>>,
}

struct Status {
    state: State,
    failure: Option<String>,
}

impl State {
    /// The name in `lifecycle_msgs/State`.
    pub(crate) fn label(self) -> &'static str {
        self.into()
    }
}

impl Default for NodeState {
    fn default() -> NodeState {
        NodeState {
            status: Arc::new(Mutex::new(Status {
                state: State::Unconfigured,
                failure: None,
            })),
            transition: Arc::default(),
        }
    }
}

impl NodeState {
    /// The current state, possibly a transition state.
    pub(crate) fn get(&self) -> State {
        lock(&self.status).state
    }

    /// Why the last transition did not succeed; `None` if it did.
    pub(crate) fn failure(&self) -> Option<String> {
        lock(&self.status).failure.clone()
    }

    pub(crate) fn set(&self, state: State) {
        lock(&self.status).state = state;
    }

    pub(crate) fn set_failure(&self, failure: Option<String>) {
        lock(&self.status).failure = failure;
    }

    /// Waits for the current transition to end, and holds off others until the guard is dropped.
    pub(crate) async fn lock_transitions(&self) -> OwnedMutexGuard<()> {
        self.transition.clone().lock_owned().await
    }

    /// As [`NodeState::lock_transitions`], but blocks. Must not be called in async code.
    pub(crate) fn lock_transitions_blocking(&self) -> OwnedMutexGuard<()> {
        self.transition.clone().blocking_lock_owned()
    }

    /// As [`NodeState::lock_transitions`], but `None` during a transition.
    pub(crate) fn try_lock_transitions(&self) -> Option<OwnedMutexGuard<()>> {
        self.transition.clone().try_lock_owned().ok()
    }

    /// The state after the current transition, if there is one.
    pub(crate) async fn settled(&self) -> State {
        let _no_transition = self.transition.lock().await;
        self.get()
    }

    /// Blocks until the current transition has ended. Must not be called in async code.
    pub(crate) fn wait_until_settled(&self) {
        drop(self.transition.blocking_lock());
    }
}
