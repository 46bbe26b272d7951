//! The cameras that the gesture node reads, and their newest pictures and gestures. They are subscribed to only while somebody looks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::{FutureExt, Stream, StreamExt};
use r2r::thumb_gesture::msg::ThumbGesture;
use r2r::{Node, QosProfile};
use serde_json::{Map, Value, json};
use thumb_gesture::node::subscribe_to_images;
use thumb_gesture::sync::lock;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};

use crate::board::Board;
use crate::json;
use crate::picture::{Picture, PictureMessage};

/// Time after the last request for a picture of a camera until its subscription ends.
const INTEREST: Duration = Duration::from_secs(10);
/// How much of the past is kept, for gestures that were wrong: somebody has to say what would have been right.
const MEMORY: Duration = Duration::from_secs(15);
/// Maximum length of the pictures of a camera that are kept.
const MEMORY_BYTES: usize = 64 << 20;
/// How much of the past belongs to a gesture.
const GESTURE: Duration = Duration::from_secs(2);
/// Minimum time between two of these pictures, which look alike, and take 6 MB each from a large camera.
const MEMORY_INTERVAL: Duration = Duration::from_millis(200);

/// How the gesture node subscribes to images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ImageQos {
    pub(crate) is_compressed: bool,
    pub(crate) is_reliable: bool,
    pub(crate) is_transient_local: bool,
}

/// All cameras by name, which is empty for the only one of a node.
pub(crate) struct Cameras {
    board: Arc<Board>,
    cameras: Mutex<BTreeMap<String, Camera>>,
    sequence: AtomicU64,
    /// A camera is wanted that was not before.
    pub(crate) wanted: Notify,
}

#[derive(Default)]
struct Camera {
    source: CameraSource,
    /// When a viewer wanted a picture last.
    wanted: Option<Instant>,
    subscription: Option<Subscription>,
    newest: Option<Arc<Picture>>,
    recent: VecDeque<Arc<Picture>>,
    gesture: Option<(Instant, Value)>,
}

/// Ends the subscriptions when it is dropped.
struct Subscription {
    source: CameraSource,
    tasks: [AbortHandle; 2],
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// A camera of the node, and how it is subscribed to.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct CameraSource {
    pub(crate) name: String,
    /// Full name of the topic of its images.
    pub(crate) topic: String,
    pub(crate) qos: ImageQos,
    /// The same for its gestures.
    pub(crate) gesture_topic: String,
}

impl Cameras {
    pub(crate) fn new(board: Arc<Board>) -> Cameras {
        Cameras {
            board,
            cameras: Mutex::default(),
            sequence: AtomicU64::new(1),
            wanted: Notify::new(),
        }
    }

    /// What the node says about its cameras.
    pub(crate) fn set_sources(&self, sources: &[CameraSource]) {
        let mut cameras = lock(&self.cameras);
        cameras.retain(|name, _| sources.iter().any(|source| source.name == *name));
        for source in sources {
            let camera = cameras.entry(source.name.clone()).or_default();
            if camera.source != *source {
                camera.source = source.clone();
                self.wanted.notify_one();
            }
        }
    }

    /// A viewer waits for pictures of these cameras.
    pub(crate) fn want(&self, names: &[String]) {
        let mut cameras = lock(&self.cameras);
        for name in names {
            if let Some(camera) = cameras.get_mut(name) {
                camera.wanted = Some(Instant::now());
                if camera.subscription.is_none() {
                    self.wanted.notify_one();
                }
            }
        }
    }

    /// Ends the subscriptions that nobody wants any more, or whose topic is another one now, and returns what should be subscribed to.
    pub(crate) fn review(&self, has_viewers: bool) -> Vec<CameraSource> {
        let mut wanted = Vec::new();
        for camera in lock(&self.cameras).values_mut() {
            let is_wanted = has_viewers && camera.wanted.is_some_and(|last| last.elapsed() < INTEREST);
            if !is_wanted {
                camera.forget();
                continue;
            }
            let is_as_wanted = |current: &Subscription| current.source == camera.source;
            if !camera.subscription.as_ref().is_some_and(is_as_wanted) {
                camera.forget();
                wanted.push(camera.source.clone());
            }
        }
        wanted
    }

    /// Subscribes to a camera's images and gestures.
    ///
    /// # Errors
    /// rcl reported an error.
    pub(crate) fn subscribe(
        self: &Arc<Cameras>,
        node: &mut Node,
        source: CameraSource,
        runtime: &tokio::runtime::Handle,
    ) -> r2r::Result<()> {
        let CameraSource { name, topic, .. } = &source;
        let profile = source.qos.profile();
        let pictures = match source.qos.is_compressed {
            true => {
                let images = node.subscribe::<r2r::sensor_msgs::msg::CompressedImage>(topic, profile)?;
                self.receive(runtime, name, images)
            }
            false => self.receive(runtime, name, subscribe_to_images(node, topic, profile)?),
        };
        let qos = QosProfile::default().keep_last(1);
        let gestures = node.subscribe::<ThumbGesture>(&source.gesture_topic, qos)?;
        let gestures = self.receive_gestures(runtime, name, gestures);
        if let Some(camera) = lock(&self.cameras).get_mut(name) {
            camera.subscription = Some(Subscription {
                source: source.clone(),
                tasks: [pictures, gestures].map(|task| task.abort_handle()),
            });
        }
        Ok(())
    }

