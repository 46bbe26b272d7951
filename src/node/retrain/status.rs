//! `TrainingStatus` messages from the reports of the training process.

use std::time::Duration;

use r2r::thumb_gesture::msg::TrainingStatus;

use crate::node::ros::messages::{duration_message, or_nan};
use crate::text;
use crate::training::Progress;

// The states in `TrainingStatus.msg`, compared with that file by a test.
const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const SUCCEEDED: u8 = 2;
pub(super) const FAILED: u8 = 3;
const CANCELLED: u8 = 4;

// The progress at the end of each stage, 0 to 1. Estimates.
const FEATURES_END: f32 = 0.8;
const EPOCHS_END: f32 = 0.85;
const REFIT_END: f32 = 0.9;

/// The model of a training.
pub(super) struct NewModel {
    pub(super) id: String,
    /// Whether it becomes the active model.
    pub(super) is_promoted: bool,
    /// Why it is promoted, or why not.
    pub(super) reason: String,
}

/// Why a training gave no model that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrainingError {
    #[error("cancelled")]
    Cancelled,
    #[error("{0}")]
    Failed(String),
}

/// The status before the first training.
pub(super) fn idle_status() -> TrainingStatus {
    TrainingStatus {
        state: IDLE,
        message: "no training since the node started".to_owned(),
        ..unmeasured_status()
    }
}

/// The status at the start of a training.
pub(super) fn running_status() -> TrainingStatus {
    TrainingStatus {
        state: RUNNING,
        stage: "features".to_owned(),
        ..unmeasured_status()
    }
}

fn unmeasured_status() -> TrainingStatus {
    TrainingStatus {
        train_loss: f32::NAN,
        validation_loss: f32::NAN,
        accuracy: f32::NAN,
        new_scene_accuracy: f32::NAN,
        ..TrainingStatus::default()
    }
}

/// Updates the status of a running training.
pub(super) fn apply_progress(status: &mut TrainingStatus, progress: &Progress) {
    let share = |done: usize, total: usize| done as f32 / total.max(1) as f32;
    let between = |from: f32, to: f32, share: f32| from + (to - from) * share;
    let progress_now = match progress {
        Progress::Warning { message } => {
            status.warnings.push(text::message(message));
            return;
        }
        Progress::Features { done, total } => {
            status.stage = "features".to_owned();
            between(0.0, FEATURES_END, share(*done, *total))
        }
        Progress::Scenes { scenes } => {
            status.scenes = u32::try_from(*scenes).unwrap_or(u32::MAX);
            FEATURES_END
        }
        Progress::NewScenes { .. } => EPOCHS_END,
        Progress::Hands { .. } => {
            status.stage = "hands".to_owned();
            FEATURES_END
        }
        Progress::Epoch(epoch) => {
            status.stage = "fit".to_owned();
            status.strategy = epoch.strategy.to_string();
            (status.fold, status.folds) = (epoch.fold as u32, epoch.folds as u32);
            (status.epoch, status.epochs) = (epoch.point.epoch, epoch.epochs);
            status.train_loss = epoch.point.train_loss as f32;
            status.validation_loss = or_nan(epoch.point.validation_loss);
            status.accuracy = or_nan(epoch.point.accuracy);
            between(
                FEATURES_END,
                EPOCHS_END,
                share(epoch.epochs_done(), epoch.total_epochs()),
            )
        }
        Progress::Refit { epoch, epochs } => {
            between(EPOCHS_END, REFIT_END, share(*epoch as usize, *epochs as usize))
        }
        Progress::Export { done, total } => {
            status.stage = "export".to_owned();
            between(REFIT_END, 1.0, share(*done, *total))
        }
        Progress::Finished(_) | Progress::Failed { .. } => return,
    };
    // With the strategy `auto`, a second strategy may run after the first one: the progress never decreases.
    status.progress = status.progress.max(progress_now);
}

/// Extrapolates from the progress, 0 to 1; zero while that is unknown.
pub(super) fn estimate_time_left(progress: f32, elapsed: Duration) -> Duration {
    if progress > 0.0 {
        elapsed.mul_f32((1.0 - progress) / progress)
    } else {
        Duration::ZERO
    }
}

/// Completes the status at the end of a training.
pub(super) fn apply_result(status: &mut TrainingStatus, result: Result<NewModel, TrainingError>) {
    status.stage.clear();
    status.time_left = duration_message(Duration::ZERO);
    let (state, message) = match result {
        Ok(model) => {
            let (id, reason) = (&model.id, &model.reason);
            let message = if model.is_promoted {
                format!("model {id} is in use: {reason}")
            } else {
                format!(
                    "model {id} is stored but not active: {reason}; the running model stays in use, \
                     call ~/activate_model or retrain with force to use the new one anyway"
                )
            };
            status.progress = 1.0;
            status.activated = model.is_promoted;
            status.model_id = model.id;
            (SUCCEEDED, message)
        }
        Err(error) => {
            let state = match error {
                TrainingError::Cancelled => CANCELLED,
                TrainingError::Failed(_) => FAILED,
            };
            (state, format!("{error}; the running model stays in use"))
        }
    };
    (status.state, status.message) = (state, text::message(&message));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::FoldEpoch;
    use crate::training::report::Point;
    use crate::training::strategy::Strategy;

    #[test]
    fn states_match_the_message_definition() {
        let message = include_str!("../../../msg/TrainingStatus.msg");
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
    fn progress_never_decreases() {
        let events = [
            Progress::Warning {
                message: "no frames of none".to_owned(),
            },
            Progress::Features { done: 1, total: 2 },
            Progress::Features { done: 2, total: 2 },
            Progress::Scenes { scenes: 2 },
            Progress::Epoch(FoldEpoch {
                strategy: Strategy::LastLayer,
                fold: 0,
                folds: 1,
                epochs: 1,
                point: Point {
                    epoch: 1,
                    train_loss: 0.5,
                    validation_loss: None,
                    accuracy: None,
                },
            }),
            Progress::NewScenes { done: 1, total: 2 },
            Progress::Refit { epoch: 1, epochs: 1 },
            Progress::Export { done: 0, total: 4 },
            Progress::Export { done: 4, total: 4 },
        ];
        let mut status = running_status();
        let mut before = 0.0;
        for event in &events {
            apply_progress(&mut status, event);
            assert!(status.progress >= before, "{event:?}");
            before = status.progress;
        }
        assert_eq!(before, 1.0);
        assert_eq!(status.warnings, ["no frames of none"]);
        assert_eq!(status.scenes, 2);
    }
}
