//! `/diagnostics`, once a second, with one status per camera: whether frames arrive, whether there is a model, what was dropped.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus, KeyValue};

use crate::node::params::Params;
use crate::node::pipeline::camera::Camera;
use crate::node::pipeline::inbox::RunningModel;
use crate::node::retrain::Retraining;
use crate::node::ros::context::NodeContext;
use crate::node::ros::executor::ExecutorHandle;
use crate::node::ros::qos::{RemotePublisher, publishers};
use crate::node::ros::topic::Topic;
use crate::node::state::{NodeState, State};
use crate::sync::lock;

// The levels of `DiagnosticStatus.msg`.
const OK: u8 = 0;
const WARN: u8 = 1;
const ERROR: u8 = 2;

const PERIOD: Duration = Duration::from_secs(1);

/// Watches the node and publishes its diagnostics.
pub(crate) struct Diagnostics {
    pub(crate) context: NodeContext,
    pub(crate) executor: ExecutorHandle,
    pub(crate) state: NodeState,
    /// Full name without the leading slash, the first part of each status' name.
    pub(crate) node_name: String,
    pub(crate) cameras: Vec<Arc<Camera>>,
    pub(crate) model: RunningModel,
    pub(crate) retraining: Arc<Retraining>,
    pub(crate) params: Arc<Mutex<Params>>,
    /// `/diagnostics`.
    pub(crate) topic: Topic<DiagnosticArray>,
}

/// A camera's counters at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    received: u64,
    bad: u64,
    dropped: u64,
    classified: u64,
    failed: u64,
}

/// A camera, and its state at the last report.
struct CameraMonitor {
    camera: Arc<Camera>,
    previous: Counts,
    last_frame: Instant,
    /// Publishers with an incompatible QoS or type that were already logged.
    incompatible: HashSet<RemotePublisher>,
}

/// The input of [`summarize`].
struct Observation<'a> {
    previous: Counts,
    current: Counts,
    state: State,
    /// Why the last transition failed.
    transition_failure: Option<String>,
    has_model: bool,
    is_stalled: bool,
    /// Why the messages of a publisher on the topic are not received.
    mismatch: Option<String>,
    topic: &'a str,
}

impl Diagnostics {
    /// Publishes until the node ends.
    pub(crate) async fn run(self) {
        let mut ticks = tokio::time::interval(PERIOD);
        let mut monitors: Vec<CameraMonitor> = self.cameras.iter().cloned().map(CameraMonitor::new).collect();
        let mut previous = Instant::now();
        loop {
            ticks.tick().await;
            let publishers = self.publishers().await;
            let now = Instant::now();
            let statuses = monitors
                .iter_mut()
                .zip(&publishers)
                .map(|(monitor, publishers)| self.status(monitor, publishers, now - previous));
            let mut array = DiagnosticArray {
                status: statuses.collect(),
                ..DiagnosticArray::default()
            };
            previous = now;
            array.header.stamp = self.context.stamp();
            self.topic.publish(&array);
        }
    }

    /// The publishers on each camera's topic.
    async fn publishers(&self) -> Vec<Vec<RemotePublisher>> {
        let topics: Vec<String> = self.cameras.iter().map(|camera| camera.topic.clone()).collect();
        let discover =
            move |node: &mut r2r::Node| topics.iter().map(|topic| publishers(node, topic)).collect();
        self.executor.run_on_node(discover).await.unwrap_or_default()
    }

    /// The first mismatch between the subscription and a publisher on the camera's topic; logs each new one.
    fn find_mismatch(&self, monitor: &mut CameraMonitor, publishers: &[RemotePublisher]) -> Option<String> {
        let subscription = lock(&self.params).image_subscription();
        monitor
            .incompatible
            .retain(|publisher| publishers.contains(publisher));
        let mut first = None;
        for publisher in publishers {
            let Some(mismatch) = subscription.mismatch(publisher) else {
                continue;
            };
            if monitor.incompatible.insert(publisher.clone()) {
                let topic = &monitor.camera.topic;
                self.context
                    .warn(&format!("incompatible publisher on {topic}: {mismatch}"));
            }
            first = first.or(Some(mismatch));
        }
        first
    }

    /// Time without a frame until the camera has stalled: at least half a period, since counters are read once per period.
    fn stale_timeout(&self) -> Duration {
        lock(&self.params).stale_timeout.max(PERIOD / 2)
    }

    fn status(
        &self,
        monitor: &mut CameraMonitor,
        publishers: &[RemotePublisher],
        elapsed: Duration,
    ) -> DiagnosticStatus {
        let mismatch = self.find_mismatch(monitor, publishers);
        let state = self.state.get();
        let (previous, current) = monitor.update(state);
        let camera = &monitor.camera;
        let model = lock(&self.model).clone();
        let (level, message) = summarize(&Observation {
            previous,
            current,
            state,
            transition_failure: self.state.failure(),
            has_model: model.is_some(),
            is_stalled: current.received > 0 && monitor.last_frame.elapsed() > self.stale_timeout(),
            mismatch,
            topic: &camera.topic,
        });
        let (model_id, backend) = model.unwrap_or_default();
        let rate = |current: u64, previous: u64| {
            format!("{:.1}", (current - previous) as f64 / elapsed.as_secs_f64())
        };
        let is_training = self.retraining.is_running();
        let values = [
            ("state", state.to_string()),
            ("camera topic", camera.topic.clone()),
            ("publishers on it", publishers.len().to_string()),
            ("frames per second", rate(current.received, previous.received)),
            (
                "gestures per second",
                rate(current.classified, previous.classified),
            ),
            ("frames received", current.received.to_string()),
            ("frames classified", current.classified.to_string()),
            ("frames dropped", current.dropped.to_string()),
            ("bad frames", current.bad.to_string()),
            ("frames failed in the runtime", current.failed.to_string()),
            (
                "age of the last gesture, s",
                format!("{:.3}", camera.counters.last_age().as_secs_f64()),
            ),
            ("model", model_id),
            ("backend", backend),
            (
                "training",
                if is_training { "running" } else { "none" }.to_owned(),
            ),
        ];
        let value = |(key, value): (&str, String)| KeyValue {
            key: key.to_owned(),
            value,
        };
        let name = format!("{}: gesture {}", self.node_name, camera.name);
        DiagnosticStatus {
            level,
            name: name.trim_end().to_owned(),
            message,
            hardware_id: String::new(),
            values: values.into_iter().map(value).collect(),
        }
    }
}

