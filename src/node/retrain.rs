//! `~/retrain`: one training at a time, in a child process that cannot hurt the node.
//!
//! The child is `thumb_gesture train`; each line it prints is a [`Progress`], which goes out on `~/training`. The model it made is
//! loaded and made active here.

mod status;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use r2r::ServiceRequest;
use r2r::std_srvs::srv::Trigger;
use r2r::thumb_gesture::msg::TrainingStatus;
use r2r::thumb_gesture::srv::Retrain;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;

use super::respond;
use crate::dataset::augment::{Level, UnknownLevel};
use crate::dataset::{Dataset, DatasetError};
use crate::evaluation::Skipped;
use crate::names::UnknownName;
use crate::node::lifecycle::machine::State;
use crate::node::lifecycle::services::Current;
use crate::node::models::{ActivateError, Models};
use crate::node::params::declarations::Params;
use crate::node::ros::context::{NodeContext, Topic, duration_message, lock, or_nan};
use crate::training::strategy::Strategy;
use crate::training::{PARENT_VARIABLE, Progress, TrainingOptions};
use status::{CANCELLED, FAILED, IDLE, RUNNING, SUCCEEDED, blank_status, note};

/// Of what the child writes to its standard error, about so many bytes are kept for the message.
const LONGEST_COMPLAINT: usize = 4096;
/// What the child's log puts before a warning.
const WARNING_PREFIX: &str = " WARN ";

/// Starts, watches and cancels trainings.
pub struct Retraining {
    handle: NodeContext,
    dataset: PathBuf,
    models: Arc<Models>,
    params: Arc<Mutex<Params>>,
    current: Current,
    topic: Topic<TrainingStatus>,
    /// Set while a training runs; sending ends it.
    cancel: Mutex<Option<watch::Sender<bool>>>,
}

/// A model that was made, and whether it is to classify.
struct Made {
    id: String,
    activated: bool,
    reason: String,
}

/// How a training ended, short of success.
enum Ending {
    Cancelled,
    Failed(String),
}

impl Retraining {
    /// No training runs yet; says so on `~/training`.
    pub fn new(
        handle: NodeContext,
        models: Arc<Models>,
        params: Arc<Mutex<Params>>,
        current: Current,
        topic: Topic<TrainingStatus>,
    ) -> Retraining {
        let dataset = lock(&params).path("dataset");
        let retraining = Retraining {
            handle,
            dataset,
            models,
            params,
            current,
            topic,
            cancel: Mutex::default(),
        };
        retraining.publish(TrainingStatus {
            state: IDLE,
            message: "no training since the node started".to_owned(),
            ..blank_status()
        });
        retraining
    }

    /// True while a training runs.
    pub fn is_running(&self) -> bool {
        lock(&self.cancel).is_some()
    }

    /// Answers `~/retrain` until the node ends: starts a training, or says why not.
    pub async fn serve(
        self: Arc<Self>,
        mut requests: impl Stream<Item = ServiceRequest<Retrain::Service>> + Unpin,
    ) {
        while let Some(request) = requests.next().await {
            let response = self.answer_retrain(&request.message).await;
            respond(&self.handle, request, response);
        }
    }

    async fn answer_retrain(self: &Arc<Self>, request: &Retrain::Request) -> Retrain::Response {
        let (success, message) = match self.start(request).await {
            Ok(frames) => (
                true,
                format!("training on {frames} frames has started; follow it on ~/training"),
            ),
            Err(reason) => (false, reason),
        };
        Retrain::Response { success, message }
    }

    /// Answers `~/cancel_training`.
    pub fn answer_cancel(&self) -> Trigger::Response {
        let (success, message) = match self.cancel() {
            true => (true, "the training is being cancelled"),
            false => (false, "no training is running, or its model goes live already"),
        };
        Trigger::Response {
            success,
            message: message.to_owned(),
        }
    }

    /// Ends the running training; true where there is one.
    pub fn cancel(&self) -> bool {
        lock(&self.cancel)
            .as_ref()
            .is_some_and(|cancel| cancel.send(true).is_ok())
    }

    async fn start(self: &Arc<Self>, request: &Retrain::Request) -> Result<usize, String> {
        let arguments = arguments(request)?;
        self.may_start(&lock(&self.cancel))?;
        let directory = self.dataset.clone();
        let reading = tokio::task::spawn_blocking(move || dataset(&directory));
        let frames = reading.await.map_err(|error| error.to_string())??;
        // Asked again with the lock held: a clean-up changes the state first, and cancels then.
        let mut running = lock(&self.cancel);
        self.may_start(&running)?;
        let child = self
            .command(&arguments)
            .spawn()
            .map_err(|error| format!("cannot start the training: {error}"))?;
        let (cancel, cancelled) = watch::channel(false);
        *running = Some(cancel);
        drop(running);
        tokio::spawn(self.clone().watch(child, cancelled));
        Ok(frames)
    }

