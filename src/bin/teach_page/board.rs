//! What the page shows of the gesture node: values by name, each with the version in which it changed.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Map, Value};
use thumb_gesture::sync::lock;
use tokio::sync::watch;

/// The current values, of which every viewer gets those that have changed since its last update.
pub(crate) struct Board {
    entries: Mutex<Entries>,
    /// Changes with every change of a value, and with every new picture.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Entries {
    version: u64,
    values: BTreeMap<&'static str, (u64, Value)>,
}

impl Board {
    pub(crate) fn new() -> Board {
        Board {
            entries: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    /// Sets a value. Viewers are told if it differs.
    pub(crate) fn set(&self, name: &'static str, value: Value) {
        {
            let mut entries = lock(&self.entries);
            if entries.values.get(name).is_some_and(|(_, old)| *old == value) {
                return;
            }
            entries.version += 1;
            let version = entries.version;
            entries.values.insert(name, (version, value));
        }
        self.notify();
    }

    /// The value of a name; null if it was never set.
    pub(crate) fn get(&self, name: &str) -> Value {
        let entries = lock(&self.entries);
        entries
            .values
            .get(name)
            .map_or(Value::Null, |(_, value)| value.clone())
    }

    /// The current version.
    pub(crate) fn version(&self) -> u64 {
        lock(&self.entries).version
    }

    /// The values that have changed after a version, and the current version.
    pub(crate) fn since(&self, version: u64) -> (u64, Map<String, Value>) {
        let entries = lock(&self.entries);
        let changed = entries.values.iter().filter(|(_, (at, _))| *at > version);
        let changed = changed.map(|(name, (_, value))| ((*name).to_owned(), value.clone()));
        (entries.version, changed.collect())
    }

    /// Wakes up all viewers.
    pub(crate) fn notify(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Changes whenever there is something new.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_changed_values_are_returned() {
        let board = Board::new();
        board.set("model", json!({"id": "a"}));
        board.set("dataset", json!({}));
        let (version, all) = board.since(0);
        assert_eq!(all.len(), 2);
        board.set("model", json!({"id": "a"}));
        assert_eq!(board.version(), version, "the same value is no change");
        board.set("model", json!({"id": "b"}));
        let (_, changed) = board.since(version);
        assert_eq!(Value::from(changed), json!({"model": {"id": "b"}}));
    }
}
