//! The services `~/retrain` and `~/cancel_training`, and a training from its start to the activation of its model.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures::{Stream, StreamExt};
use r2r::ServiceRequest;
use r2r::std_srvs::srv::Trigger;
use r2r::thumb_gesture::msg::TrainingStatus;
use r2r::thumb_gesture::srv::Retrain;
use tokio::sync::watch;

use crate::dataset::{Dataset, DatasetError, sweep};
use crate::node::models::Models;
use crate::node::params::Params;
use crate::node::retrain::child_process::TrainingProcess;
use crate::node::retrain::command_line::{arguments, command};
use crate::node::retrain::status::{
    FAILED, NewModel, TrainingError, apply_progress, apply_result, estimate_time_left, idle_status,
    running_status,
};
use crate::node::ros::context::NodeContext;
use crate::node::ros::messages::{duration_message, or_nan};
use crate::node::ros::service::respond;
use crate::node::ros::topic::Topic;
use crate::node::state::{NodeState, State};
use crate::sync::lock;
use crate::text;
use crate::training::{self, Progress};

/// Starts, follows and cancels trainings.
pub(crate) struct Retraining {
    context: NodeContext,
    dataset: PathBuf,
    models: Arc<Models>,
    params: Arc<Mutex<Params>>,
    state: NodeState,
    /// `~/training`.
    topic: Topic<TrainingStatus>,
    /// `Some` while a training runs. Sending `true` cancels it.
    running: Mutex<Option<watch::Sender<bool>>>,
}

impl Retraining {
    /// Starts without a training, and publishes that.
    pub(crate) fn new(
        context: NodeContext,
        models: Arc<Models>,
        params: Arc<Mutex<Params>>,
        state: NodeState,
        topic: Topic<TrainingStatus>,
    ) -> Retraining {
        let dataset = lock(&params).dataset.clone();
        let retraining = Retraining {
            context,
            dataset,
            models,
            params,
            state,
            topic,
            running: Mutex::default(),
        };
        retraining.publish(idle_status());
        retraining
    }

    pub(crate) fn is_running(&self) -> bool {
        lock(&self.running).is_some()
    }

    /// Answers `~/retrain` until the node ends.
    pub(crate) async fn serve(
        self: Arc<Self>,
        mut requests: impl Stream<Item = ServiceRequest<Retrain::Service>> + Unpin,
    ) {
        while let Some(request) = requests.next().await {
            let response = self.answer_retrain(&request.message).await;
            respond(&self.context, request, response);
        }
    }

    async fn answer_retrain(self: &Arc<Self>, request: &Retrain::Request) -> Retrain::Response {
        let (success, message) = match self.start(request).await {
            Ok(frames) => (
                true,
                format!("training on {frames} frames has started; its progress is published on ~/training"),
            ),
            Err(reason) => (false, text::message(&reason)),
        };
        Retrain::Response { success, message }
    }

    /// Answers `~/cancel_training`.
    pub(crate) fn answer_cancel(&self) -> Trigger::Response {
        let success = self.cancel();
        let message = if success {
            "the training is being cancelled"
        } else {
            "no training is running, or it has ended and its model is being activated"
        };
        Trigger::Response {
            success,
            message: message.to_owned(),
        }
    }

    /// Cancels the running training. Returns `false` if none is running, or if its process has ended.
    pub(crate) fn cancel(&self) -> bool {
        lock(&self.running)
            .as_ref()
            .is_some_and(|cancel| cancel.send(true).is_ok())
    }

    /// Starts a training, and returns the number of its frames.
    async fn start(self: &Arc<Self>, request: &Retrain::Request) -> Result<usize, String> {
        let arguments = arguments(request)?;
        self.check_can_start(&lock(&self.running))?;
        let directory = self.dataset.clone();
        let skip_empty_labels = request.skip_empty_labels;
        let counting = tokio::task::spawn_blocking(move || count_frames(&directory, skip_empty_labels));
        let frames = counting.await.map_err(|error| error.to_string())??;
        // Checked again under the lock: `cleanup` first changes the state, then cancels the training.
        let mut running = lock(&self.running);
        self.check_can_start(&running)?;
        let (network, camera_roll) = {
            let params = lock(&self.params);
            (params.network, params.camera_roll)
        };
        let store = self.models.store().root();
        let command = command(&self.dataset, store, network, camera_roll, &arguments);
        let process = TrainingProcess::spawn(command, self.context.clone())
            .map_err(|error| format!("cannot start the training process: {error}"))?;
        let (cancel, cancelled) = watch::channel(false);
        *running = Some(cancel);
        drop(running);
        tokio::spawn(self.clone().run(process, cancelled));
        Ok(frames)
    }

