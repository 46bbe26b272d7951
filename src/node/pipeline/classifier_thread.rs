//! The thread that owns the model: classifies the waiting frames of all cameras in one batch, publishes their gestures, and replaces
//! the model between two batches.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use r2r::thumb_gesture::msg::ModelInfo;

use crate::decision::UnknownReason;
use crate::node::params::Params;
use crate::node::pipeline::gesture_output::GestureOutput;
use crate::node::pipeline::inbox::{Batch, Command, Inbox, LoadedModel, ModelInUse, RunningModel, Work};
use crate::node::pipeline::overlay_thread::OverlaySender;
use crate::node::pipeline::tolerance::{Explanation, Tolerance};
use crate::node::pipeline::vision_msgs::PipelineInfo;
use crate::node::ros::context::NodeContext;
use crate::node::ros::ffi::trim_heap;
use crate::node::ros::topic::Topic;
use crate::node::throttle::Throttle;
use crate::recognizer::{Predictions, Source};
use crate::sync::lock;
use crate::text;

/// The topics that describe the model in use.
pub(crate) struct ModelTopics {
    /// `~/model`.
    pub(crate) model: Arc<Topic<ModelInfo>>,
    /// The same for readers of `vision_msgs`.
    pub(crate) pipeline_info: PipelineInfo,
}

/// The model and the outputs that the thread owns, and what it shares.
pub(crate) struct ClassifierThread {
    context: NodeContext,
    params: Arc<Mutex<Params>>,
    inbox: Arc<Inbox>,
    running: RunningModel,
    model_topics: ModelTopics,
    /// One per camera.
    outputs: Vec<GestureOutput>,
    overlay: OverlaySender,
    model: Option<Box<LoadedModel>>,
    /// The threshold for the model.
    tolerance: Tolerance,
    throttle: Throttle,
}

impl ClassifierThread {
    pub(crate) fn new(
        context: NodeContext,
        params: Arc<Mutex<Params>>,
        inbox: Arc<Inbox>,
        running: RunningModel,
        model_topics: ModelTopics,
        outputs: Vec<GestureOutput>,
        overlay: OverlaySender,
    ) -> ClassifierThread {
        ClassifierThread {
            context,
            params,
            inbox,
            running,
            model_topics,
            outputs,
            overlay,
            model: None,
            tolerance: Tolerance::default(),
            throttle: Throttle::default(),
        }
    }

    /// Runs until [`Inbox::stop`].
    pub(crate) fn run(mut self) {
        let mut batch = Batch::with_capacity(self.outputs.len());
        loop {
            let timeout = lock(&self.params).stale_timeout;
            let deadlines = self.outputs.iter().filter_map(|output| output.deadline(timeout));
            match self.inbox.next(deadlines.min(), &mut batch) {
                Work::Frames => self.classify(&batch, timeout),
                Work::Command(command) => self.execute(command),
                Work::Timeout => {}
                Work::Stop => {
                    // A robot must not act on a last gesture that is never withdrawn.
                    self.outputs.iter_mut().for_each(GestureOutput::publish_inactive);
                    return;
                }
            }
            batch.clear();
            self.publish_stale(timeout);
        }
    }

    fn execute(&mut self, command: Command) {
        let done = match command {
            Command::UseModel(model) => return self.use_model(model),
            Command::Deactivate(done) => {
                self.outputs.iter_mut().for_each(GestureOutput::publish_inactive);
                done
            }
            Command::Unload(done) => {
                self.model = None;
                *lock(&self.running) = None;
                trim_heap();
                done
            }
        };
        // The requester may have stopped waiting.
        done.send(()).ok();
    }

    fn use_model(&mut self, model: Box<LoadedModel>) {
        let info = &model.info;
        let (id, backend) = (&info.model_id, &info.backend);
        let reason = info.message.strip_prefix("in use").unwrap_or_default();
        self.context
            .info(&format!("model {id} is now in use on {backend}{reason}"));
        self.update_threshold(&model);
        self.publish_model(&model);
        self.outputs.iter_mut().for_each(GestureOutput::forget_gesture);
        if self.model.replace(model).is_some() {
            trim_heap();
        }
    }

