//! `/diagnostics`, once a second, with one status per camera: whether fresh frames arrive, from one publisher, whether there is a model,
//! what was dropped.

mod publisher_watch;
mod summary;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus, KeyValue};

use crate::node::params::Params;
use crate::node::pipeline::camera::Camera;
use crate::node::pipeline::inbox::RunningModel;
use crate::node::pipeline::subscriptions::{Source, Subscriptions};
use crate::node::retrain::Retraining;
use crate::node::ros::context::NodeContext;
use crate::node::ros::ffi::middleware;
use crate::node::ros::topic::Topic;
use crate::node::state::{NodeState, State};
use crate::sync::lock;
use crate::text;
use publisher_watch::{PublisherProblems, PublisherWatch, TopicPublishers};
use summary::{Counts, Loss, Observation, Overload, summarize};

const PERIOD: Duration = Duration::from_secs(1);
/// Number of successive reports with a problem that is then no longer a single event, such as the start of a bag, or the load of a model.
const MANY_REPORTS: usize = 3;
/// Share of a camera's frames that do not arrive, from which on there is a warning.
const MIN_LOST_SHARE: f64 = 0.2;

/// Watches the node and publishes its diagnostics.
pub(crate) struct Diagnostics {
    pub(crate) context: NodeContext,
    pub(crate) subscriptions: Arc<Subscriptions>,
    pub(crate) state: NodeState,
    /// Full name without the leading slash, the first part of each status' name.
    pub(crate) node_name: String,
    pub(crate) model: RunningModel,
    pub(crate) retraining: Arc<Retraining>,
    pub(crate) params: Arc<Mutex<Params>>,
    /// `/diagnostics`.
    pub(crate) topic: Topic<DiagnosticArray>,
}

/// A camera, and its state at the last report.
struct CameraMonitor {
    camera: Arc<Camera>,
    previous: Counts,
    last_frame: Instant,
    publishers: PublisherWatch,
    /// Number of successive reports, up to the last one, before each of which the clocks have jumped.
    reports_with_jumps: usize,
    /// The same for reports before which newer frames replaced more than half of the frames.
    reports_with_overload: usize,
    /// The same for reports at which frames of the camera were lost.
    reports_with_loss: usize,
}

impl Diagnostics {
    /// Publishes until the node ends.
    pub(crate) async fn run(self) {
        let mut ticks = tokio::time::interval(PERIOD);
        let mut monitors: Vec<CameraMonitor> = Vec::new();
        let mut previous = Instant::now();
        loop {
            ticks.tick().await;
            let sources = self.subscriptions.review().await;
            let now = Instant::now();
            monitors = sources
                .iter()
                .map(|source| monitor_of(&mut monitors, &source.camera))
                .collect();
            let cameras = monitors.iter_mut().zip(&sources);
            let statuses = cameras.map(|(monitor, source)| self.status(monitor, source, now - previous));
            let mut array = DiagnosticArray {
                status: statuses.collect(),
                ..DiagnosticArray::default()
            };
            previous = now;
            array.header.stamp = self.context.stamp();
            self.topic.publish(&array);
        }
    }

    /// The problems of the publishers on the camera's topics; logs new ones.
    fn check_publishers(&self, monitor: &mut CameraMonitor, source: &Source) -> PublisherProblems {
        let subscription = lock(&self.params).image_subscription();
        let CameraMonitor {
            camera, publishers, ..
        } = monitor;
        let images = TopicPublishers {
            topic: &camera.topic,
            publishers: &source.publishers,
        };
        let gestures = TopicPublishers {
            topic: &camera.gesture_topic,
            publishers: &source.gesture_publishers,
        };
        let (problems, warnings) = publishers.check(&subscription, images, gestures);
        for warning in warnings {
            self.context.warn(&warning);
        }
        problems
    }

    /// Time without a frame until the camera has stalled: at least half a period, since counters are read once per period.
    fn stale_timeout(&self) -> Duration {
        lock(&self.params).stale_timeout.max(PERIOD / 2)
    }

