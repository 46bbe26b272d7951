//! The queue of the classifier thread: the newest frame of each camera, and commands.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use r2r::thumb_gesture::msg::ModelInfo;
use tokio::sync::oneshot;

use crate::model_store::manifest::Thumbless;
use crate::node::pipeline::camera::{CameraFrame, MAX_CAMERAS};
use crate::node::pipeline::gesture_output::{GestureOutput, GestureTopics};
use crate::node::ros::messages::info_of;
use crate::recognizer::Recognizer;
use crate::recognizer::model::{self, Model};
use crate::sync::lock;
use crate::text;

/// What `~/model` says of the built-in recognizer.
const HOW_TO_TEACH: &str = "recognizes thumbs up and down without training; to teach it this room and other gestures, capture frames of at least two labels with ~/capture, then call ~/retrain";

/// A model that is ready for its first frame.
pub(crate) struct LoadedModel {
    /// As on `~/model` while the model is in use.
    pub(crate) info: ModelInfo,
    pub(crate) recognizer: Recognizer,
    /// What determines the threshold for a rate of false thumbs.
    pub(super) thumbless: Option<Thumbless>,
}

/// What the diagnostics say of the model in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelInUse {
    pub(crate) id: String,
    pub(crate) backend: String,
    /// The threshold in effect.
    pub(crate) threshold: f32,
}

/// `None` without a model.
pub(crate) type RunningModel = Arc<Mutex<Option<ModelInUse>>>;

/// Hands frames and commands to the classifier thread.
pub(crate) struct Inbox {
    content: Mutex<Content>,
    changed: Condvar,
}

struct Content {
    /// The newest frame of each camera, by its index, that was not taken yet.
    frames: Vec<Option<Arc<CameraFrame>>>,
    commands: VecDeque<Command>,
    is_stopped: bool,
}

/// A command that the classifier thread executes between two batches. The senders report that it is done.
pub(super) enum Command {
    UseModel(Box<LoadedModel>),
    /// Publish the gestures of a camera.
    AddCamera(Box<GestureOutput>),
    /// Publish a last gesture of the camera with this index, and return its topics.
    RemoveCamera(usize, oneshot::Sender<GestureTopics>),
    /// Publish that the node is inactive. Waiting frames are discarded.
    Deactivate(oneshot::Sender<()>),
    /// Free the memory of the model.
    Unload(oneshot::Sender<()>),
}

/// The next work of the classifier thread.
pub(super) enum Work {
    /// Classify the batch.
    Frames,
    Command(Command),
    /// The deadline has passed.
    Timeout,
    Stop,
}

/// Frames with the indices of their cameras.
pub(super) type Batch = Vec<(usize, Arc<CameraFrame>)>;

impl LoadedModel {
    pub(crate) fn new(model: &Model, loaded: model::LoadedModel) -> LoadedModel {
        let reason = match model.stored() {
            Some(_) => loaded.reason.as_str(),
            None => HOW_TO_TEACH,
        };
        LoadedModel {
            info: ModelInfo {
                backend: loaded.recognizer.backend().to_owned(),
                active: true,
                message: in_use(reason),
                ..info_of(model)
            },
            recognizer: loaded.recognizer,
            thumbless: model
                .stored()
                .and_then(|stored| stored.manifest.thumbless.clone()),
        }
    }

    /// Describes the model anew if the CPU has taken over from a GPU that failed; returns whether it has.
    pub(super) fn note_fallback(&mut self) -> bool {
        let Some(reason) = self.recognizer.take_fallback_reason() else {
            return false;
        };
        self.info.backend = self.recognizer.backend().to_owned();
        self.info.message = in_use(&reason);
        true
    }
}

fn in_use(reason: &str) -> String {
    match reason {
        "" => "in use".to_owned(),
        reason => text::message(&format!("in use: {reason}")),
    }
}

