//! What was done to the dataset since the node's start, in order: for `~/undo_edit` and `~/redo_edit`.

use crate::dataset::Label;
use crate::dataset::edits::Move;

/// Maximum number of changes that are remembered.
const MAX_CHANGES: usize = 1000;

/// A change of the dataset.
pub(super) enum Change {
    Addition(Addition),
    /// A deletion or relabeling. What was moved is recorded in the trash.
    Edit,
}

/// A change that was undone, with what it takes to perform it again.
pub(super) enum Undone {
    Addition(Addition),
    Edit(Vec<Move>),
}

/// Frames that were added together: one burst, or those of one import.
pub(super) struct Addition {
    id: String,
    /// Labels and names, in the order of their first frames. The times in the names of others may be from another clock.
    bursts: Vec<(Label, String)>,
}

#[derive(Default)]
pub(super) struct History {
    done: Vec<Change>,
    undone: Vec<Undone>,
}

impl Addition {
    pub(super) fn bursts(&self) -> &[(Label, String)] {
        &self.bursts
    }

    /// That of the last frames.
    pub(super) fn label(&self) -> Option<&Label> {
        self.bursts.last().map(|(label, _)| label)
    }
}

impl History {
    /// A frame was added. All with the same `id` are one change, the last one.
    pub(super) fn add(&mut self, id: &str, label: &Label, burst: &str) {
        let is_meant = |change: &Change| matches!(change, Change::Addition(addition) if addition.id == id);
        let index = self.done.iter().rposition(is_meant);
        let mut addition = match index.map(|index| self.done.remove(index)) {
            Some(Change::Addition(addition)) => addition,
            _ => Addition {
                id: id.to_owned(),
                bursts: Vec::new(),
            },
        };
        let burst = (label.clone(), burst.to_owned());
        if !addition.bursts.contains(&burst) {
            addition.bursts.push(burst);
        }
        self.push(Change::Addition(addition));
    }

    /// Frames were deleted or relabeled.
    pub(super) fn edit(&mut self) {
        self.push(Change::Edit);
    }

    fn push(&mut self, change: Change) {
        self.undone.clear();
        if self.done.len() >= MAX_CHANGES {
            self.done.remove(0);
        }
        self.done.push(change);
    }

    /// The trash is empty: no edit can be undone any more.
    pub(super) fn forget_edits(&mut self) {
        self.undone.clear();
        self.done.retain(|change| matches!(change, Change::Addition(_)));
    }

    pub(super) fn take_done(&mut self) -> Option<Change> {
        self.done.pop()
    }

    /// Puts a change back that could not be undone, or was performed again.
    pub(super) fn put_done(&mut self, change: Change) {
        self.done.push(change);
    }

    pub(super) fn take_undone(&mut self) -> Option<Undone> {
        self.undone.pop()
    }

    pub(super) fn put_undone(&mut self, change: Undone) {
        self.undone.push(change);
    }

    /// The addition, if that was the last change.
    pub(super) fn last_change(&self) -> Option<&Addition> {
        match self.done.last()? {
            Change::Addition(addition) => Some(addition),
            Change::Edit => None,
        }
    }

    /// The last burst, whatever was done since.
    pub(super) fn last_burst(&self) -> Option<(Label, String)> {
        let bursts = self.done.iter().rev().find_map(|change| match change {
            Change::Addition(addition) => addition.bursts.last(),
            Change::Edit => None,
        });
        bursts.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_two_imports_at_once_are_two_changes() {
        let label = Label::new("none").expect("a label");
        let mut history = History::default();
        history.edit();
        for (id, burst) in [("a", "1"), ("b", "2"), ("a", "1"), ("a", "3"), ("b", "2")] {
            history.add(id, &label, burst);
        }
        let mut bursts = Vec::new();
        while let Some(Change::Addition(addition)) = history.take_done() {
            bursts.push(
                addition
                    .bursts
                    .into_iter()
                    .map(|(_, name)| name)
                    .collect::<Vec<_>>(),
            );
        }
        assert_eq!(bursts, [vec!["2"], vec!["1", "3"]]);
    }

    #[test]
    fn history_is_bounded_and_loses_the_oldest_change() {
        let label = Label::new("none").expect("a label");
        let mut history = History::default();
        for number in 0..=MAX_CHANGES {
            history.add(&number.to_string(), &label, "1");
        }
        assert_eq!(history.done.len(), MAX_CHANGES);
        assert_eq!(
            history.last_change().expect("an addition").id,
            MAX_CHANGES.to_string()
        );
    }
}
