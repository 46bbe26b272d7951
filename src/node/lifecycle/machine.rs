//! The transitions of a managed node, as `rcl_lifecycle` defines them.

use crate::node::state::State;

/// The result of the work in a transition, as `TransitionCallbackReturn` in rclcpp and rclpy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    /// The transition is not possible; the node is unchanged.
    Failure,
    /// The work was interrupted; the node may be partly changed.
    Error,
}

/// A transition; the ids are those of `lifecycle_msgs/Transition`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Transition {
    pub(super) id: u8,
    /// Not unique: there is a `shutdown` from several states.
    pub(super) label: &'static str,
    pub(super) start: State,
    pub(super) goal: State,
}

/// The transitions that start in a state.
pub(super) fn transitions_from(state: State) -> impl Iterator<Item = &'static Transition> {
    TRANSITIONS
        .iter()
        .filter(move |transition| transition.start == state)
}

/// The transition that starts in a state and has this label or, if the label is empty, this id.
pub(super) fn find_transition(state: State, id: u8, label: &str) -> Option<&'static Transition> {
    transitions_from(state).find(|transition| {
        if label.is_empty() {
            transition.id == id
        } else {
            transition.label == label
        }
    })
}

/// The transition that leads out of a transition state after its work; `None` for other states.
pub(super) fn transition_after(state: State, outcome: Outcome) -> Option<&'static Transition> {
    let label = match outcome {
        Outcome::Success => "transition_success",
        Outcome::Failure => "transition_failure",
        Outcome::Error => "transition_error",
    };
    find_transition(state, 0, label)
}

const fn transition(id: u8, label: &'static str, start: State, goal: State) -> Transition {
    Transition {
        id,
        label,
        start,
        goal,
    }
}

/// Every transition, in the order in which `rcl_lifecycle` registers them.
#[rustfmt::skip]
pub(super) const TRANSITIONS: &[Transition] = &[
    transition(1, "configure", State::Unconfigured, State::Configuring),
    transition(10, "transition_success", State::Configuring, State::Inactive),
    transition(11, "transition_failure", State::Configuring, State::Unconfigured),
    transition(12, "transition_error", State::Configuring, State::ErrorProcessing),
    transition(2, "cleanup", State::Inactive, State::CleaningUp),
    transition(20, "transition_success", State::CleaningUp, State::Unconfigured),
    transition(21, "transition_failure", State::CleaningUp, State::Inactive),
    transition(22, "transition_error", State::CleaningUp, State::ErrorProcessing),
    transition(3, "activate", State::Inactive, State::Activating),
    transition(30, "transition_success", State::Activating, State::Active),
    transition(31, "transition_failure", State::Activating, State::Inactive),
    transition(32, "transition_error", State::Activating, State::ErrorProcessing),
    transition(4, "deactivate", State::Active, State::Deactivating),
    transition(40, "transition_success", State::Deactivating, State::Inactive),
    transition(41, "transition_failure", State::Deactivating, State::Active),
    transition(42, "transition_error", State::Deactivating, State::ErrorProcessing),
    transition(5, "shutdown", State::Unconfigured, State::ShuttingDown),
    transition(6, "shutdown", State::Inactive, State::ShuttingDown),
    transition(7, "shutdown", State::Active, State::ShuttingDown),
    transition(50, "transition_success", State::ShuttingDown, State::Finalized),
    transition(51, "transition_failure", State::ShuttingDown, State::Finalized),
    transition(52, "transition_error", State::ShuttingDown, State::ErrorProcessing),
    transition(60, "transition_success", State::ErrorProcessing, State::Unconfigured),
    transition(61, "transition_failure", State::ErrorProcessing, State::Finalized),
    transition(62, "transition_error", State::ErrorProcessing, State::Finalized),
];

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    #[test]
    fn every_transition_state_has_a_transition_for_each_outcome() {
        let is_transition_state = |state: &&State| **state as u8 >= State::Configuring as u8;
        for state in State::VARIANTS.iter().filter(is_transition_state) {
            for outcome in [Outcome::Success, Outcome::Failure, Outcome::Error] {
                let goal = transition_after(*state, outcome).map(|transition| transition.goal);
                assert!(goal.is_some(), "{state} {outcome:?}");
            }
        }
    }

    #[test]
    fn transitions_are_found_by_label_or_id_only_from_their_start_state() {
        let shutdown = find_transition(State::Inactive, 0, "shutdown").map(|found| found.id);
        assert_eq!(shutdown, Some(6));
        assert_eq!(find_transition(State::Unconfigured, 3, ""), None);
        assert_eq!(find_transition(State::Finalized, 0, "configure"), None);
        assert_eq!(find_transition(State::Active, 0, ""), None);
    }
}
