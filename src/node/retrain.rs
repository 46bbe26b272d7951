//! `~/retrain`: one training at a time, in a child process that cannot hurt the node.
//!
//! The child is `thumb_gesture train`; each line it prints is a [`Progress`], which goes out on `~/training`. The model it made is
//! loaded and made active here.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use r2r::std_srvs::srv::Trigger;
use r2r::thumb_gesture::msg::TrainingStatus;
use r2r::thumb_gesture::srv::Retrain;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::handle::{NodeHandle, Topic, duration_message, lock};
use super::models::Models;
use crate::dataset::Dataset;
use crate::evaluation::Skipped;
use crate::training::{PARENT_VARIABLE, Progress, TrainingOptions};

// The constants of `TrainingStatus.msg`; held against it by a test.
const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const SUCCEEDED: u8 = 2;
const FAILED: u8 = 3;
const CANCELLED: u8 = 4;

/// Of a training's time, the share that is over after each stage: for the progress.
const FEATURES_SHARE: f32 = 0.8;
const EPOCHS_SHARE: f32 = 0.85;
const REFIT_SHARE: f32 = 0.9;
/// Of what the child writes to its standard error, so much is kept for the message.
const LONGEST_COMPLAINT: u64 = 4096;

/// Starts, watches and cancels trainings.
pub struct Retraining {
    handle: NodeHandle,
    dataset: PathBuf,
    models: Arc<Models>,
    topic: Topic<TrainingStatus>,
    /// Set while a training runs; sending ends it.
    cancel: Mutex<Option<watch::Sender<bool>>>,
}

/// How a training ended, short of success.
enum Ending {
    Cancelled,
    Failed(String),
}