impl Inbox {
    pub(crate) fn new() -> Inbox {
        Inbox {
            content: Mutex::new(Content {
                frames: vec![None; MAX_CAMERAS],
                commands: VecDeque::new(),
                is_stopped: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Stores a camera's newest frame, and returns the one that it replaces, if that was not taken yet.
    pub(super) fn put_frame(&self, camera_index: usize, frame: Arc<CameraFrame>) -> Option<Arc<CameraFrame>> {
        let dropped = lock(&self.content).frames[camera_index].replace(frame);
        self.changed.notify_one();
        dropped
    }

    pub(super) fn has_frame(&self, camera_index: usize) -> bool {
        lock(&self.content).frames[camera_index].is_some()
    }

    /// Uses this model from the next batch on.
    pub(crate) fn put_model(&self, model: LoadedModel) {
        self.send(Command::UseModel(Box::new(model)));
    }

    /// Publishes the gestures of a camera from now on.
    pub(crate) fn add_camera(&self, output: GestureOutput) {
        self.send(Command::AddCamera(Box::new(output)));
    }

    /// Discards the waiting frame of a camera, and returns its topics once a last gesture with the reason `inactive` was published. The
    /// camera's subscription has ended before.
    pub(crate) async fn remove_camera(&self, camera_index: usize) -> Option<GestureTopics> {
        let (done, topics) = oneshot::channel();
        self.send(Command::RemoveCamera(camera_index, done));
        // An error means that the thread has stopped, which published `inactive` as well.
        topics.await.ok()
    }

    /// Discards waiting frames, and returns once `inactive` was published for each camera.
    pub(crate) async fn deactivate(&self) {
        let (done, is_done) = oneshot::channel();
        self.send(Command::Deactivate(done));
        // An error means that the thread has stopped, which published `inactive` as well.
        is_done.await.ok();
    }

    /// Unloads the model, and returns once its memory is freed.
    pub(crate) async fn unload(&self) {
        let (done, is_done) = oneshot::channel();
        self.send(Command::Unload(done));
        // An error means that the thread has stopped, which freed the model as well.
        is_done.await.ok();
    }

    /// As [`Inbox::unload`], but returns at once.
    pub(crate) fn drop_model(&self) {
        let (done, _) = oneshot::channel();
        self.send(Command::Unload(done));
    }

    fn send(&self, command: Command) {
        let mut content = lock(&self.content);
        // A command that is not queued is dropped, which ends the wait for its execution.
        if !content.is_stopped {
            content.commands.push_back(command);
        }
        self.changed.notify_one();
    }

    /// Stops the classifier thread after its current batch.
    pub(crate) fn stop(&self) {
        let mut content = lock(&self.content);
        content.is_stopped = true;
        content.commands.clear();
        self.changed.notify_one();
    }

    /// Waits for work until `deadline`, or without a limit. Frames are moved into `batch`, which must be empty.
    pub(super) fn next(&self, deadline: Option<Instant>, batch: &mut Batch) -> Work {
        let mut content = lock(&self.content);
        loop {
            if content.is_stopped {
                return Work::Stop;
            }
            if let Some(command) = content.commands.pop_front() {
                match command {
                    Command::Deactivate(_) => content.frames.fill(None),
                    Command::RemoveCamera(camera_index, _) => content.frames[camera_index] = None,
                    _ => {}
                }
                return Work::Command(command);
            }
            let frames = content.frames.iter_mut().enumerate();
            batch.extend(frames.filter_map(|(camera_index, frame)| Some((camera_index, frame.take()?))));
            if !batch.is_empty() {
                return Work::Frames;
            }
            let Some(deadline) = deadline else {
                content = self.changed.wait(content).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Work::Timeout;
            }
            let waited = self.changed.wait_timeout(content, left);
            content = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::pipeline::camera::Arrival;

    fn frame(sec: i32) -> Arc<CameraFrame> {
        let mut header = r2r::std_msgs::msg::Header::default();
        header.stamp.sec = sec;
        let frame = crate::frame::Frame::from_raw("mono8", 1, 1, 1, vec![0]).expect("valid frame");
        let arrival = Arrival {
            steady: Instant::now(),
            ros: std::time::Duration::ZERO,
        };
        Arc::new(CameraFrame {
            header,
            frame,
            arrival,
        })
    }

    /// Camera index and stamp of each frame in the next batch.
    fn next(inbox: &Inbox) -> Vec<(usize, i32)> {
        let mut batch = Batch::new();
        assert!(matches!(inbox.next(None, &mut batch), Work::Frames));
        let stamp =
            |(camera_index, frame): &(usize, Arc<CameraFrame>)| (*camera_index, frame.header.stamp.sec);
        batch.iter().map(stamp).collect()
    }

    #[test]
    fn the_newest_frame_is_kept_and_older_ones_are_returned() {
        let inbox = Inbox::new();
        assert!(inbox.put_frame(0, frame(1)).is_none());
        for sec in [2, 3] {
            let dropped = inbox.put_frame(0, frame(sec)).expect("a frame is waiting");
            assert_eq!(dropped.header.stamp.sec, sec - 1);
        }
        assert_eq!(next(&inbox), [(0, 3)]);
    }

    /// A fast camera does not hold back the frames of the others.
    #[test]
    fn a_batch_has_the_newest_frame_of_each_camera() {
        let inbox = Inbox::new();
        inbox.put_frame(2, frame(1));
        (10..20).for_each(|sec| drop(inbox.put_frame(0, frame(sec))));
        assert!(inbox.has_frame(0) && !inbox.has_frame(1));
        assert_eq!(next(&inbox), [(0, 19), (2, 1)]);
        assert!(!inbox.has_frame(0));
        inbox.put_frame(1, frame(5));
        assert_eq!(next(&inbox), [(1, 5)]);
    }

    #[test]
    fn without_frames_the_wait_ends_at_the_deadline() {
        let inbox = Inbox::new();
        assert!(matches!(
            inbox.next(Some(Instant::now()), &mut Batch::new()),
            Work::Timeout
        ));
    }

    #[test]
    fn stop_comes_before_waiting_frames() {
        let inbox = Inbox::new();
        inbox.put_frame(0, frame(1));
        inbox.stop();
        assert!(matches!(inbox.next(None, &mut Batch::new()), Work::Stop));
    }
}
