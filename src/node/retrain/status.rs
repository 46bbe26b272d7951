//! What the training's child process reports, as a message.

use r2r::thumb_gesture::msg::TrainingStatus;

use crate::node::ros::context::or_nan;
use crate::training::Progress;

// The constants of `TrainingStatus.msg`; held against it by a test.
/// No training since the node started.
pub const IDLE: u8 = 0;
/// A training runs.
pub const RUNNING: u8 = 1;
/// There is a new model.
pub const SUCCEEDED: u8 = 2;
/// There is none, and the message says why.
pub const FAILED: u8 = 3;
/// Somebody ended it.
pub const CANCELLED: u8 = 4;

/// Of a training's time, the share that is over after each stage: for the progress.
const FEATURES_SHARE: f32 = 0.8;
const EPOCHS_SHARE: f32 = 0.85;
const REFIT_SHARE: f32 = 0.9;

/// A status in which nothing is measured yet.
pub fn blank_status() -> TrainingStatus {
    TrainingStatus {
        train_loss: f32::NAN,
        validation_loss: f32::NAN,
        accuracy: f32::NAN,
        ..TrainingStatus::default()
    }
}

/// Takes over what the child reports.
pub fn note(status: &mut TrainingStatus, progress: &Progress) {
    let share = |done: usize, total: usize| done as f32 / total.max(1) as f32;
    let between = |from: f32, to: f32, share: f32| from + (to - from) * share;
    let progress_now = match progress {
        Progress::Features { done, total } => {
            status.stage = "features".to_owned();
            between(0.0, FEATURES_SHARE, share(*done, *total))
        }
        Progress::Epoch(epoch) => {
            status.stage = "fit".to_owned();
            status.strategy = epoch.strategy.name().to_owned();
            (status.fold, status.folds) = (epoch.fold as u32, epoch.folds as u32);
            (status.epoch, status.epochs) = (epoch.point.epoch, epoch.epochs);
            status.train_loss = epoch.point.train_loss as f32;
            status.validation_loss = or_nan(epoch.point.validation_loss);
            status.accuracy = or_nan(epoch.point.accuracy);
            between(
                FEATURES_SHARE,
                EPOCHS_SHARE,
                share(epoch.epochs_done(), epoch.total_epochs()),
            )
        }
        Progress::Refit { epoch, epochs } => between(
            EPOCHS_SHARE,
            REFIT_SHARE,
            share(*epoch as usize, *epochs as usize),
        ),
        Progress::Export { done, total } => {
            status.stage = "export".to_owned();
            between(REFIT_SHARE, 1.0, share(*done, *total))
        }
        Progress::Finished(_) | Progress::Failed { .. } => return,
    };
    // A second strategy may be tried after the first one; what is done stays done.
    status.progress = status.progress.max(progress_now);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::FoldEpoch;
    use crate::training::report::Point;
    use crate::training::strategy::Strategy;

    #[test]
    fn the_states_are_those_of_the_message() {
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
    fn progress_only_grows() {
        let events = [
            Progress::Features { done: 1, total: 2 },
            Progress::Features { done: 2, total: 2 },
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
