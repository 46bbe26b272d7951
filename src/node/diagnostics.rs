//! `/diagnostics` once a second, a status for each camera: is it alive, is there a model, what was lost.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus, KeyValue};

use crate::node::params::declarations::Params;
use crate::node::pipeline::camera::Camera;
use crate::node::pipeline::inbox::RunningModel;
use crate::node::retrain::Retraining;
use crate::node::ros::context::{NodeContext, Topic, lock};
use crate::node::ros::executor::Door;
use crate::node::ros::qos::{Asked, Publisher, publishers};
use crate::node::state::{NodeState, State};

// The levels of `DiagnosticStatus.msg`.
const OK: u8 = 0;
const WARN: u8 = 1;
const ERROR: u8 = 2;

const PERIOD: Duration = Duration::from_secs(1);

/// Watches the node and reports.
pub struct Diagnostics {
    /// The node.
    pub handle: NodeContext,
    /// The way to it.
    pub door: Door,
    /// Its state.
    pub state: NodeState,
    /// The node's full name, which the status goes by.
    pub name: String,
    /// What became of their frames.
    pub cameras: Vec<Arc<Camera>>,
    /// The model that classifies.
    pub model: RunningModel,
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

/// A camera since the last report.
struct Watch {
    camera: Arc<Camera>,
    before: Counts,
    last_frame: Instant,
    /// Those from whom nothing comes, and about whom the log has been told.
    deaf_to: HashSet<Publisher>,
}

/// What there is to classify a camera by.
struct Finding<'a> {
    before: Counts,
    now: Counts,
    state: State,
    /// Why the last transition was not made.
    failure: Option<String>,
    has_model: bool,
    is_stalled: bool,
    /// Why nothing comes from one who publishes on the topic.
    obstacle: Option<String>,
    topic: &'a str,
}

impl Diagnostics {
    /// Reports until the node ends.
    pub async fn run(self) {
        let mut ticks = tokio::time::interval(PERIOD);
        let mut watches: Vec<Watch> = self.cameras.iter().cloned().map(Watch::new).collect();
        let mut before = Instant::now();
        loop {
            ticks.tick().await;
            let publishers = self.publishers().await;
            let now = Instant::now();
            let statuses = watches
                .iter_mut()
                .zip(&publishers)
                .map(|(watch, publishers)| self.status(watch, publishers, now - before));
            let mut array = DiagnosticArray {
                status: statuses.collect(),
                ..DiagnosticArray::default()
            };
            before = now;
            array.header.stamp = self.handle.stamp();
            self.diagnostics.publish(&array);
        }
    }

    /// Those who publish on each camera's topic.
    async fn publishers(&self) -> Vec<Vec<Publisher>> {
        let topics: Vec<String> = self.cameras.iter().map(|camera| camera.topic.clone()).collect();
        let look = move |node: &mut r2r::Node| topics.iter().map(|topic| publishers(node, topic)).collect();
        self.door.with(look).await.unwrap_or_default()
    }

    /// Why nothing comes from one who publishes on the camera's topic; the log is told once of each.
    fn obstacle(&self, watch: &mut Watch, publishers: &[Publisher]) -> Option<String> {
        let asked = Asked::new(&lock(&self.params));
        let obstacles = publishers
            .iter()
            .filter_map(|one| Some((one, asked.obstacle(one)?)));
        let obstacles: Vec<(&Publisher, String)> = obstacles.collect();
        watch.deaf_to.retain(|deaf_to| publishers.contains(deaf_to));
        for (publisher, obstacle) in &obstacles {
            if watch.deaf_to.insert((*publisher).clone()) {
                let topic = &watch.camera.topic;
                self.handle.warn(&format!("not heard on {topic}: {obstacle}"));
            }
        }
        obstacles.into_iter().next().map(|(_, obstacle)| obstacle)
    }

    /// How long without a frame the camera has stalled; the counts are looked at once a period.
    fn stale_timeout(&self) -> Duration {
        lock(&self.params).span("stale_timeout").max(PERIOD / 2)
    }