    /// Computes the threshold for a model and tells the readers of `vision_msgs`; returns whether there is something new to say about it.
    fn update_threshold(&mut self, model: &LoadedModel) -> bool {
        let tolerance = Tolerance::new(
            &lock(&self.params),
            model.recognizer.method(),
            model.thumbless.as_ref(),
        );
        *lock(&self.running) = Some(ModelInUse {
            id: model.info.model_id.clone(),
            backend: model.info.backend.clone(),
            threshold: tolerance.settings().threshold,
        });
        self.model_topics
            .pipeline_info
            .publish(&model.info, tolerance.settings().threshold);
        let previous = std::mem::replace(&mut self.tolerance, tolerance);
        self.tolerance.explanation() != previous.explanation()
    }

    /// Publishes `~/model`, and logs why the threshold is not that of the parameters.
    fn publish_model(&self, model: &LoadedModel) {
        let mut info = model.info.clone();
        if let Some(Explanation { text, is_supported }) = self.tolerance.explanation() {
            if *is_supported {
                self.context.info(text);
            } else {
                self.context.warn(text);
            }
            info.message = text::message(&format!("{}; {text}", info.message));
        }
        self.model_topics.model.publish(&info);
    }

    /// Classifies a batch and publishes its gestures; does nothing without a model.
    fn classify(&mut self, batch: &Batch, timeout: Duration) {
        let Some(mut model) = self.model.take() else {
            return;
        };
        let is_current = self.tolerance.is_for(&lock(&self.params));
        if !is_current && self.update_threshold(&model) {
            self.publish_model(&model);
        }
        let frames = batch
            .iter()
            .map(|(camera_index, frame)| (Source::Stream(*camera_index), &frame.frame));
        let familiarity_threshold = lock(&self.params).familiarity_threshold;
        model.recognizer.set_familiarity_threshold(familiarity_threshold);
        match model.recognizer.classify(frames) {
            Ok(predictions) => self.publish_gestures(&model.info, batch, &predictions),
            Err(error) => {
                for (camera_index, _) in batch {
                    let output = &mut self.outputs[*camera_index];
                    output.camera().counters.failed.add_one();
                    // Also while the next frame is waiting, which may fail as well.
                    if output.is_due(timeout) {
                        output.publish_stale();
                    }
                }
                self.log_error(&format!("classification failed: {error}"));
            }
        }
        if model.note_fallback() {
            self.update_threshold(&model);
            self.publish_model(&model);
        }
        self.model = Some(model);
    }

    fn publish_gestures(&mut self, model: &ModelInfo, batch: &Batch, predictions: &Predictions) {
        let settings = self.tolerance.settings();
        let mut has_non_finite = false;
        for ((camera_index, frame), prediction) in batch.iter().zip(predictions.iter()) {
            let output = &mut self.outputs[*camera_index];
            let decision = output.publish_gesture(frame, model, &prediction, &settings);
            match decision.unknown_reason {
                Some(UnknownReason::NotFinite) => {
                    output.camera().counters.failed.add_one();
                    has_non_finite = true;
                }
                _ => output.camera().counters.classified.add_one(),
            }
        }
        // Overlays come after all gestures, so as not to delay them.
        if lock(&self.params).overlay {
            for (camera_index, frame) in batch {
                self.outputs[*camera_index].send_overlay(*camera_index, frame, &self.overlay);
            }
        }
        if has_non_finite {
            let id = &model.model_id;
            self.log_error(&format!(
                "model {id} returns NaN or infinite values; activate another model"
            ));
        }
    }

    /// Logs an error that may repeat with each frame, at a limited rate.
    fn log_error(&mut self, message: &str) {
        if self.throttle.pass().is_some() {
            self.context.error(message);
        }
    }

    fn publish_stale(&mut self, timeout: Duration) {
        for (camera_index, output) in self.outputs.iter_mut().enumerate() {
            // With a frame waiting, the classifier is late, not the camera.
            if output.is_due(timeout) && !self.inbox.has_frame(camera_index) {
                output.publish_stale();
            }
        }
    }
}
