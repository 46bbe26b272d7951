//! The thread that owns the model: classifies the waiting frames of all cameras in one batch, publishes their gestures, and replaces
//! the model between two batches.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use r2r::thumb_gesture::msg::ModelInfo;
use tokio::sync::oneshot;

use crate::decision::UnknownReason;
use crate::node::params::Params;
use crate::node::pipeline::camera::MAX_CAMERAS;
use crate::node::pipeline::gesture_output::{GestureOutput, GestureTopics};
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

/// The model and the outputs that the thread owns, and what it shares.
pub(crate) struct ClassifierThread {
    context: NodeContext,
    params: Arc<Mutex<Params>>,
    inbox: Arc<Inbox>,
    running: RunningModel,
    /// `~/model`.
    model_topic: Arc<Topic<ModelInfo>>,
    pipeline_info: PipelineInfo,
    /// One for each camera, in the order in which they were added.
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
        model_topic: Arc<Topic<ModelInfo>>,
        pipeline_info: PipelineInfo,
        overlay: OverlaySender,
    ) -> ClassifierThread {
        ClassifierThread {
            context,
            params,
            inbox,
            running,
            model_topic,
            pipeline_info,
            outputs: Vec::new(),
            overlay,
            model: None,
            tolerance: Tolerance::default(),
            throttle: Throttle::default(),
        }
    }

    /// Runs until [`Inbox::stop`].
    pub(crate) fn run(mut self) {
        let mut batch = Batch::with_capacity(MAX_CAMERAS);
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
            Command::AddCamera(output) => return self.outputs.push(*output),
            Command::RemoveCamera(camera_index, done) => return self.remove_camera(camera_index, done),
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

    fn remove_camera(&mut self, camera_index: usize, done: oneshot::Sender<GestureTopics>) {
        let outputs = &mut self.outputs;
        if let Some(place) = outputs
            .iter()
            .position(|output| output.camera().index == camera_index)
        {
            let mut output = outputs.remove(place);
            output.publish_inactive();
            // The requester may have stopped waiting.
            done.send(output.into_topics()).ok();
        }
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
        self.pipeline_info
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
        self.model_topic.publish(&info);
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
                    let Some(output) = output_of(&mut self.outputs, *camera_index) else {
                        continue;
                    };
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
            let Some(output) = output_of(&mut self.outputs, *camera_index) else {
                continue;
            };
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
                if let Some(output) = output_of(&mut self.outputs, *camera_index) {
                    output.send_overlay(frame, &self.overlay);
                }
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
        for output in &mut self.outputs {
            // With a frame waiting, the classifier is late, not the camera.
            if output.is_due(timeout) && !self.inbox.has_frame(output.camera().index) {
                output.publish_stale();
            }
        }
    }
}

fn output_of(outputs: &mut [GestureOutput], camera_index: usize) -> Option<&mut GestureOutput> {
    outputs
        .iter_mut()
        .find(|output| output.camera().index == camera_index)
}
