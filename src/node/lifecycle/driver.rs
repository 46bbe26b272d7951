//! Performs transitions one at a time: runs the work of each, then enters the state that follows from its outcome.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use r2r::lifecycle_msgs::msg::TransitionEvent;
use r2r::{Node, QosProfile};

use crate::node::lifecycle::machine::{
    Outcome, Transition, find_transition, transition_after, transitions_from,
};
use crate::node::lifecycle::messages::{state_message, transition_message};
use crate::node::lifecycle::transitions::{TransitionError, Transitions};
use crate::node::ros::context::NodeContext;
use crate::node::ros::topic::Topic;
use crate::node::state::{NodeState, State};
use crate::text::printable;

/// The state of the managed node, and the work of its transitions.
pub(crate) struct Lifecycle {
    state: NodeState,
    transitions: Transitions,
    /// `~/transition_event`.
    events: Topic<TransitionEvent>,
}

impl Lifecycle {
    pub(crate) fn new(node: &mut Node, state: NodeState, transitions: Transitions) -> r2r::Result<Lifecycle> {
        Ok(Lifecycle {
            state,
            transitions,
            events: Topic::new(node, "~/transition_event", QosProfile::default())?,
        })
    }

    pub(crate) fn transitions(&self) -> &Transitions {
        &self.transitions
    }

    pub(super) fn context(&self) -> &NodeContext {
        &self.transitions.context
    }

    pub(super) fn state(&self) -> &NodeState {
        &self.state
    }

    /// Configures and activates the node in the background. Requests that depend on the state wait for both transitions.
    pub(crate) fn autostart(self: &Arc<Self>) {
        let (lifecycle, guard) = (self.clone(), self.state.try_lock_transitions());
        let Some(configure) = find_transition(self.state.get(), 0, "configure") else {
            return;
        };
        self.enter(configure);
        tokio::spawn(async move {
            let _both_transitions = guard;
            if lifecycle.finish(configure).await == Outcome::Success
                && let Some(activate) = find_transition(lifecycle.state.get(), 0, "activate")
            {
                lifecycle.perform(activate).await;
            }
        });
    }

    /// Performs the requested transition; returns `false` if it does not exist in the current state, or did not succeed.
    pub(super) async fn change_state(&self, id: u8, label: &str) -> bool {
        let _guard = self.state.lock_transitions().await;
        let state = self.state.get();
        let Some(transition) = find_transition(state, id, label) else {
            let requested = if label.is_empty() {
                id.to_string()
            } else {
                printable(label)
            };
            let available: Vec<&str> = transitions_from(state)
                .map(|transition| transition.label)
                .collect();
            self.context().warn(&format!(
                "transition {requested} does not exist in state {state}; available: {}",
                available.join(", ")
            ));
            return false;
        };
        self.perform(transition).await == Outcome::Success
    }

    /// Performs a transition to its end. The caller holds the guard of [`NodeState::lock_transitions`].
    async fn perform(&self, transition: &Transition) -> Outcome {
        self.enter(transition);
        self.finish(transition).await
    }

    /// Runs the work of a transition that was entered, and leaves the transition state; after an error, releases everything.
    async fn finish(&self, transition: &Transition) -> Outcome {
        let outcome = self.attempt(transition).await;
        self.leave(outcome);
        if outcome == Outcome::Error {
            let released = self.outcome_of(self.release(State::Active)).await;
            self.leave(released);
        }
        outcome
    }

    async fn attempt(&self, transition: &Transition) -> Outcome {
        let transitions = &self.transitions;
        match transition.goal {
            State::Configuring => self.outcome_of(transitions.configure()).await,
            State::Activating => self.outcome_of(transitions.activate()).await,
            State::Deactivating => self.outcome_of(transitions.deactivate()).await,
            State::CleaningUp => self.outcome_of(self.clean_up(State::Inactive)).await,
            _ => self.outcome_of(self.clean_up(transition.start)).await,
        }
    }

    /// Releases what the node holds in a state, and reports on `~/model` that no model is loaded.
    async fn clean_up(&self, state: State) -> Result<(), TransitionError> {
        self.release(state).await?;
        self.transitions.models.publish_unloaded();
        Ok(())
    }

    /// Releases what the node holds in a state.
    async fn release(&self, state: State) -> Result<(), TransitionError> {
        if state == State::Active {
            self.transitions.deactivate().await?;
        }
        if state != State::Unconfigured {
            self.transitions.cleanup().await?;
        }
        Ok(())
    }

    /// Waits for the work of a transition; logs and stores the reason if it did not succeed.
    async fn outcome_of(&self, work: impl Future<Output = Result<(), TransitionError>>) -> Outcome {
        let state = self.state.get();
        let (outcome, reason) = match AssertUnwindSafe(work).catch_unwind().await {
            Ok(Ok(())) => (Outcome::Success, None),
            Ok(Err(TransitionError::Failure(reason))) => {
                (Outcome::Failure, Some(format!("{state} failed: {reason}")))
            }
            Ok(Err(TransitionError::Error(reason))) => {
                (Outcome::Error, Some(format!("error while {state}: {reason}")))
            }
            Err(_) => (
                Outcome::Error,
                Some(format!("panic while {state}; see standard error")),
            ),
        };
        if let Some(reason) = &reason {
            self.context().error(reason);
        }
        // A successful clean-up after an error keeps the reason of that error.
        if state != State::ErrorProcessing {
            self.state.set_failure(reason);
        }
        outcome
    }

    /// Leaves a transition state; does nothing in other states.
    fn leave(&self, outcome: Outcome) {
        if let Some(transition) = transition_after(self.state.get(), outcome) {
            self.enter(transition);
        }
    }

    fn enter(&self, transition: &Transition) {
        self.state.set(transition.goal);
        self.events.publish(&TransitionEvent {
            timestamp: u64::try_from(self.context().now().as_nanos()).unwrap_or_default(),
            transition: transition_message(transition),
            start_state: state_message(transition.start),
            goal_state: state_message(transition.goal),
        });
        self.context()
            .debug(&format!("{} -> {}", transition.start, transition.goal));
    }
}
