//! `/diagnostics` once a second: is the camera alive, is there a model, what was lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus, KeyValue};

use super::camera::CameraCounters;
use super::classify::{ClassifyStatus, Inbox};
use super::handle::{NodeHandle, Topic, lock};
use super::params::Params;
use super::retrain::Retraining;

// The levels of `DiagnosticStatus.msg`.
const OK: u8 = 0;
const WARN: u8 = 1;
const ERROR: u8 = 2;

const PERIOD: Duration = Duration::from_secs(1);

/// Watches the node and reports.
pub struct Diagnostics {
    /// The node.
    pub handle: NodeHandle,
    /// The node's full name, which the status goes by.
    pub name: String,
    /// The camera's topic, for messages.
    pub camera_topic: String,
    /// What came in.
    pub camera: Arc<CameraCounters>,
    /// What waited.
    pub inbox: Arc<Inbox>,
    /// What went out.
    pub classify: Arc<ClassifyStatus>,
    /// The training.
    pub retraining: Arc<Retraining>,
    /// For the timeout.
    pub params: Arc<Mutex<Params>>,
    /// `/diagnostics`.
    pub diagnostics: Topic<DiagnosticArray>,
}

/// The counts of one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    received: u64,
    bad: u64,
    dropped: u64,
    classified: u64,
    failed: u64,
}

impl Diagnostics {
    /// Reports until the node ends.
    pub async fn run(self) {
        let mut ticks = tokio::time::interval(PERIOD);
        let mut before = (self.counts(), Instant::now());
        let mut last_frame = Instant::now();
        loop {
            ticks.tick().await;
            let now = (self.counts(), Instant::now());
            if now.0.received > before.0.received {
                last_frame = now.1;
            }
            let is_stalled = now.0.received > 0 && last_frame.elapsed() > self.stale_timeout();
            let status = self.status(before.0, now.0, now.1 - before.1, is_stalled);
            before = now;
            let mut array = DiagnosticArray {
                status: vec![status],
                ..DiagnosticArray::default()
            };
            array.header.stamp = self.handle.stamp();
            self.diagnostics.publish(&array);
        }
    }

    /// How long without a frame the camera has stalled; the counts are looked at once a period.
    fn stale_timeout(&self) -> Duration {
        lock(&self.params).span("stale_timeout").max(PERIOD / 2)
    }

    fn counts(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            received: get(&self.camera.received),
            bad: get(&self.camera.bad),
            dropped: get(&self.camera.dropped) + get(&self.inbox.dropped),
            classified: get(&self.classify.classified),
            failed: get(&self.classify.failed),
        }
    }

    fn status(&self, before: Counts, now: Counts, period: Duration, is_stalled: bool) -> DiagnosticStatus {
        let model = self.classify.model();
        let (level, message) = judge(before, now, model.is_some(), is_stalled, &self.camera_topic);
        let (model_id, backend) = model.unwrap_or_default();
        let rate = |after: u64, before: u64| format!("{:.1}", (after - before) as f64 / period.as_secs_f64());
        let values = [
            ("camera topic", self.camera_topic.clone()),
            ("frames per second", rate(now.received, before.received)),
            ("gestures per second", rate(now.classified, before.classified)),
            ("frames received", now.received.to_string()),
            ("frames classified", now.classified.to_string()),
            (
                "frames dropped, overtaken by a newer one",
                now.dropped.to_string(),
            ),
            ("frames bad", now.bad.to_string()),
            ("frames failed in the runtime", now.failed.to_string()),
            (
                "age of the last gesture, s",
                format!("{:.3}", self.classify.age().as_secs_f64()),
            ),
            ("model", model_id),
            ("backend", backend),
            (
                "training",
                if self.retraining.is_running() {
                    "running"
                } else {
                    "none"
                }
                .to_owned(),
            ),
        ];
        let value = |(key, value): (&str, String)| KeyValue {
            key: key.to_owned(),
            value,
        };
        DiagnosticStatus {
            level,
            name: format!("{}: gesture", self.name),
            message,
            hardware_id: String::new(),
            values: values.into_iter().map(value).collect(),
        }
    }
}

/// The level, and the one thing that most needs saying.
fn judge(before: Counts, now: Counts, has_model: bool, is_stalled: bool, topic: &str) -> (u8, String) {
    if now.failed > before.failed {
        return (ERROR, "the runtime fails on frames: see the log".to_owned());
    }
    if is_stalled {
        return (ERROR, format!("camera stalled: no frame comes on {topic}"));
    }
    if now.received == 0 {
        return (WARN, format!("no frame has come yet on {topic}"));
    }
    if now.bad > before.bad {
        return (WARN, "bad frames come from the camera: see the log".to_owned());
    }
    if !has_model {
        return (
            WARN,
            "no model: capture frames of two labels or more, then retrain".to_owned(),
        );
    }
    (OK, "classifying".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: Counts = Counts {
        received: 30,
        bad: 1,
        dropped: 2,
        classified: 27,
        failed: 0,
    };
    const NOW: Counts = Counts {
        received: 60,
        classified: 57,
        ..BEFORE
    };

    fn level(now: Counts, has_model: bool, is_stalled: bool) -> u8 {
        judge(BEFORE, now, has_model, is_stalled, "/camera/image_raw").0
    }

    #[test]
    fn the_level_says_what_is_wrong() {
        assert_eq!(level(NOW, true, false), OK);
        assert_eq!(level(NOW, false, false), WARN);
        assert_eq!(level(Counts { bad: 5, ..NOW }, true, false), WARN);
        assert_eq!(level(NOW, true, true), ERROR);
        assert_eq!(level(Counts { failed: 1, ..NOW }, true, false), ERROR);
    }

    #[test]
    fn a_camera_that_never_was_is_named() {
        let (level, message) = judge(
            Counts::default(),
            Counts::default(),
            true,
            false,
            "/jetbot/camera/image_raw",
        );
        assert_eq!(level, WARN);
        assert!(message.contains("/jetbot/camera/image_raw"), "{message}");
    }
}