    fn receive<M: PictureMessage>(
        self: &Arc<Cameras>,
        runtime: &tokio::runtime::Handle,
        name: &str,
        mut messages: impl Stream<Item = M> + Send + Unpin + 'static,
    ) -> JoinHandle<()> {
        let (cameras, name) = (self.clone(), name.to_owned());
        runtime.spawn(async move {
            while let Some(mut message) = messages.next().await {
                while let Some(Some(newer)) = messages.next().now_or_never() {
                    message = newer;
                }
                let (header, source) = message.into_source();
                let sequence = cameras.sequence.fetch_add(1, Ordering::Relaxed);
                cameras.put(&name, Arc::new(Picture::new(sequence, &header, source)));
            }
        })
    }

    fn receive_gestures(
        self: &Arc<Cameras>,
        runtime: &tokio::runtime::Handle,
        name: &str,
        mut messages: impl Stream<Item = ThumbGesture> + Send + Unpin + 'static,
    ) -> JoinHandle<()> {
        let (cameras, name) = (self.clone(), name.to_owned());
        runtime.spawn(async move {
            while let Some(gesture) = messages.next().await {
                let value = json::from_message(&gesture);
                if let Some(camera) = lock(&cameras.cameras).get_mut(&name) {
                    camera.gesture = Some((Instant::now(), value));
                }
            }
        })
    }

    fn put(&self, name: &str, picture: Arc<Picture>) {
        if let Some(camera) = lock(&self.cameras).get_mut(name) {
            let recent = &mut camera.recent;
            if recent
                .back()
                .is_none_or(|last| picture.arrival - last.arrival >= MEMORY_INTERVAL)
            {
                recent.push_back(picture.clone());
                let mut bytes: usize = recent.iter().map(|old| old.bytes()).sum();
                while recent
                    .front()
                    .is_some_and(|old| bytes > MEMORY_BYTES || picture.arrival - old.arrival > MEMORY)
                {
                    bytes -= recent.pop_front().map_or(0, |old| old.bytes());
                }
            }
            camera.newest = Some(picture);
        }
        self.board.notify();
    }

    /// The newest picture of the camera among `names` that was sent least recently; `sent` has the sequence of its last picture.
    pub(crate) fn next_picture(
        &self,
        names: &[String],
        sent: &BTreeMap<String, u64>,
    ) -> Option<(String, Arc<Picture>)> {
        let cameras = lock(&self.cameras);
        let last = |name: &String| sent.get(name).copied().unwrap_or_default();
        let with_news = names.iter().filter_map(|name| {
            let picture = cameras.get(name)?.newest.as_ref()?;
            (picture.sequence > last(name)).then(|| (name.clone(), picture.clone()))
        });
        with_news.min_by_key(|(name, _)| last(name))
    }

    /// The pictures of two seconds, of one camera or, if the name is empty, of all: those until the picture with the sequence number
    /// `until`, or the last ones. By their arrival, because cameras without a clock stamp all pictures with 0.
    pub(crate) fn recent(&self, name: &str, until: Option<u64>) -> Vec<(String, Arc<Picture>)> {
        let cameras = lock(&self.cameras);
        let all = cameras.values().flat_map(|camera| &camera.recent);
        let end = match until {
            Some(until) => all
                .filter(|picture| picture.sequence <= until)
                .map(|picture| picture.arrival)
                .max(),
            None => Some(Instant::now()),
        };
        let is_of_gesture = |picture: &Picture| {
            end.and_then(|end| end.checked_duration_since(picture.arrival))
                .is_some_and(|before| before <= GESTURE)
        };
        let chosen = cameras
            .iter()
            .filter(|(known, _)| name.is_empty() || *known == name);
        chosen
            .flat_map(|(name, camera)| {
                camera
                    .recent
                    .iter()
                    .map(|picture| (name.clone(), picture.clone()))
            })
            .filter(|(_, picture)| is_of_gesture(picture))
            .collect()
    }

    /// The last gesture of each camera, with its age.
    pub(crate) fn gestures(&self) -> Value {
        let mut all = Map::new();
        for (name, camera) in &*lock(&self.cameras) {
            if let Some((arrival, gesture)) = &camera.gesture {
                let mut gesture = gesture.clone();
                gesture["received"] = json!(arrival.elapsed().as_secs_f64());
                all.insert(name.clone(), gesture);
            }
        }
        Value::from(all)
    }
}

impl Camera {
    fn forget(&mut self) {
        *self = Camera {
            source: std::mem::take(&mut self.source),
            wanted: self.wanted,
            ..Camera::default()
        };
    }
}

impl ImageQos {
    fn profile(self) -> QosProfile {
        let qos = QosProfile::sensor_data().keep_last(1);
        let qos = if self.is_reliable {
            qos.reliable()
        } else {
            qos.best_effort()
        };
        match self.is_transient_local {
            true => qos.transient_local(),
            false => qos.volatile(),
        }
    }
}