impl CameraMonitor {
    fn new(camera: Arc<Camera>) -> CameraMonitor {
        CameraMonitor {
            camera,
            previous: Counts::default(),
            last_frame: Instant::now(),
            incompatible: HashSet::new(),
        }
    }

    /// Reads the counters; returns the previous and the current ones. A camera does not stall while the node is not active.
    fn update(&mut self, state: State) -> (Counts, Counts) {
        let counters = &self.camera.counters;
        let current = Counts {
            received: counters.received.get(),
            bad: counters.bad.get(),
            dropped: counters.dropped.get(),
            classified: counters.classified.get(),
            failed: counters.failed.get(),
        };
        let previous = std::mem::replace(&mut self.previous, current);
        if current.received > previous.received || state != State::Active {
            self.last_frame = Instant::now();
        }
        (previous, current)
    }
}

/// The level and the message of a status: the first problem in order of severity, or that there is none.
fn summarize(observation: &Observation) -> (u8, String) {
    let Observation {
        previous,
        current,
        state,
        topic,
        ..
    } = observation;
    if let Some(failure) = &observation.transition_failure {
        return (ERROR, format!("{state}: {failure}"));
    }
    if *state != State::Active {
        return (
            OK,
            format!("{state}: frames are received when the node is active"),
        );
    }
    if current.failed > previous.failed {
        return (
            ERROR,
            "the runtime fails to classify frames; see the log".to_owned(),
        );
    }
    if observation.is_stalled {
        let cause = match &observation.mismatch {
            Some(mismatch) => format!(" ({mismatch})"),
            None => String::new(),
        };
        return (ERROR, format!("camera stalled: no new frame on {topic}{cause}"));
    }
    if let Some(mismatch) = &observation.mismatch {
        return (WARN, format!("incompatible publisher on {topic}: {mismatch}"));
    }
    if current.received == 0 {
        return (WARN, format!("no frame received yet on {topic}"));
    }
    if current.bad > previous.bad {
        return (WARN, "the camera publishes bad frames; see the log".to_owned());
    }
    if !observation.has_model {
        return (
            WARN,
            "no model; capture frames of at least two labels, then retrain".to_owned(),
        );
    }
    (OK, "classifying".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREVIOUS: Counts = Counts {
        received: 30,
        bad: 1,
        dropped: 2,
        classified: 27,
        failed: 0,
    };
    const CURRENT: Counts = Counts {
        received: 60,
        classified: 57,
        ..PREVIOUS
    };

    const HEALTHY: Observation = Observation {
        previous: PREVIOUS,
        current: CURRENT,
        state: State::Active,
        transition_failure: None,
        has_model: true,
        is_stalled: false,
        mismatch: None,
        topic: "/jetbot/camera/image_raw",
    };

    fn level(current: Counts, has_model: bool, is_stalled: bool) -> u8 {
        summarize(&Observation {
            current,
            has_model,
            is_stalled,
            ..HEALTHY
        })
        .0
    }

    #[test]
    fn level_depends_on_model_frames_and_failures() {
        assert_eq!(level(CURRENT, true, false), OK);
        assert_eq!(level(CURRENT, false, false), WARN);
        assert_eq!(level(Counts { bad: 5, ..CURRENT }, true, false), WARN);
        assert_eq!(level(CURRENT, true, true), ERROR);
        assert_eq!(level(Counts { failed: 1, ..CURRENT }, true, false), ERROR);
    }

    #[test]
    fn missing_frames_and_incompatible_publishers_are_warnings() {
        let (level, message) = summarize(&Observation {
            previous: Counts::default(),
            current: Counts::default(),
            ..HEALTHY
        });
        assert_eq!(level, WARN);
        assert!(message.contains("/jetbot/camera/image_raw"), "{message}");
        let (level, message) = summarize(&Observation {
            mismatch: Some("the camera publishes with reliability best_effort".to_owned()),
            ..HEALTHY
        });
        assert_eq!(level, WARN);
        assert!(message.contains("best_effort"), "{message}");
    }

    #[test]
    fn failed_transition_is_an_error() {
        let (level, message) = summarize(&Observation {
            state: State::Unconfigured,
            transition_failure: Some("configuring failed: no such model".to_owned()),
            ..HEALTHY
        });
        assert_eq!(level, ERROR);
        assert!(message.contains("no such model"), "{message}");
    }

    #[test]
    fn inactive_node_without_frames_is_ok() {
        let (level, message) = summarize(&Observation {
            state: State::Inactive,
            has_model: false,
            is_stalled: true,
            ..HEALTHY
        });
        assert_eq!(level, OK);
        assert!(message.contains("inactive"), "{message}");
    }
}
