//! The thread that owns the classifier: takes the newest frame of each camera, all that wait in one batch, publishes their gestures,
//! and swaps models between two batches.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use r2r::thumb_gesture::msg::ModelInfo;
use tokio::sync::oneshot;

use crate::classifier::Loaded;
use crate::dataset::Label;
use crate::decision::UnknownReason;
use crate::model_store::{Manifest, StoredModel};
use crate::node::params::Params;
use crate::node::pipeline::camera::CameraFrame;
use crate::node::pipeline::gesture_output::{Classified, Lane};
use crate::node::pipeline::overlay_thread::Painter;
use crate::node::ros::context::NodeContext;
use crate::node::ros::ffi::trim_heap;
use crate::node::ros::messages::info_of;
use crate::node::ros::topic::Topic;
use crate::node::sync::{Throttle, lock};
use crate::recognizer::{Predictions, Recognizer};

/// A model that is ready for its first frame.
pub struct LoadedModel {
    /// What its gestures say of it.
    pub description: ModelDescription,
    /// Runs it.
    pub recognizer: Recognizer,
    /// Why this backend was chosen, human-readable; empty if there is nothing to report.
    pub reason: String,
}

/// What messages say of a loaded model.
pub struct ModelDescription {
    /// The stored model's manifest.
    pub manifest: Manifest,
    /// Its labels, in the order of its outputs.
    pub labels: Vec<String>,
    /// What runs it, as `<runtime>/<device>/<precision>`.
    pub backend: String,
}

impl LoadedModel {
    /// Describes a stored model that was loaded.
    pub fn new(stored: &StoredModel, loaded: Loaded) -> LoadedModel {
        let manifest = stored.manifest.clone();
        LoadedModel {
            description: ModelDescription {
                labels: manifest.labels.iter().map(Label::to_string).collect(),
                backend: loaded.classifier.backend().to_owned(),
                manifest,
            },
            recognizer: Recognizer::new(loaded.classifier, &stored.manifest),
            reason: loaded.reason,
        }
    }
}

/// How frames and models reach the classifier's thread: of each camera the newest frame, and the newest model.
pub struct Inbox {
    content: Mutex<Content>,
    arrived: Condvar,
}

struct Content {
    /// One place for each camera.
    frames: Vec<Option<Arc<CameraFrame>>>,
    orders: VecDeque<Order>,
    is_stopped: bool,
}

/// What the thread is told to do, between two batches.
enum Order {
    /// Classify by this model from now on.
    Model(Box<LoadedModel>),
    /// Classify nothing more of what has come, and say so; an answer when that is done.
    Rest(oneshot::Sender<()>),
    /// Give up the model; an answer when its memory is free.
    Unload(oneshot::Sender<()>),
}

/// Id and backend of the model that classifies, once there is one.
pub type RunningModel = Arc<Mutex<Option<(String, String)>>>;

/// The thread's own things.
pub struct Classify {
    handle: NodeContext,
    params: Arc<Mutex<Params>>,
    inbox: Arc<Inbox>,
    running: RunningModel,
    topic: Arc<Topic<ModelInfo>>,
    lanes: Vec<Lane>,
    painter: Painter,
    model: Option<Box<LoadedModel>>,
    throttle: Throttle,
}

enum Work {
    /// There are frames.
    Frames,
    Order(Order),
    /// Nothing has come in time.
    Timeout,
    Stop,
}

/// Frames with their cameras' places.
type Batch = Vec<(usize, Arc<CameraFrame>)>;

impl Inbox {
    /// With a place for each of so many cameras.
    pub fn new(cameras: usize) -> Inbox {
        Inbox {
            content: Mutex::new(Content {
                frames: vec![None; cameras],
                orders: VecDeque::new(),
                is_stopped: false,
            }),
            arrived: Condvar::new(),
        }
    }

    /// A camera's frame has come; gives the one that still waited, whose place it takes.
    pub fn put_frame(&self, camera: usize, frame: Arc<CameraFrame>) -> Option<Arc<CameraFrame>> {
        let overtaken = lock(&self.content).frames[camera].replace(frame);
        self.arrived.notify_one();
        overtaken
    }

    /// True while a frame of the camera waits.
    fn has_frame(&self, camera: usize) -> bool {
        lock(&self.content).frames[camera].is_some()
    }

    /// From the next frame on, this model.
    pub fn put_model(&self, model: LoadedModel) {
        self.order(Order::Model(Box::new(model)));
    }