    fn status(&self, monitor: &mut CameraMonitor, source: &Source, elapsed: Duration) -> DiagnosticStatus {
        let publisher_problems = self.check_publishers(monitor, source);
        let state = self.state.get();
        let transport = lock(&self.params).image_transport;
        let lost_share = monitor.camera.stamp_gaps.lost_share();
        let (previous, current) = monitor.update(state, lost_share);
        let camera = &monitor.camera;
        let model = lock(&self.model).clone();
        let rate = |current: u64, previous: u64| (current - previous) as f64 / elapsed.as_secs_f64();
        let (level, message) = summarize(&Observation {
            previous,
            current,
            state,
            transition_failure: self.state.failure(),
            has_model: model.is_some(),
            is_stalled: current.received > 0 && monitor.last_frame.elapsed() > self.stale_timeout(),
            stale: camera.freshness.stale_episode(),
            publishers: publisher_problems,
            overload: (model.is_some() && monitor.reports_with_overload >= MANY_REPORTS).then(|| Overload {
                received: rate(current.received, previous.received),
                classified: rate(current.classified, previous.classified),
                age: camera.counters.last_age(),
                stale_timeout: lock(&self.params).stale_timeout,
            }),
            loss: lost_share
                .filter(|_| monitor.reports_with_loss >= MANY_REPORTS)
                .map(|share| Loss {
                    share,
                    middleware: middleware(),
                    is_reliable: source.qos.is_reliable,
                    transport,
                }),
            jumps_persist: monitor.reports_with_jumps >= MANY_REPORTS,
            lacks_ros_time: lock(&self.params).use_sim_time && self.context.now().is_zero(),
            topic: &camera.topic,
        });
        let threshold = model.as_ref().map(|model| format!("{:.2}", model.threshold));
        let model = model.unwrap_or_default();
        let (reliability, durability) = source.qos.names();
        let is_training = self.retraining.is_running();
        let values = [
            ("state", state.to_string()),
            ("camera topic", camera.topic.clone()),
            ("gesture topic", camera.gesture_topic.clone()),
            ("publishers on it", source.publishers.len().to_string()),
            ("transport", transport.to_string()),
            ("reliability", reliability.to_string()),
            ("durability", durability.to_string()),
            (
                "frames per second",
                format!("{:.1}", rate(current.received, previous.received)),
            ),
            (
                "gestures per second",
                format!("{:.1}", rate(current.classified, previous.classified)),
            ),
            (
                "share of the last frames that did not arrive, by their stamps",
                lost_share.map(|share| format!("{share:.2}")).unwrap_or_default(),
            ),
            ("frames received", current.received.to_string()),
            ("frames classified", current.classified.to_string()),
            ("frames dropped before decoding", current.not_decoded.to_string()),
            (
                "frames dropped before classification",
                current.not_classified.to_string(),
            ),
            ("bad frames", current.bad.to_string()),
            ("frames failed in the runtime", current.failed.to_string()),
            ("clock jumps", current.jumps.to_string()),
            (
                "age of the last gesture, s",
                format!("{:.3}", camera.counters.last_age().as_secs_f64()),
            ),
            ("model", model.id),
            ("backend", model.backend),
            ("threshold in effect", threshold.unwrap_or_default()),
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
            message: text::message(&message),
            hardware_id: String::new(),
            values: values.into_iter().map(value).collect(),
        }
    }
}

/// The monitor of a camera, taken from `monitors` if it has one already.
fn monitor_of(monitors: &mut Vec<CameraMonitor>, camera: &Arc<Camera>) -> CameraMonitor {
    let known = monitors
        .iter()
        .position(|monitor| Arc::ptr_eq(&monitor.camera, camera));
    known.map_or_else(
        || CameraMonitor::new(camera.clone()),
        |place| monitors.swap_remove(place),
    )
}

impl CameraMonitor {
    fn new(camera: Arc<Camera>) -> CameraMonitor {
        CameraMonitor {
            camera,
            previous: Counts::default(),
            last_frame: Instant::now(),
            publishers: PublisherWatch::default(),
            reports_with_jumps: 0,
            reports_with_overload: 0,
            reports_with_loss: 0,
        }
    }

    /// Reads the counters; returns the previous and the current ones. A camera does not stall while the node is not active.
    fn update(&mut self, state: State, lost_share: Option<f64>) -> (Counts, Counts) {
        let counters = &self.camera.counters;
        let current = Counts {
            received: counters.received.get(),
            bad: counters.bad.get(),
            not_decoded: counters.not_decoded.get(),
            not_classified: counters.not_classified.get(),
            classified: counters.classified.get(),
            failed: counters.failed.get(),
            jumps: counters.jumps.get(),
        };
        let previous = std::mem::replace(&mut self.previous, current);
        if current.received > previous.received || state != State::Active {
            self.last_frame = Instant::now();
        }
        let count = |reports: &mut usize, has_problem: bool| {
            *reports = if has_problem { *reports + 1 } else { 0 };
        };
        count(&mut self.reports_with_jumps, current.jumps > previous.jumps);
        count(
            &mut self.reports_with_overload,
            state == State::Active && current.is_overloaded(&previous),
        );
        count(
            &mut self.reports_with_loss,
            current.received > previous.received && lost_share.is_some_and(|share| share >= MIN_LOST_SHARE),
        );
        (previous, current)
    }
}
