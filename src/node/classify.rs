//! The thread that owns the classifier: takes the newest frame, publishes a gesture, swaps models between two frames.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use r2r::builtin_interfaces::msg::Time;
use r2r::sensor_msgs::msg::CompressedImage;
use r2r::thumb_gesture::msg::{ModelInfo, ThumbGesture};

use super::camera::CameraFrame;
use super::handle::{NodeHandle, Throttle, Topic, duration_message, lock, secs_of};
use super::models;
use super::params::Params;
use crate::classifier::{Classifier, ClassifierError, Loaded, softmax};
use crate::dataset::Label;
use crate::decision::{Decision, Doubt, Verdict};
use crate::gesture::{Gesture, UNKNOWN};
use crate::model_store::{Manifest, StoredModel};
use crate::overlay;
use crate::preprocess::{INPUT_LEN, Preprocessor};

/// A model that is ready for its first frame.
pub struct LoadedModel {
    /// What the model says of itself.
    pub manifest: Manifest,
    /// What runs it.
    pub classifier: Box<dyn Classifier>,
    /// Why it is that, in words.
    pub reason: String,
}

impl LoadedModel {
    /// A stored model that was loaded.
    pub fn new(stored: &StoredModel, loaded: Loaded) -> LoadedModel {
        LoadedModel {
            manifest: stored.manifest.clone(),
            classifier: loaded.classifier,
            reason: loaded.reason,
        }
    }
}

/// How frames and models reach the classifier's thread: of each the newest.
#[derive(Default)]
pub struct Inbox {
    content: Mutex<Content>,
    arrived: Condvar,
    /// Frames that a newer one overtook while they waited here.
    pub dropped: AtomicU64,
}

#[derive(Default)]
struct Content {
    frame: Option<Arc<CameraFrame>>,
    model: Option<Box<LoadedModel>>,
    is_stopped: bool,
}

/// What the classifier's thread has done so far.
#[derive(Default)]
pub struct ClassifyStatus {
    /// Frames judged.
    pub classified: AtomicU64,
    /// Frames on which the runtime failed.
    pub failed: AtomicU64,
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    model: Option<(String, String)>,
    age: Duration,
}

/// What the classifier's thread publishes.
pub struct ClassifyTopics {
    /// `thumb_gesture`.
    pub gesture: Topic<ThumbGesture>,
    /// `~/model`.
    pub model: Arc<Topic<ModelInfo>>,
    /// `~/overlay/compressed`.
    pub overlay: Topic<CompressedImage>,
}

/// The thread's own things.
pub struct Classify {
    handle: NodeHandle,
    params: Arc<Mutex<Params>>,
    inbox: Arc<Inbox>,
    status: Arc<ClassifyStatus>,
    topics: ClassifyTopics,
    preprocessor: Preprocessor,
    input: Vec<f32>,
    decision: Decision,
    model: Option<Box<LoadedModel>>,
    /// The last frame's gesture, which goes stale.
    last: Option<(ThumbGesture, Instant)>,
    throttle: Throttle,
}

enum Work {
    Frame(Arc<CameraFrame>),
    Model(Box<LoadedModel>),
    Stale,
    Stop,
}

impl Inbox {
    /// A frame has come; it takes the place of one that still waits.
    pub fn put_frame(&self, frame: Arc<CameraFrame>) {
        if lock(&self.content).frame.replace(frame).is_some() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.arrived.notify_one();
    }

    /// From the next frame on, this model.
    pub fn put_model(&self, model: LoadedModel) {
        lock(&self.content).model = Some(Box::new(model));
        self.arrived.notify_one();
    }

    /// Ends the thread after the frame it is at.
    pub fn stop(&self) {
        lock(&self.content).is_stopped = true;
        self.arrived.notify_one();
    }