    fn may_start(&self, running: &Option<watch::Sender<bool>>) -> Result<(), String> {
        let state = self.current.get();
        if !matches!(
            state,
            State::Configuring | State::Inactive | State::Activating | State::Active | State::Deactivating
        ) {
            return Err(format!(
                "the node is {state}: it trains when it is inactive or active"
            ));
        }
        match running {
            None => Ok(()),
            Some(_) => Err("a training is running: wait for it, or call ~/cancel_training".to_owned()),
        }
    }

    fn command(&self, arguments: &[String]) -> Command {
        // The two programs are installed side by side.
        let program = std::env::current_exe()
            .unwrap_or_default()
            .with_file_name("thumb_gesture");
        let mut command = Command::new(program);
        command.arg("train").args(["--progress", "json", "--background"]);
        command.arg("--dataset").arg(absolute(&self.dataset));
        command.arg("--store").arg(absolute(self.models.store().root()));
        command.args(["--network", lock(&self.params).text("network")]);
        command.args(arguments);
        // libtorch's threads wait for each other by spinning, which beside a camera and a classifier takes three times as long.
        command.env("OMP_WAIT_POLICY", "passive");
        command.env(PARENT_VARIABLE, std::process::id().to_string());
        // Ctrl-C in a terminal goes to the node, and the node ends the child.
        command.process_group(0);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Follows a training to its end.
    async fn watch(self: Arc<Self>, mut child: Child, mut cancelled: watch::Receiver<bool>) {
        let start = Instant::now();
        let mut status = TrainingStatus {
            state: RUNNING,
            stage: "features".to_owned(),
            ..blank_status()
        };
        self.publish_running(&mut status, start);
        let result = tokio::select! {
            result = self.follow(&mut child, &mut status, start) => result,
            _ = cancelled.wait_for(|cancelled| *cancelled) => Err(Ending::Cancelled),
        };
        // Ends a child that was cancelled, and takes the exit status of one that has ended.
        let _ended_already = child.kill().await;
        // From here on it is too late to cancel.
        drop(cancelled);
        let result = match result {
            Ok(made) => self.go_live(made).await,
            Err(ending) => Err(ending),
        };
        self.end(status, result, start);
    }

    /// Publishes what the child reports; gives the new model's id.
    async fn follow(
        &self,
        child: &mut Child,
        status: &mut TrainingStatus,
        start: Instant,
    ) -> Result<Made, Ending> {
        let (Some(output), Some(complaints)) = (child.stdout.take(), child.stderr.take()) else {
            unreachable!("both were asked to be pipes");
        };
        let complaints = tokio::spawn(hear(complaints, self.handle.clone()));
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            match serde_json::from_str(&line) {
                Ok(Progress::Finished(summary)) => {
                    self.report_skipped(&summary.skipped);
                    status.accuracy = or_nan(summary.metrics.accuracy);
                    let gate = summary.gate;
                    return Ok(Made {
                        id: summary.model_id,
                        activated: gate.as_ref().is_some_and(|gate| gate.activated),
                        reason: gate.map_or_else(String::new, |gate| gate.reason),
                    });
                }
                Ok(Progress::Failed { message }) => return Err(Ending::Failed(message)),
                Ok(progress) => {
                    note(status, &progress);
                    self.publish_running(status, start);
                }
                Err(error) => self.handle.warn(&format!("the training said {line:?}: {error}")),
            }
        }
        let exit = child.wait().await;
        let complaints = complaints.await.unwrap_or_default();
        Err(Ending::Failed(died(exit.ok(), &complaints)))
    }

    /// Lets the new model classify, if it may, and deletes those that are too many.
    async fn go_live(&self, made: Made) -> Result<Made, Ending> {
        let (models, kept) = (self.models.clone(), lock(&self.params).integer("keep_models"));
        let loading = tokio::task::spawn_blocking(move || {
            if made.activated {
                models.activate(&made.id)?;
            }
            models.prune(kept);
            Ok(made)
        });
        match loading.await {
            Ok(Ok(made)) => Ok(made),
            Ok(Err(error)) => {
                let error: ActivateError = error;
                Err(Ending::Failed(format!("the new model does not run: {error}")))
            }
            Err(error) => Err(Ending::Failed(error.to_string())),
        }
    }

