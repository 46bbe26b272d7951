//! The states and transitions of a managed node, as `rcl_lifecycle` has them. Pure.

use std::fmt;

/// A state; the numbers are those of `lifecycle_msgs/State`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// None.
    Unknown = 0,
    /// It holds nothing.
    Unconfigured = 1,
    /// It holds a model and does nothing.
    Inactive = 2,
    /// It classifies.
    Active = 3,
    /// It does nothing any more.
    Finalized = 4,
    /// On the way from unconfigured to inactive.
    Configuring = 10,
    /// On the way from inactive to unconfigured.
    CleaningUp = 11,
    /// On the way to finalized.
    ShuttingDown = 12,
    /// On the way from inactive to active.
    Activating = 13,
    /// On the way from active to inactive.
    Deactivating = 14,
    /// Something broke on one of those ways.
    ErrorProcessing = 15,
}

/// How a transition went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Success,
    /// It could not be made; all is as it was.
    Failure,
    /// It broke off; nobody knows what is left.
    Error,
}

/// A transition; the numbers are those of `lifecycle_msgs/Transition`.
#[derive(Debug, PartialEq, Eq)]
pub struct Transition {
    /// Its number.
    pub id: u8,
    /// Its name, which several share.
    pub label: &'static str,
    /// Where it begins.
    pub start: State,
    /// Where it leads to.
    pub goal: State,
}

impl State {
    /// Every state.
    pub const ALL: [State; 11] = [
        State::Unknown,
        State::Unconfigured,
        State::Inactive,
        State::Active,
        State::Finalized,
        State::Configuring,
        State::CleaningUp,
        State::ShuttingDown,
        State::Activating,
        State::Deactivating,
        State::ErrorProcessing,
    ];

    /// Its name.
    pub fn label(self) -> &'static str {
        match self {
            State::Unknown => "unknown",
            State::Unconfigured => "unconfigured",
            State::Inactive => "inactive",
            State::Active => "active",
            State::Finalized => "finalized",
            State::Configuring => "configuring",
            State::CleaningUp => "cleaningup",
            State::ShuttingDown => "shuttingdown",
            State::Activating => "activating",
            State::Deactivating => "deactivating",
            State::ErrorProcessing => "errorprocessing",
        }
    }

    /// The transitions that begin here.
    pub fn transitions(self) -> impl Iterator<Item = &'static Transition> {
        TRANSITIONS
            .iter()
            .filter(move |transition| transition.start == self)
    }

    /// The transition from here that somebody asks for: by its label where there is one, else by its number.
    pub fn asked_for(self, id: u8, label: &str) -> Option<&'static Transition> {
        self.transitions().find(|transition| match label {
            "" => transition.id == id,
            label => transition.label == label,
        })
    }

    /// From a state on the way, the transition to where its outcome leads.
    pub fn after(self, outcome: Outcome) -> Option<&'static Transition> {
        self.asked_for(0, outcome.label())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl Outcome {
    fn label(self) -> &'static str {
        match self {
            Outcome::Success => "transition_success",
            Outcome::Failure => "transition_failure",
            Outcome::Error => "transition_error",
        }
    }
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
pub const TRANSITIONS: &[Transition] = &[
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
    use super::*;

    #[test]
    fn from_every_state_on_the_way_each_outcome_leads_somewhere() {
        let on_the_way = State::ALL.iter().filter(|state| **state as u8 >= 10);
        for state in on_the_way {
            for outcome in [Outcome::Success, Outcome::Failure, Outcome::Error] {
                let goal = state.after(outcome).map(|transition| transition.goal);
                assert!(goal.is_some(), "{state} {outcome:?}");
            }
        }
    }

    #[test]
    fn a_label_means_the_transition_from_here_and_a_wrong_one_none() {
        let shutdown = State::Inactive.asked_for(0, "shutdown").map(|found| found.id);
        assert_eq!(shutdown, Some(6));
        assert_eq!(State::Unconfigured.asked_for(3, ""), None);
        assert_eq!(State::Finalized.asked_for(0, "configure"), None);
        assert_eq!(State::Active.asked_for(0, ""), None);
    }
}
