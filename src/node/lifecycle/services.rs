//! The managed node: the services and the event of `lifecycle_msgs`, as rclcpp's and rclpy's lifecycle nodes have them, and one
//! transition after the other.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use futures::{FutureExt, StreamExt};
use r2r::lifecycle_msgs::msg::{
    State as StateMessage, Transition as TransitionMessage, TransitionDescription, TransitionEvent,
};
use r2r::lifecycle_msgs::srv::{ChangeState, GetAvailableStates, GetAvailableTransitions, GetState};
use r2r::{Node, QosProfile};

use super::machine::{Outcome, State, TRANSITIONS, Transition};
use crate::node::lifecycle::transitions::{Managed, Obstacle};
use crate::node::ros::context::NodeContext;
use crate::node::ros::service::{answer, requests, respond};
use crate::node::ros::topic::Topic;
use crate::node::sync::lock;

/// The state that the node is in, for all its parts, and why it is not where it should be.
#[derive(Clone)]
pub struct Current(Arc<Mutex<(State, Option<String>)>>);

/// The node's states, one after the other.
pub struct Lifecycle {
    current: Current,
    managed: Managed,
    /// Held from the beginning of a transition to its end.
    changing: Arc<tokio::sync::Mutex<()>>,
    events: Topic<TransitionEvent>,
}

impl Default for Current {
    fn default() -> Current {
        Current(Arc::new(Mutex::new((State::Unconfigured, None))))
    }
}

impl Current {
    /// The state.
    pub fn get(&self) -> State {
        lock(&self.0).0
    }

    /// Why the last transition was not made; none where it was.
    pub fn failure(&self) -> Option<String> {
        lock(&self.0).1.clone()
    }
}

impl Lifecycle {
    /// An unconfigured node.
    ///
    /// # Errors
    /// rcl's word.
    pub fn new(node: &mut Node, current: Current, managed: Managed) -> r2r::Result<Lifecycle> {
        Ok(Lifecycle {
            current,
            managed,
            changing: Arc::default(),
            events: Topic::new(node, "~/transition_event", QosProfile::default())?,
        })
    }

    /// Offers the services.
    ///
    /// # Errors
    /// rcl's word.
    pub fn serve(self: &Arc<Self>, node: &mut Node) -> r2r::Result<()> {
        let own = self.clone();
        tokio::spawn(
            requests::<ChangeState::Service>(node, "~/change_state")?.for_each(move |request| {
                let own = own.clone();
                async move {
                    let wanted = &request.message.transition;
                    let success = own.answer_change(wanted.id, &wanted.label).await;
                    respond(own.handle(), request, ChangeState::Response { success });
                }
            }),
        );
        let handle = self.handle();
        let current = self.current.clone();
        answer::<GetState::Service>(node, handle, "~/get_state", move |_| GetState::Response {
            current_state: state_message(current.get()),
        })?;
        answer::<GetAvailableStates::Service>(node, handle, "~/get_available_states", |_| {
            GetAvailableStates::Response {
                available_states: State::ALL.map(state_message).to_vec(),
            }
        })?;
        let current = self.current.clone();
        answer::<GetAvailableTransitions::Service>(node, handle, "~/get_available_transitions", move |_| {
            GetAvailableTransitions::Response {
                available_transitions: current.get().transitions().map(description).collect(),
            }
        })?;
        answer::<GetAvailableTransitions::Service>(node, handle, "~/get_transition_graph", |_| {
            GetAvailableTransitions::Response {
                available_transitions: TRANSITIONS.iter().map(description).collect(),
            }
        })
    }

    /// Configures and activates. What is asked of the node from now on waits until that is done.
    pub fn autostart(self: &Arc<Self>) {
        let (own, until_both_are_made) = (self.clone(), self.changing.clone().try_lock_owned());
        let Some(configure) = self.current.get().asked_for(0, "configure") else {
            return;
        };
        self.enter(configure);
        tokio::spawn(async move {
            let _guard = until_both_are_made;
            if own.finish(configure).await == Outcome::Success
                && let Some(activate) = own.current.get().asked_for(0, "activate")
            {
                own.make(activate).await;
            }
        });
    }

    /// As [`Lifecycle::settled`], for threads that may wait.
    pub fn wait_until_settled(&self) {
        drop(self.changing.blocking_lock());
    }

    /// The state, once no transition is under way.
    pub async fn settled(&self) -> State {
        let _no_transition = self.changing.lock().await;
        self.current.get()
    }