    /// The next thing to do; [`Work::Stale`] when nothing comes until `deadline`.
    fn next(&self, deadline: Option<Instant>) -> Work {
        let mut content = lock(&self.content);
        loop {
            if content.is_stopped {
                return Work::Stop;
            }
            if let Some(model) = content.model.take() {
                return Work::Model(model);
            }
            if let Some(frame) = content.frame.take() {
                return Work::Frame(frame);
            }
            let Some(deadline) = deadline else {
                content = self.arrived.wait(content).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Work::Stale;
            }
            let waited = self.arrived.wait_timeout(content, left);
            content = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl ClassifyStatus {
    /// Id and backend of the model that classifies.
    pub fn model(&self) -> Option<(String, String)> {
        lock(&self.state).model.clone()
    }

    /// Age of the last gesture when it was published.
    pub fn age(&self) -> Duration {
        lock(&self.state).age
    }
}

impl Classify {
    /// The thread's things, without a model.
    pub fn new(
        handle: NodeHandle,
        params: Arc<Mutex<Params>>,
        inbox: Arc<Inbox>,
        status: Arc<ClassifyStatus>,
        topics: ClassifyTopics,
    ) -> Classify {
        Classify {
            handle,
            params,
            inbox,
            status,
            topics,
            preprocessor: Preprocessor::new(),
            input: vec![0.0; INPUT_LEN],
            decision: Decision::default(),
            model: None,
            last: None,
            throttle: Throttle::default(),
        }
    }

    /// Works until [`Inbox::stop`].
    pub fn run(mut self) {
        loop {
            let deadline = self
                .last
                .as_ref()
                .map(|(_, since)| *since + lock(&self.params).span("stale_timeout"));
            match self.inbox.next(deadline) {
                Work::Frame(frame) => self.frame(&frame),
                Work::Model(model) => self.swap(model),
                Work::Stale => self.stale(),
                Work::Stop => return,
            }
        }
    }

    fn swap(&mut self, model: Box<LoadedModel>) {
        let id = &model.manifest.id;
        let reason = match model.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        self.handle.info(&format!(
            "model {id} classifies from now on, on {}{reason}",
            model.classifier.backend()
        ));
        let mut info = models::info_of(&model.manifest);
        info.backend = model.classifier.backend().to_owned();
        info.active = true;
        info.message = format!("classifies{reason}");
        lock(&self.status.state).model = Some((id.clone(), info.backend.clone()));
        self.topics.model.publish(&info);
        self.decision.reset();
        self.model = Some(model);
    }

    fn frame(&mut self, frame: &CameraFrame) {
        match self.judge(frame) {
            Ok(None) => {}
            Ok(Some(gesture)) => {
                if gesture.reason == Doubt::NotFinite.reason() {
                    let id = &gesture.model_id;
                    self.fail(&format!(
                        "{id} gives no numbers: it is broken, activate another one"
                    ));
                } else {
                    self.status.classified.fetch_add(1, Ordering::Relaxed);
                }
                self.publish(gesture.clone());
                self.draw(frame, &gesture);
                self.last = Some((gesture, Instant::now()));
            }
            Err(error) => self.fail(&format!("a frame got no gesture: {error}")),
        }
    }

    /// Counts a frame that the runtime failed on; says so now and then.
    fn fail(&mut self, reason: &str) {
        self.status.failed.fetch_add(1, Ordering::Relaxed);
        if self.throttle.pass().is_some() {
            self.handle.error(reason);
        }
    }

    /// The gesture of a frame; none without a model.
    fn judge(&mut self, frame: &CameraFrame) -> Result<Option<ThumbGesture>, ClassifierError> {
        let Some(model) = &mut self.model else {
            return Ok(None);
        };
        let labels = &model.manifest.labels;
        let start = Instant::now();
        self.preprocessor.tensor_from_frame(&frame.frame, &mut self.input);
        let between = Instant::now();
        let mut probabilities = vec![0.0; labels.len()];
        model.classifier.logits(&self.input, &mut probabilities)?;
        softmax(&mut probabilities, model.manifest.temperature as f32);
        let end = Instant::now();

        let settings = lock(&self.params).decision();
        let taken_secs = match secs_of(&frame.header.stamp) {
            0.0 => self.handle.now().as_secs_f64(),
            stamp_secs => stamp_secs,
        };
        let verdict = self.decision.update(&settings, &probabilities, taken_secs);
        let label = labels[verdict.label].as_str();
        Ok(Some(ThumbGesture {
            header: frame.header.clone(),
            gesture: number_of(label, &verdict),
            label: label.to_owned(),
            confidence: verdict.confidence,
            reason: verdict.doubt.map_or("", |doubt| doubt.reason()).to_owned(),
            labels: labels.iter().map(Label::to_string).collect(),
            probabilities,
            stable: verdict.stable,
            model_id: model.manifest.id.clone(),
            backend: model.classifier.backend().to_owned(),
            preprocess_time: duration_message(between - start),
            inference_time: duration_message(end - between),
            age: Default::default(),
        }))
    }

    /// The last gesture must not stand for ever in front of a robot whose camera has stopped.
    fn stale(&mut self) {
        let Some((gesture, _)) = self.last.take() else {
            return;
        };
        self.decision.reset();
        let gesture = ThumbGesture {
            gesture: UNKNOWN,
            reason: "stale".to_owned(),
            stable: false,
            preprocess_time: duration_message(Duration::ZERO),
            inference_time: duration_message(Duration::ZERO),
            ..gesture
        };
        self.publish(gesture.clone());
        // It is said again and again: a listener may have come since.
        self.last = Some((gesture, Instant::now()));
    }

    fn publish(&self, mut gesture: ThumbGesture) {
        let age = age_of(&gesture.header.stamp, self.handle.now());
        gesture.age = duration_message(age);
        lock(&self.status.state).age = age;
        self.topics.gesture.publish(&gesture);
    }

    /// Draws the frame with its verdict, where somebody looks.
    fn draw(&self, frame: &CameraFrame, gesture: &ThumbGesture) {
        if !self.topics.overlay.has_subscribers() {
            return;
        }
        let bars = gesture
            .labels
            .iter()
            .map(String::as_str)
            .zip(gesture.probabilities.iter().copied());
        let title = match gesture.gesture {
            UNKNOWN => format!("unknown ({})", gesture.reason),
            _ => format!("{} {:.0} %", gesture.label, gesture.confidence * 100.0),
        };
        self.topics.overlay.publish(&CompressedImage {
            header: gesture.header.clone(),
            format: "jpeg".to_owned(),
            data: overlay::jpeg(frame.frame.to_rgb_image(), &title, bars),
        });
    }
}

fn number_of(label: &str, verdict: &Verdict) -> u8 {
    match verdict.doubt {
        Some(_) => UNKNOWN,
        None => Gesture::from_label(label) as u8,
    }
}

/// How old a frame is; 0 where clock or stamp say nothing, or contradict each other.
fn age_of(stamp: &Time, now: Duration) -> Duration {
    let stamp = Duration::new(u64::try_from(stamp.sec).unwrap_or(0), stamp.nanosec);
    if stamp.is_zero() {
        return Duration::ZERO;
    }
    now.saturating_sub(stamp)
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

    #[test]
    fn the_newest_frame_wins_and_the_others_are_counted() {
        let inbox = Inbox::default();
        (1..=3).for_each(|sec| inbox.put_frame(frame(sec)));
        assert!(matches!(inbox.next(None), Work::Frame(frame) if frame.header.stamp.sec == 3));
        assert_eq!(inbox.dropped.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn without_a_frame_until_the_deadline_it_is_stale() {
        assert!(matches!(Inbox::default().next(Some(Instant::now())), Work::Stale));
    }

    #[test]
    fn a_stop_comes_before_any_frame() {
        let inbox = Inbox::default();
        inbox.put_frame(frame(1));
        inbox.stop();
        assert!(matches!(inbox.next(None), Work::Stop));
    }

    #[test]
    fn an_age_is_never_negative_or_made_up() {
        let stamp = |sec| Time { sec, nanosec: 0 };
        assert_eq!(
            age_of(&stamp(10), Duration::from_secs(12)),
            Duration::from_secs(2)
        );
        assert_eq!(age_of(&stamp(10), Duration::from_secs(3)), Duration::ZERO);
        assert_eq!(age_of(&stamp(0), Duration::from_secs(3)), Duration::ZERO);
        assert_eq!(age_of(&stamp(10), Duration::ZERO), Duration::ZERO);
    }
}
