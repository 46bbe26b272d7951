//! States and transitions as messages of `lifecycle_msgs`.

use r2r::lifecycle_msgs::msg::{
    State as StateMessage, Transition as TransitionMessage, TransitionDescription,
};

use crate::node::lifecycle::machine::Transition;
use crate::node::state::State;

pub(super) fn state_message(state: State) -> StateMessage {
    StateMessage {
        id: state as u8,
        label: state.label().to_owned(),
    }
}

pub(super) fn transition_message(transition: &Transition) -> TransitionMessage {
    TransitionMessage {
        id: transition.id,
        label: transition.label.to_owned(),
    }
}

pub(super) fn description_message(transition: &Transition) -> TransitionDescription {
    TransitionDescription {
        transition: transition_message(transition),
        start_state: state_message(transition.start),
        goal_state: state_message(transition.goal),
    }
}