    /// Nothing that has come is classified any more. Returns when each camera's last gesture has said so.
    pub async fn rest(&self) {
        let (done, is_done) = oneshot::channel();
        self.order(Order::Rest(done));
        // An error is a thread that has ended, and classifies nothing either.
        let _either_way = is_done.await;
    }

    /// The model is given up. Returns when its memory is free.
    pub async fn unload(&self) {
        let (done, is_done) = oneshot::channel();
        self.order(Order::Unload(done));
        let _either_way = is_done.await;
    }

    fn order(&self, order: Order) {
        let mut content = lock(&self.content);
        // Who waits for an answer hears that there will be none when the order is dropped.
        if !content.is_stopped {
            content.orders.push_back(order);
        }
        self.arrived.notify_one();
    }

    /// Ends the thread after the frames it is at.
    pub fn stop(&self) {
        let mut content = lock(&self.content);
        content.is_stopped = true;
        content.orders.clear();
        self.arrived.notify_one();
    }

    /// The next thing to do; waits for it until `deadline`. Frames are moved into `batch`, which is empty.
    fn next(&self, deadline: Option<Instant>, batch: &mut Batch) -> Work {
        let mut content = lock(&self.content);
        loop {
            if content.is_stopped {
                return Work::Stop;
            }
            if let Some(order) = content.orders.pop_front() {
                if matches!(order, Order::Rest(_)) {
                    content.frames.fill(None);
                }
                return Work::Order(order);
            }
            let frames = content.frames.iter_mut().enumerate();
            batch.extend(frames.filter_map(|(camera, frame)| Some((camera, frame.take()?))));
            if !batch.is_empty() {
                return Work::Frames;
            }
            let Some(deadline) = deadline else {
                content = self.arrived.wait(content).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Work::Timeout;
            }
            let waited = self.arrived.wait_timeout(content, left);
            content = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Classify {
    /// The thread's things, without a model.
    pub fn new(
        handle: NodeContext,
        params: Arc<Mutex<Params>>,
        inbox: Arc<Inbox>,
        running: RunningModel,
        topic: Arc<Topic<ModelInfo>>,
        lanes: Vec<Lane>,
        painter: Painter,
    ) -> Classify {
        Classify {
            handle,
            params,
            inbox,
            running,
            topic,
            lanes,
            painter,
            model: None,
            throttle: Throttle::default(),
        }
    }

    /// Works until [`Inbox::stop`].
    pub fn run(mut self) {
        let mut batch = Batch::with_capacity(self.lanes.len());
        loop {
            let timeout = lock(&self.params).stale_timeout;
            let deadlines = self.lanes.iter().filter_map(|lane| lane.deadline(timeout));
            match self.inbox.next(deadlines.min(), &mut batch) {
                Work::Frames => self.classify(&batch),
                Work::Order(order) => self.obey(order),
                Work::Timeout => {}
                // A last gesture, as after `deactivate`: a robot must not go by one that nobody takes back.
                Work::Stop => return self.lanes.iter_mut().for_each(Lane::rest),
            }
            batch.clear();
            self.tell_stale(timeout);
        }
    }

    fn obey(&mut self, order: Order) {
        let done = match order {
            Order::Model(model) => return self.swap(model),
            Order::Rest(done) => {
                self.lanes.iter_mut().for_each(Lane::rest);
                done
            }
            Order::Unload(done) => {
                self.model = None;
                *lock(&self.running) = None;
                trim_heap();
                done
            }
        };
        let _nobody_waits = done.send(());
    }

    fn swap(&mut self, model: Box<LoadedModel>) {
        let ModelDescription {
            manifest, backend, ..
        } = &model.description;
        let id = &manifest.id;
        let reason = match model.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        self.handle
            .info(&format!("model {id} is in use from now on, on {backend}{reason}"));
        let mut info = info_of(manifest);
        info.backend.clone_from(backend);
        info.active = true;
        info.message = format!("in use{reason}");
        *lock(&self.running) = Some((id.clone(), info.backend.clone()));
        self.topic.publish(&info);
        self.lanes.iter_mut().for_each(Lane::forget);
        if self.model.replace(model).is_some() {
            trim_heap();
        }
    }

    /// Publishes the gestures of a batch; none without a model.
    fn classify(&mut self, batch: &Batch) {
        let Some(mut model) = self.model.take() else {
            return;
        };
        match model
            .recognizer
            .classify(batch.iter().map(|(_, frame)| &frame.frame))
        {
            Ok(predictions) => self.tell(&model.description, batch, &predictions),
            Err(error) => {
                for (camera, _) in batch {
                    self.lanes[*camera].camera().counters.failed.add_one();
                }
                self.complain(&format!("a frame got no gesture: {error}"));
            }
        }
        self.model = Some(model);
    }

    fn tell(&mut self, model: &ModelDescription, batch: &Batch, predictions: &Predictions) {
        let settings = lock(&self.params).decision();
        let mut is_broken = false;
        for ((camera, frame), prediction) in batch.iter().zip(predictions.iter()) {
            let classified = Classified {
                probabilities: prediction.probabilities,
                preprocess_time: prediction.preprocess_time,
                inference_time: predictions.inference_time,
            };
            let lane = &mut self.lanes[*camera];
            let decision = lane.tell(frame, model, &classified, &settings);
            match decision.unknown_reason {
                Some(UnknownReason::NotFinite) => {
                    lane.camera().counters.failed.add_one();
                    is_broken = true;
                }
                _ => lane.camera().counters.classified.add_one(),
            }
        }
        // Only once all gestures are out.
        if lock(&self.params).overlay {
            for (camera, frame) in batch {
                self.lanes[*camera].draw(frame, &self.painter);
            }
        }
        if is_broken {
            let id = &model.manifest.id;
            self.complain(&format!(
                "{id} gives no numbers: it is broken, activate another one"
            ));
        }
    }

    /// Says now and then that the runtime fails.
    fn complain(&mut self, reason: &str) {
        if self.throttle.pass().is_some() {
            self.handle.error(reason);
        }
    }

    fn tell_stale(&mut self, timeout: Duration) {
        let now = Instant::now();
        for (camera, lane) in self.lanes.iter_mut().enumerate() {
            let is_due = lane.deadline(timeout).is_some_and(|deadline| deadline <= now);
            // One that waits comes next: it is the classifier that is late, not the camera.
            if is_due && !self.inbox.has_frame(camera) {
                lane.tell_stale();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(sec: i32) -> Arc<CameraFrame> {
        let mut header = r2r::std_msgs::msg::Header::default();
        header.stamp.sec = sec;
        let frame = crate::frame::Frame::from_raw("mono8", 1, 1, 1, vec![0]).expect("a good frame");
        Arc::new(CameraFrame { header, frame })
    }

    /// Camera and stamp of each frame that comes next.
    fn next(inbox: &Inbox) -> Vec<(usize, i32)> {
        let mut batch = Batch::new();
        assert!(matches!(inbox.next(None, &mut batch), Work::Frames));
        let stamp = |(camera, frame): &(usize, Arc<CameraFrame>)| (*camera, frame.header.stamp.sec);
        batch.iter().map(stamp).collect()
    }

    #[test]
    fn the_newest_frame_wins_and_the_others_are_given_back() {
        let inbox = Inbox::new(1);
        assert!(inbox.put_frame(0, frame(1)).is_none());
        for sec in [2, 3] {
            let overtaken = inbox.put_frame(0, frame(sec)).expect("one waited");
            assert_eq!(overtaken.header.stamp.sec, sec - 1);
        }
        assert_eq!(next(&inbox), [(0, 3)]);
    }

    /// However fast one camera is, the others' frames come along.
    #[test]
    fn a_batch_is_the_newest_frame_of_each_camera_that_has_one() {
        let inbox = Inbox::new(3);
        inbox.put_frame(2, frame(1));
        (10..20).for_each(|sec| drop(inbox.put_frame(0, frame(sec))));
        assert!(inbox.has_frame(0) && !inbox.has_frame(1));
        assert_eq!(next(&inbox), [(0, 19), (2, 1)]);
        assert!(!inbox.has_frame(0));
        inbox.put_frame(1, frame(5));
        assert_eq!(next(&inbox), [(1, 5)]);
    }

    #[test]
    fn without_a_frame_until_the_deadline_it_is_stale() {
        let inbox = Inbox::new(1);
        assert!(matches!(
            inbox.next(Some(Instant::now()), &mut Batch::new()),
            Work::Timeout
        ));
    }

    #[test]
    fn a_stop_comes_before_any_frame() {
        let inbox = Inbox::new(1);
        inbox.put_frame(0, frame(1));
        inbox.stop();
        assert!(matches!(inbox.next(None, &mut Batch::new()), Work::Stop));
    }
}
