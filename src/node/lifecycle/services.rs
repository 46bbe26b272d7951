//! The services of a managed node, as lifecycle nodes of rclcpp and rclpy offer them.

use std::sync::Arc;

use futures::StreamExt;
use r2r::Node;
use r2r::lifecycle_msgs::srv::{ChangeState, GetAvailableStates, GetAvailableTransitions, GetState};
use strum::VariantArray;

use crate::node::lifecycle::driver::Lifecycle;
use crate::node::lifecycle::machine::{TRANSITIONS, transitions_from};
use crate::node::lifecycle::messages::{description_message, state_message};
use crate::node::ros::service::{answer, requests, respond};
use crate::node::state::State;

/// Offers the services.
pub(crate) fn serve(node: &mut Node, lifecycle: &Arc<Lifecycle>) -> r2r::Result<()> {
    let own = lifecycle.clone();
    tokio::spawn(
        requests::<ChangeState::Service>(node, "~/change_state")?.for_each(move |request| {
            let own = own.clone();
            async move {
                let transition = &request.message.transition;
                let success = own.change_state(transition.id, &transition.label).await;
                respond(own.context(), request, ChangeState::Response { success });
            }
        }),
    );
    let context = lifecycle.context();
    let state = lifecycle.state().clone();
    answer::<GetState::Service>(node, context, "~/get_state", move |_| GetState::Response {
        current_state: state_message(state.get()),
    })?;
    answer::<GetAvailableStates::Service>(node, context, "~/get_available_states", |_| {
        GetAvailableStates::Response {
            available_states: State::VARIANTS.iter().copied().map(state_message).collect(),
        }
    })?;
    let state = lifecycle.state().clone();
    answer::<GetAvailableTransitions::Service>(node, context, "~/get_available_transitions", move |_| {
        GetAvailableTransitions::Response {
            available_transitions: transitions_from(state.get()).map(description_message).collect(),
        }
    })?;
    answer::<GetAvailableTransitions::Service>(node, context, "~/get_transition_graph", |_| {
        GetAvailableTransitions::Response {
            available_transitions: TRANSITIONS.iter().map(description_message).collect(),
        }
    })
}