impl Retraining {
    /// No training runs yet; says so on `~/training`.
    pub fn new(
        handle: NodeHandle,
        dataset: PathBuf,
        models: Arc<Models>,
        topic: Topic<TrainingStatus>,
    ) -> Retraining {
        let retraining = Retraining {
            handle,
            dataset,
            models,
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

    /// Answers `~/retrain`: starts a training on the runtime it is called in, or says why not.
    pub fn answer_retrain(self: &Arc<Self>, request: &Retrain::Request) -> Retrain::Response {
        let (success, message) = match self.start(request) {
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

    fn start(self: &Arc<Self>, request: &Retrain::Request) -> Result<usize, String> {
        if request.epochs > TrainingOptions::MOST_EPOCHS {
            return Err(format!(
                "epochs must be 0 (the default) to {}",
                TrainingOptions::MOST_EPOCHS
            ));
        }
        let mut running = lock(&self.cancel);
        if running.is_some() {
            return Err("a training is running: wait for it, or call ~/cancel_training".to_owned());
        }
        let dataset = Dataset::read(&self.dataset).map_err(|error| error.to_string())?;
        if dataset.labels.len() < 2 {
            return Err(format!(
                "{} holds frames of {} label(s); a training needs two or more: capture some with ~/capture",
                self.dataset.display(),
                dataset.labels.len()
            ));
        }
        let child = self
            .command(request)
            .spawn()
            .map_err(|error| format!("cannot start the training: {error}"))?;
        let (cancel, cancelled) = watch::channel(false);
        *running = Some(cancel);
        drop(running);
        tokio::spawn(self.clone().watch(child, cancelled));
        Ok(dataset.frames())
    }

    fn command(&self, request: &Retrain::Request) -> Command {
        // The two programs are installed side by side.
        let program = std::env::current_exe()
            .unwrap_or_default()
            .with_file_name("thumb_gesture");
        let mut command = Command::new(program);
        command
            .arg("train")
            .args(["--progress", "json", "--background", "--no-activate"]);
        command.arg("--dataset").arg(absolute(&self.dataset));
        command.arg("--store").arg(absolute(self.models.store().root()));
        command.args(["--seed", &request.seed.to_string()]);
        if request.epochs > 0 {
            command.args(["--epochs", &request.epochs.to_string()]);
        }
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
            Ok(id) => self.go_live(id).await,
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
    ) -> Result<String, Ending> {
        let (Some(output), Some(complaints)) = (child.stdout.take(), child.stderr.take()) else {
            unreachable!("both were asked to be pipes");
        };
        // Read all the while: a pipe that is full would stop the child.
        let complaints = tokio::spawn(async move {
            let mut text = Vec::new();
            let mut complaints = complaints.take(LONGEST_COMPLAINT);
            let _cut_off = complaints.read_to_end(&mut text).await;
            let _rest = tokio::io::copy(&mut complaints.into_inner(), &mut tokio::io::sink()).await;
            String::from_utf8_lossy(&text).trim().to_owned()
        });
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            match serde_json::from_str(&line) {
                Ok(Progress::Finished(summary)) => {
                    self.report_skipped(&summary.skipped);
                    status.accuracy = summary.accuracy.map_or(f32::NAN, |accuracy| accuracy as f32);
                    return Ok(summary.model_id);
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

    async fn go_live(&self, id: String) -> Result<String, Ending> {
        let models = self.models.clone();
        let loading = tokio::task::spawn_blocking(move || models.activate(&id).map(|()| id));
        match loading.await {
            Ok(Ok(id)) => Ok(id),
            Ok(Err(error)) => Err(Ending::Failed(format!("the new model does not run: {error}"))),
            Err(error) => Err(Ending::Failed(error.to_string())),
        }
    }

    fn end(&self, mut status: TrainingStatus, result: Result<String, Ending>, start: Instant) {
        (status.state, status.message) = match result {
            Ok(id) => {
                status.progress = 1.0;
                status.model_id.clone_from(&id);
                (SUCCEEDED, format!("{id} classifies"))
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

fn blank_status() -> TrainingStatus {
    TrainingStatus {
        train_loss: f32::NAN,
        validation_loss: f32::NAN,
        accuracy: f32::NAN,
        ..TrainingStatus::default()
    }
}

/// Takes over what the child reports.
fn note(status: &mut TrainingStatus, progress: &Progress) {
    let share = |done: usize, total: usize| done as f32 / total.max(1) as f32;
    let or_nan = |value: &Option<f64>| value.map_or(f32::NAN, |value| value as f32);
    match progress {
        Progress::Features { done, total } => {
            status.stage = "features".to_owned();
            status.progress = FEATURES_SHARE * share(*done, *total);
        }
        Progress::Epoch {
            epoch,
            epochs,
            train_loss,
            validation_loss,
            accuracy,
        } => {
            status.stage = "fit".to_owned();
            (status.epoch, status.epochs) = (*epoch, *epochs);
            status.train_loss = *train_loss as f32;
            status.validation_loss = or_nan(validation_loss);
            status.accuracy = or_nan(accuracy);
            let done = share(*epoch as usize, *epochs as usize);
            status.progress = FEATURES_SHARE + (EPOCHS_SHARE - FEATURES_SHARE) * done;
        }
        Progress::Refit { epoch, epochs } => {
            let done = share(*epoch as usize, *epochs as usize);
            status.progress = EPOCHS_SHARE + (REFIT_SHARE - EPOCHS_SHARE) * done;
        }
        Progress::Export { done, total } => {
            status.stage = "export".to_owned();
            status.progress = REFIT_SHARE + (1.0 - REFIT_SHARE) * share(*done, *total);
        }
        Progress::Finished(_) | Progress::Failed { .. } => {}
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_are_those_of_the_message() {
        let message = include_str!("../../msg/TrainingStatus.msg");
        let states = [
            ("IDLE", IDLE),
            ("RUNNING", RUNNING),
            ("SUCCEEDED", SUCCEEDED),
            ("FAILED", FAILED),
            ("CANCELLED", CANCELLED),
        ];
        for (name, number) in states {
            assert!(
                message
                    .lines()
                    .any(|line| line == format!("uint8 {name}={number}")),
                "{name}"
            );
        }
    }

    #[test]
    fn progress_only_grows() {
        let events = [
            Progress::Features { done: 1, total: 2 },
            Progress::Features { done: 2, total: 2 },
            Progress::Epoch {
                epoch: 1,
                epochs: 1,
                train_loss: 0.5,
                validation_loss: None,
                accuracy: None,
            },
            Progress::Refit { epoch: 1, epochs: 1 },
            Progress::Export { done: 0, total: 4 },
            Progress::Export { done: 4, total: 4 },
        ];
        let mut status = blank_status();
        let mut before = 0.0;
        for event in &events {
            note(&mut status, event);
            assert!(status.progress >= before, "{event:?}");
            before = status.progress;
        }
        assert_eq!(before, 1.0);
    }
}