    fn handle(&self) -> &NodeContext {
        &self.managed.handle
    }

    /// What the transitions work on.
    pub fn managed(&self) -> &Managed {
        &self.managed
    }

    async fn answer_change(&self, id: u8, label: &str) -> bool {
        let _one_at_a_time = self.changing.lock().await;
        let state = self.current.get();
        let Some(transition) = state.asked_for(id, label) else {
            let known: Vec<&str> = state.transitions().map(|transition| transition.label).collect();
            let asked = if label.is_empty() {
                id.to_string()
            } else {
                label.to_owned()
            };
            self.handle().warn(&format!(
                "there is no transition {asked} from {state}; there are: {}",
                known.join(", ")
            ));
            return false;
        };
        self.make(transition).await == Outcome::Success
    }

    /// Makes a transition, to where its outcome leads; the caller holds `changing`.
    async fn make(&self, transition: &Transition) -> Outcome {
        self.enter(transition);
        self.finish(transition).await
    }

    /// Does what a transition that was entered is for, and goes to where that leads.
    async fn finish(&self, transition: &Transition) -> Outcome {
        let outcome = self.attempt(transition).await;
        self.leave(outcome);
        if outcome == Outcome::Error {
            let put_away = self.done(self.put_away(State::Active)).await;
            self.leave(put_away);
        }
        outcome
    }

    async fn attempt(&self, transition: &Transition) -> Outcome {
        let managed = &self.managed;
        match transition.goal {
            State::Configuring => self.done(managed.configure()).await,
            State::Activating => self.done(managed.activate()).await,
            State::Deactivating => self.done(managed.deactivate()).await,
            State::CleaningUp => self.done(self.clear(State::Inactive)).await,
            _ => self.done(self.clear(transition.start)).await,
        }
    }

    /// Gives up all that a node in that state has, and says so.
    async fn clear(&self, state: State) -> Result<(), Obstacle> {
        self.put_away(state).await?;
        self.managed.models.say_unloaded();
        Ok(())
    }

    /// Gives up all that a node in that state has.
    async fn put_away(&self, state: State) -> Result<(), Obstacle> {
        if state == State::Active {
            self.managed.deactivate().await?;
        }
        if state != State::Unconfigured {
            self.managed.cleanup().await?;
        }
        Ok(())
    }

    /// How a piece of work went; the log says why where it did not go well.
    async fn done(&self, work: impl Future<Output = Result<(), Obstacle>>) -> Outcome {
        let while_it = self.current.get();
        let (outcome, reason) = match AssertUnwindSafe(work).catch_unwind().await {
            Ok(Ok(())) => (Outcome::Success, None),
            Ok(Err(Obstacle::Failure(reason))) => {
                (Outcome::Failure, Some(format!("{while_it} failed: {reason}")))
            }
            Ok(Err(Obstacle::Error(reason))) => {
                (Outcome::Error, Some(format!("{while_it} broke off: {reason}")))
            }
            Err(_) => (
                Outcome::Error,
                Some(format!("{while_it} has panicked; see standard error")),
            ),
        };
        if let Some(reason) = &reason {
            self.handle().error(reason);
        }
        // What was put away after an error went well is no reason to forget the error.
        if while_it != State::ErrorProcessing {
            lock(&self.current.0).1 = reason;
        }
        outcome
    }

    /// Goes on from a state on the way.
    fn leave(&self, outcome: Outcome) {
        if let Some(transition) = self.current.get().after(outcome) {
            self.enter(transition);
        }
    }

    fn enter(&self, transition: &Transition) {
        lock(&self.current.0).0 = transition.goal;
        self.events.publish(&TransitionEvent {
            timestamp: u64::try_from(self.handle().now().as_nanos()).unwrap_or_default(),
            transition: transition_message(transition),
            start_state: state_message(transition.start),
            goal_state: state_message(transition.goal),
        });
        self.handle()
            .debug(&format!("{} -> {}", transition.start, transition.goal));
    }
}

fn state_message(state: State) -> StateMessage {
    StateMessage {
        id: state as u8,
        label: state.label().to_owned(),
    }
}

fn transition_message(transition: &Transition) -> TransitionMessage {
    TransitionMessage {
        id: transition.id,
        label: transition.label.to_owned(),
    }
}

fn description(transition: &Transition) -> TransitionDescription {
    TransitionDescription {
        transition: transition_message(transition),
        start_state: state_message(transition.start),
        goal_state: state_message(transition.goal),
    }
}
