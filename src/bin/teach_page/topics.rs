//! Topics of the gesture node, whose messages go onto the board.

use std::sync::Arc;

use futures::StreamExt;
use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus};
use r2r::rcl_interfaces::msg::ParameterEvent;
use r2r::thumb_gesture::msg::{DatasetSummary, ModelInfo, Recording, TrainingStatus};
use r2r::{Node, QosProfile, WrappedTypesupport};
use serde::Serialize;
use serde_json::{Value, json};
use thumb_gesture::node::transient_local;

use crate::cameras::{CameraSource, ImageQos};
use crate::json;
use crate::page::Page;

/// Subscribes to the topics with the node's state.
///
/// # Errors
/// rcl reported an error.
pub(crate) fn subscribe(page: &Arc<Page>, node: &mut Node) -> r2r::Result<()> {
    copy::<ModelInfo>(page, node, "model")?;
    copy::<DatasetSummary>(page, node, "dataset")?;
    copy::<Recording>(page, node, "recording")?;

    let (own, mut history) = (page.clone(), TrainingHistory::default());
    receive::<TrainingStatus>(node, &page.topic("training"), transient_local(), move |status| {
        own.board.set("training", json::from_message(&status));
        if history.add(&status) {
            own.board
                .set("training_history", Value::from(history.points.clone()));
        }
    })?;
    let own = page.clone();
    receive::<DiagnosticArray>(node, "/diagnostics", QosProfile::default(), move |array| {
        take_diagnostics(&own, &array);
    })?;
    let own = page.clone();
    let events = QosProfile::default().keep_last(100);
    receive::<ParameterEvent>(node, "/parameter_events", events, move |event| {
        if event.node == own.gesture_node.name {
            own.parameters.refresh.notify_one();
        }
    })
}

/// Puts each message of a topic below the node onto the board, under the name of the topic.
fn copy<T>(page: &Arc<Page>, node: &mut Node, name: &'static str) -> r2r::Result<()>
where
    T: WrappedTypesupport + Serialize + Send + 'static,
{
    let own = page.clone();
    receive::<T>(node, &page.topic(name), transient_local(), move |message| {
        own.board.set(name, json::from_message(&message));
    })
}

fn receive<T: WrappedTypesupport + Send + 'static>(
    node: &mut Node,
    topic: &str,
    qos: QosProfile,
    mut take: impl FnMut(T) + Send + 'static,
) -> r2r::Result<()> {
    let messages = node.subscribe::<T>(topic, qos)?;
    tokio::spawn(messages.for_each(move |message| {
        take(message);
        std::future::ready(())
    }));
    Ok(())
}

/// The points of the running or last training, for its curves.
#[derive(Default)]
struct TrainingHistory {
    points: Vec<Value>,
    last: Option<(u32, u32)>,
    was_running: bool,
}

impl TrainingHistory {
    /// Adds the last epoch of a status. Returns whether there is a change.
    fn add(&mut self, status: &TrainingStatus) -> bool {
        let is_running = status.state == TrainingStatus::RUNNING as u8;
        let begins = is_running && !self.was_running;
        self.was_running = is_running;
        if begins {
            self.points.clear();
            self.last = None;
        }
        let at = (status.fold, status.epoch);
        if !is_running || status.epoch == 0 || self.last == Some(at) {
            return begins;
        }
        self.last = Some(at);
        let mut point = json::from_message(status);
        let kept = ["fold", "epoch", "train_loss", "validation_loss", "accuracy"];
        if let Some(fields) = point.as_object_mut() {
            fields.retain(|name, _| kept.contains(&name.as_str()));
        }
        self.points.push(point);
        true
    }
}

fn take_diagnostics(page: &Page, array: &DiagnosticArray) {
    let prefix = format!("{}: gesture", page.gesture_node.name.trim_start_matches('/'));
    let statuses = array.status.iter().filter_map(|status| {
        let camera = status.name.strip_prefix(&prefix)?;
        // Not of a node whose name only begins like this.
        (camera.is_empty() || camera.starts_with(' ')).then(|| (camera.trim().to_owned(), status))
    });
    let statuses: Vec<(String, &DiagnosticStatus)> = statuses.collect();
    let Some((_, first)) = statuses.first() else {
        return;
    };
    page.gesture_node.presence.mark();
    page.set_node(value_of(first, "state"));

    let source = |(name, status): &(String, &DiagnosticStatus)| CameraSource {
        name: name.clone(),
        topic: value_of(status, "camera topic").to_owned(),
        qos: ImageQos {
            is_compressed: value_of(status, "transport") == "compressed",
            is_reliable: value_of(status, "reliability") == "reliable",
            is_transient_local: value_of(status, "durability") == "transient_local",
        },
        gesture_topic: value_of(status, "gesture topic").to_owned(),
    };
    page.cameras
        .set_sources(&statuses.iter().map(source).collect::<Vec<_>>());
    let cameras = statuses.iter().map(|(name, status)| {
        let rate: f64 = value_of(status, "frames per second").parse().unwrap_or_default();
        json!({ "name": name, "topic": value_of(status, "camera topic"), "rate": rate, "silent": rate == 0.0 })
    });
    page.board.set("cameras", cameras.collect());
    let diagnostics = statuses.iter().map(|(_, status)| {
        let DiagnosticStatus {
            level, name, message, ..
        } = status;
        json!({ "level": level, "name": name, "message": message })
    });
    page.board.set("diagnostics", diagnostics.collect());
}

fn value_of<'a>(status: &'a DiagnosticStatus, key: &str) -> &'a str {
    let found = status.values.iter().find(|value| value.key == key);
    found.map_or("", |value| &value.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: u8, fold: u32, epoch: u32) -> TrainingStatus {
        TrainingStatus {
            state,
            fold,
            epoch,
            validation_loss: f32::NAN,
            ..TrainingStatus::default()
        }
    }

    #[test]
    fn history_has_each_epoch_once_and_begins_anew_with_a_training() {
        const RUNNING: u8 = TrainingStatus::RUNNING as u8;
        const SUCCEEDED: u8 = TrainingStatus::SUCCEEDED as u8;
        let mut history = TrainingHistory::default();
        for (fold, epoch) in [(0, 0), (0, 1), (0, 1), (0, 2), (1, 1)] {
            history.add(&status(RUNNING, fold, epoch));
        }
        assert!(!history.add(&status(SUCCEEDED, 1, 1)));
        assert_eq!(history.points.len(), 3);
        assert_eq!(
            history.points[0],
            json!({"fold": 0, "epoch": 1, "train_loss": 0.0, "validation_loss": null, "accuracy": 0.0})
        );
        assert!(history.add(&status(RUNNING, 0, 0)));
        assert!(history.points.is_empty());
    }
}