    fn status(&self, watch: &mut Watch, publishers: &[Publisher], period: Duration) -> DiagnosticStatus {
        let obstacle = self.obstacle(watch, publishers);
        let state = self.state.get();
        let (before, now) = watch.look(state);
        let camera = &watch.camera;
        let model = lock(&self.model).clone();
        let (level, message) = classify(&Finding {
            before,
            now,
            state,
            failure: self.state.failure(),
            has_model: model.is_some(),
            is_stalled: now.received > 0 && watch.last_frame.elapsed() > self.stale_timeout(),
            obstacle,
            topic: &camera.topic,
        });
        let (model_id, backend) = model.unwrap_or_default();
        let rate = |after: u64, before: u64| format!("{:.1}", (after - before) as f64 / period.as_secs_f64());
        let training = match self.retraining.is_running() {
            true => "running",
            false => "none",
        };
        let values = [
            ("state", state.to_string()),
            ("camera topic", camera.topic.clone()),
            ("publishers on it", publishers.len().to_string()),
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
                format!("{:.3}", camera.counters.last_age().as_secs_f64()),
            ),
            ("model", model_id),
            ("backend", backend),
            ("training", training.to_owned()),
        ];
        let value = |(key, value): (&str, String)| KeyValue {
            key: key.to_owned(),
            value,
        };
        let name = format!("{}: gesture {}", self.name, camera.name);
        DiagnosticStatus {
            level,
            name: name.trim_end().to_owned(),
            message,
            hardware_id: String::new(),
            values: values.into_iter().map(value).collect(),
        }
    }
}

impl Watch {
    fn new(camera: Arc<Camera>) -> Watch {
        Watch {
            camera,
            before: Counts::default(),
            last_frame: Instant::now(),
            deaf_to: HashSet::new(),
        }
    }

    /// The counts as they were and as they are. While the node is not active, none is missed.
    fn look(&mut self, state: State) -> (Counts, Counts) {
        let counters = &self.camera.counters;
        let now = Counts {
            received: counters.received.get(),
            bad: counters.bad.get(),
            dropped: counters.dropped.get(),
            classified: counters.classified.get(),
            failed: counters.failed.get(),
        };
        let before = std::mem::replace(&mut self.before, now);
        if now.received > before.received || state != State::Active {
            self.last_frame = Instant::now();
        }
        (before, now)
    }
}

/// The level, and the one thing that most needs saying.
fn classify(finding: &Finding) -> (u8, String) {
    let (before, now, topic) = (finding.before, finding.now, finding.topic);
    if let Some(failure) = &finding.failure {
        return (ERROR, format!("{}: {failure}", finding.state));
    }
    if finding.state != State::Active {
        return (
            OK,
            format!("{}: no frame is taken until it is active", finding.state),
        );
    }
    if now.failed > before.failed {
        return (ERROR, "the runtime fails on frames: see the log".to_owned());
    }
    if finding.is_stalled {
        let why = finding
            .obstacle
            .as_ref()
            .map_or(String::new(), |obstacle| format!(" ({obstacle})"));
        return (ERROR, format!("camera stalled: no frame comes on {topic}{why}"));
    }
    if let Some(obstacle) = &finding.obstacle {
        return (WARN, format!("not heard on {topic}: {obstacle}"));
    }
    if now.received == 0 {
        return (WARN, format!("no frame has come yet on {topic}"));
    }
    if now.bad > before.bad {
        return (WARN, "bad frames come from the camera: see the log".to_owned());
    }
    if !finding.has_model {
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

    const ALL_IS_WELL: Finding = Finding {
        before: BEFORE,
        now: NOW,
        state: State::Active,
        failure: None,
        has_model: true,
        is_stalled: false,
        obstacle: None,
        topic: "/jetbot/camera/image_raw",
    };

    fn level(now: Counts, has_model: bool, is_stalled: bool) -> u8 {
        classify(&Finding {
            now,
            has_model,
            is_stalled,
            ..ALL_IS_WELL
        })
        .0
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
    fn a_camera_that_never_was_is_named_and_one_that_is_not_heard() {
        let (level, message) = classify(&Finding {
            before: Counts::default(),
            now: Counts::default(),
            ..ALL_IS_WELL
        });
        assert_eq!(level, WARN);
        assert!(message.contains("/jetbot/camera/image_raw"), "{message}");
        let (level, message) = classify(&Finding {
            obstacle: Some("the camera publishes best effort".to_owned()),
            ..ALL_IS_WELL
        });
        assert_eq!(level, WARN);
        assert!(message.contains("best effort"), "{message}");
    }

    #[test]
    fn a_transition_that_was_not_made_is_an_error() {
        let (level, message) = classify(&Finding {
            state: State::Unconfigured,
            failure: Some("configuring failed: no such model".to_owned()),
            ..ALL_IS_WELL
        });
        assert_eq!(level, ERROR);
        assert!(message.contains("no such model"), "{message}");
    }

    #[test]
    fn a_node_that_rests_misses_nothing() {
        let (level, message) = classify(&Finding {
            state: State::Inactive,
            has_model: false,
            is_stalled: true,
            ..ALL_IS_WELL
        });
        assert_eq!(level, OK);
        assert!(message.contains("inactive"), "{message}");
    }
}