    fn check_can_start(&self, running: &Option<watch::Sender<bool>>) -> Result<(), String> {
        let state = self.state.get();
        if !matches!(
            state,
            State::Configuring | State::Inactive | State::Activating | State::Active | State::Deactivating
        ) {
            return Err(format!(
                "the node is {state}, must be inactive or active for a training"
            ));
        }
        if running.is_some() {
            return Err("a training is running; wait for its end, or call ~/cancel_training".to_owned());
        }
        Ok(())
    }

    /// Follows a training to its end, activates its model, and publishes the result.
    async fn run(self: Arc<Self>, mut process: TrainingProcess, mut cancelled: watch::Receiver<bool>) {
        let start = Instant::now();
        let mut status = running_status();
        self.publish_running(&mut status, start);
        let result = tokio::select! {
            result = self.follow(&mut process, &mut status, start) => result,
            _ = cancelled.wait_for(|cancelled| *cancelled) => Err(TrainingError::Cancelled),
        };
        process.kill().await;
        // What a killed process has kept of the frames.
        let root = self.dataset.clone();
        tokio::task::spawn_blocking(move || sweep(&root)).await.ok();
        // Without a receiver, `cancel` fails: it is too late.
        drop(cancelled);
        let result = match result {
            Ok(model) => self.activate(model).await,
            Err(error) => Err(error),
        };
        self.finish(status, result, start);
    }

    /// Publishes the progress of the process until it reports its result.
    async fn follow(
        &self,
        process: &mut TrainingProcess,
        status: &mut TrainingStatus,
        start: Instant,
    ) -> Result<NewModel, TrainingError> {
        while let Some(progress) = process.next_progress().await {
            match progress {
                Progress::Finished(summary) => {
                    status.accuracy = or_nan(summary.metrics.accuracy);
                    let new_scene = summary.new_scene;
                    status.new_scene_accuracy = or_nan(new_scene.map(|new_scene| new_scene.accuracy));
                    status.advice = text::message(&summary.advice);
                    let gate = summary.gate;
                    return Ok(NewModel {
                        id: summary.model_id,
                        is_promoted: gate.as_ref().is_some_and(|gate| gate.activated),
                        reason: gate.map_or_else(String::new, |gate| gate.reason),
                    });
                }
                Progress::Failed { message } => return Err(TrainingError::Failed(message)),
                progress => {
                    if let Progress::Warning { message } = &progress {
                        self.context.warn(&format!("training: {message}"));
                    }
                    apply_progress(status, &progress);
                    self.publish_running(status, start);
                }
            }
        }
        Err(TrainingError::Failed(process.wait_for_exit().await))
    }

    /// Activates the new model if it is promoted, and deletes old models.
    async fn activate(&self, model: NewModel) -> Result<NewModel, TrainingError> {
        let (models, kept) = (self.models.clone(), lock(&self.params).keep_models);
        let activating = tokio::task::spawn_blocking(move || {
            if model.is_promoted {
                models
                    .activate(&model.id)
                    .map_err(|error| format!("cannot activate the new model: {error}"))?;
            }
            models.prune(kept);
            Ok(model)
        });
        let activated = activating.await.unwrap_or_else(|panic| Err(panic.to_string()));
        activated.map_err(TrainingError::Failed)
    }

    fn finish(&self, mut status: TrainingStatus, result: Result<NewModel, TrainingError>, start: Instant) {
        apply_result(&mut status, result);
        if status.state == FAILED {
            self.context
                .error(&format!("training failed: {}", status.message));
        }
        status.elapsed = duration_message(start.elapsed());
        // Before the status is published: its subscribers may request the next training at once.
        *lock(&self.running) = None;
        self.publish(status);
    }

    fn publish_running(&self, status: &mut TrainingStatus, start: Instant) {
        let elapsed = start.elapsed();
        status.elapsed = duration_message(elapsed);
        status.time_left = duration_message(estimate_time_left(status.progress, elapsed));
        self.publish(status.clone());
    }

    fn publish(&self, mut status: TrainingStatus) {
        status.stamp = self.context.stamp();
        self.topic.publish(&status);
    }
}

/// Counts the frames in the dataset that a training can use.
fn count_frames(directory: &Path, skip_empty_labels: bool) -> Result<usize, String> {
    let too_few = |found: &str| {
        format!(
            "{} has {found}, a training needs at least two labels; capture more with ~/capture",
            directory.display()
        )
    };
    let dataset = match Dataset::read(directory) {
        Err(DatasetError::Io { cause, .. }) if cause.kind() == ErrorKind::NotFound => {
            return Err(too_few("no frames"));
        }
        dataset => dataset.map_err(|error| error.to_string())?,
    };
    match training::usable(&dataset, skip_empty_labels) {
        Ok(dataset) => Ok(dataset.frame_count()),
        Err(training::TrainingError::TooFewLabels { found, .. }) => Err(too_few(&found)),
        Err(error) => Err(error.to_string()),
    }
}
