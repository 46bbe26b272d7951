//! A camera and its frames.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use r2r::std_msgs::msg::Header;
use tokio::sync::mpsc;

use crate::decision::StaleCause;
use crate::frame::Frame;
use crate::node::params::MAX_ENTRIES;
use crate::node::pipeline::stamp_gaps::StampGaps;
use crate::node::ros::image_topic::ImageTopic;
use crate::sync::lock;

/// A decoded frame with the header of its message.
pub(crate) struct CameraFrame {
    pub(crate) header: Header,
    pub(crate) frame: Frame,
    pub(crate) arrival: Arrival,
}

/// When a message was received.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) steady: Instant,
    /// ROS time since the epoch.
    pub(crate) ros: Duration,
}

/// Indices of cameras are below this. All cameras can be replaced at once, the new ones before the old ones are removed.
pub(crate) const MAX_CAMERAS: usize = 2 * MAX_ENTRIES;

/// The cameras of the node, in the order of the parameter `cameras`.
#[derive(Default)]
pub(crate) struct Cameras(Mutex<Vec<Arc<Camera>>>);

/// Names, counters and capture of one camera, shared by all parts of the node.
pub(crate) struct Camera {
    /// No other camera of the node has this index.
    pub(crate) index: usize,
    /// As in the parameter `cameras`; empty for the only camera of a node without that parameter.
    pub(crate) name: String,
    /// The image topic's full name, after remapping.
    pub(crate) topic: String,
    /// The image topic's name for a subscription, to which rcl applies the remapping rules.
    pub(crate) requested_topic: String,
    /// The gesture topic's full name, after remapping.
    pub(crate) gesture_topic: String,
    pub(crate) counters: Counters,
    pub(crate) stamp_gaps: StampGaps,
    pub(crate) freshness: Freshness,
    pub(crate) capture: CaptureSink,
}

/// Whether the last frame was stale.
#[derive(Default)]
pub(crate) struct Freshness(Mutex<Option<StaleEpisode>>);

/// Successive stale frames.
#[derive(Clone, Copy)]
pub(crate) struct StaleEpisode {
    /// That of the last frame.
    pub(crate) cause: StaleCause,
    pub(crate) since: Instant,
}

/// Counts of a camera's messages and frames since the node started.
#[derive(Default)]
pub(crate) struct Counters {
    /// Messages received.
    pub(crate) received: Counter,
    /// Messages without a valid image.
    pub(crate) bad: Counter,
    /// Messages that a newer one replaced before they were decoded.
    pub(crate) not_decoded: Counter,
    /// Frames that a newer one replaced while the classifier was busy.
    pub(crate) not_classified: Counter,
    pub(crate) classified: Counter,
    /// Frames for which the runtime failed, or the model returned NaN or infinite values.
    pub(crate) failed: Counter,
    /// Frames that do not continue the stream of the previous ones.
    pub(crate) jumps: Counter,
    last_age_ns: AtomicU64,
}

#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

/// Passes frames to the running capture, if there is one.
#[derive(Default)]
pub(crate) struct CaptureSink(Mutex<Option<CaptureChannel>>);

struct CaptureChannel {
    camera_index: usize,
    sender: mpsc::Sender<CapturedFrame>,
}

/// A frame, and the index of its camera among the cameras of the capture.
pub(crate) type CapturedFrame = (usize, Arc<CameraFrame>);

/// The gesture topic of a camera with this name, beside its images; relative to the namespace of the node unless the name is absolute.
pub(crate) fn gesture_topic(camera: &str) -> String {
    match camera {
        "" => "thumb_gesture".to_owned(),
        name => format!("{name}/thumb_gesture"),
    }
}

impl Cameras {
    pub(crate) fn all(&self) -> Vec<Arc<Camera>> {
        lock(&self.0).clone()
    }

    pub(crate) fn set(&self, cameras: Vec<Arc<Camera>>) {
        *lock(&self.0) = cameras;
    }
}

impl Camera {
    /// A camera without frames yet.
    pub(crate) fn new(index: usize, name: String, topic: ImageTopic, gesture_topic: String) -> Camera {
        Camera {
            index,
            name,
            topic: topic.full_name,
            requested_topic: topic.name,
            gesture_topic,
            counters: Counters::default(),
            stamp_gaps: StampGaps::default(),
            freshness: Freshness::default(),
            capture: CaptureSink::default(),
        }
    }

    /// The base topic of a camera's images, relative to the node's namespace. A camera without a name is called `camera`.
    pub(crate) fn image_topic(name: &str) -> String {
        let namespace = if name.is_empty() { "camera" } else { name };
        format!("{namespace}/image_raw")
    }

    /// The base topic of the overlay.
    pub(crate) fn overlay_topic(&self) -> String {
        self.topic_below_node("overlay")
    }

    pub(crate) fn classification_topic(&self) -> String {
        self.topic_below_node("classification")
    }

    fn topic_below_node(&self, topic: &str) -> String {
        match self.name.trim_start_matches('/') {
            "" => format!("~/{topic}"),
            name => format!("~/{name}/{topic}"),
        }
    }
}

impl Counters {
    /// The age of the last gesture when it was published.
    pub(crate) fn last_age(&self) -> Duration {
        Duration::from_nanos(self.last_age_ns.load(Ordering::Relaxed))
    }

    pub(crate) fn set_last_age(&self, age: Duration) {
        let age_ns = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        self.last_age_ns.store(age_ns, Ordering::Relaxed);
    }
}

impl Freshness {
    /// The current episode; `None` while frames are fresh.
    pub(crate) fn stale_episode(&self) -> Option<StaleEpisode> {
        *lock(&self.0)
    }

    /// Sets why the last frame is stale, or that it is fresh; returns whether an episode begins.
    pub(super) fn set(&self, cause: Option<StaleCause>) -> bool {
        let mut episode = lock(&self.0);
        let was_stale = episode.is_some();
        *episode = cause.map(|cause| StaleEpisode {
            cause,
            since: episode.map_or_else(Instant::now, |episode| episode.since),
        });
        episode.is_some() && !was_stale
    }
}

impl Counter {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl CaptureSink {
    /// Sends frames to this capture from now on, instead of an earlier one.
    pub(crate) fn open(&self, camera_index: usize, sender: mpsc::Sender<CapturedFrame>) {
        *lock(&self.0) = Some(CaptureChannel { camera_index, sender });
    }

    pub(crate) fn close(&self) {
        *lock(&self.0) = None;
    }

    /// Sends a frame to the capture. Never blocks: a capture that cannot keep up, with a slow disk, misses frames.
    pub(crate) fn send(&self, frame: &Arc<CameraFrame>) {
        if let Some(channel) = &*lock(&self.0) {
            let frame = (channel.camera_index, frame.clone());
            // The channel is full, or its capture has ended.
            channel.sender.try_send(frame).ok();
        }
    }
}