    fn end(&self, mut status: TrainingStatus, result: Result<Made, Ending>, start: Instant) {
        (status.state, status.message) = match result {
            Ok(Made {
                id,
                activated,
                reason,
            }) => {
                status.progress = 1.0;
                status.model_id.clone_from(&id);
                status.activated = activated;
                let message = match activated {
                    true => format!("{id} is in use: {reason}"),
                    false => format!(
                        "{id} is stored, and the running model stays: {reason}; ~/activate_model or a training with force put it in use nevertheless"
                    ),
                };
                (SUCCEEDED, message)
            }
            Err(Ending::Cancelled) => (CANCELLED, "cancelled; the running model stays".to_owned()),
            Err(Ending::Failed(reason)) => (FAILED, format!("{reason}; the running model stays")),
        };
        if status.state == FAILED {
            self.handle.error(&format!("training failed: {}", status.message));
        }
        status.stage.clear();
        status.elapsed = duration_message(start.elapsed());
        status.time_left = duration_message(Duration::ZERO);
        // First free for the next training, then say so: who hears of the end may call at once.
        *lock(&self.cancel) = None;
        self.publish(status);
    }

    fn report_skipped(&self, skipped: &[Skipped]) {
        for file in skipped {
            self.handle.warn(&format!(
                "left out of the training: {}: {}",
                file.file, file.reason
            ));
        }
    }

    fn publish_running(&self, status: &mut TrainingStatus, start: Instant) {
        let elapsed = start.elapsed();
        status.elapsed = duration_message(elapsed);
        let left = match status.progress {
            progress if progress > 0.0 => elapsed.mul_f32((1.0 - progress) / progress),
            _ => Duration::ZERO,
        };
        status.time_left = duration_message(left);
        self.publish(status.clone());
    }

    fn publish(&self, mut status: TrainingStatus) {
        status.stamp = self.handle.stamp();
        self.topic.publish(&status);
    }
}

/// Passes on what the child warns of, and gives the beginning of what else it said on its standard error, once it has ended.
async fn hear(complaints: ChildStderr, handle: NodeContext) -> String {
    let mut kept = String::new();
    let mut lines = BufReader::new(complaints).split(b'\n');
    // To the end, for a pipe that is full would stop the child.
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line);
        if let Some(warning) = line.strip_prefix(WARNING_PREFIX) {
            handle.warn(&format!("training: {warning}"));
        } else if kept.len() < LONGEST_COMPLAINT {
            kept += &line;
            kept.push('\n');
        }
    }
    kept.trim().to_owned()
}

/// The number of frames in the dataset, if there is something to tell apart in it.
fn dataset(directory: &Path) -> Result<usize, String> {
    let labels = match Dataset::read(directory) {
        Ok(dataset) if dataset.labels.len() >= 2 => return Ok(dataset.frames()),
        Ok(dataset) => dataset.labels.len(),
        Err(DatasetError::Io { cause, .. }) if cause.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(error.to_string()),
    };
    Err(format!(
        "{} holds frames of {labels} label(s); a training needs two or more: capture some with ~/capture",
        directory.display()
    ))
}

/// What is asked for, as the command line has it, or what is wrong with it.
fn arguments(request: &Retrain::Request) -> Result<Vec<String>, String> {
    let mut arguments = vec!["--seed".to_owned(), request.seed.to_string()];
    if !["", "auto"].contains(&request.strategy.as_str()) {
        let strategy: Strategy = request
            .strategy
            .parse()
            .map_err(|error: UnknownName| format!("{error}, or auto"))?;
        arguments.extend(["--strategy".to_owned(), strategy.name().to_owned()]);
    }
    if !request.augmentation.is_empty() {
        let level: Level = request
            .augmentation
            .parse()
            .map_err(|error: UnknownLevel| error.to_string())?;
        arguments.extend(["--augmentation".to_owned(), level.to_string()]);
    }
    if request.epochs > TrainingOptions::MAX_EPOCHS {
        let most = TrainingOptions::MAX_EPOCHS;
        return Err(format!("epochs must be 0 (the default) to {most}"));
    }
    if request.epochs > 0 {
        arguments.extend(["--epochs".to_owned(), request.epochs.to_string()]);
    }
    if request.force {
        arguments.push("--force".to_owned());
    }
    Ok(arguments)
}

/// What to say of a child that ended without a word.
fn died(exit: Option<ExitStatus>, complaints: &str) -> String {
    use std::os::unix::process::ExitStatusExt;
    const SIGKILL: i32 = 9;
    let how = match exit.and_then(|exit| exit.signal()) {
        Some(SIGKILL) => "the training process was killed, perhaps for want of memory".to_owned(),
        Some(signal) => format!("the training process was ended by signal {signal}"),
        None => "the training process ended before it was done".to_owned(),
    };
    match complaints {
        "" => how,
        complaints => format!("{how}: {complaints}"),
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
