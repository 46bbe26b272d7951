//! Progress of a training in a terminal: a table of the epochs with a progress bar below.

use indicatif::ProgressBar;
use thumb_gesture::training::{FoldEpoch, Progress};

use crate::output;

/// A table with a row per epoch, or with several folds a row per fold, and a progress bar for the current stage.
#[derive(Default)]
pub(crate) struct TrainingTable {
    stage: String,
    bar: Option<ProgressBar>,
    has_header: bool,
    /// The fold of the last epoch, and the row to print for it.
    pending_row: Option<(usize, String)>,
}

impl TrainingTable {
    pub(crate) fn show(&mut self, progress: &Progress) {
        match progress {
            Progress::Warning { message } => self.warn(message),
            Progress::Features { done, total } => {
                self.bar("features", *total).set_position(*done as u64);
            }
            Progress::Scenes { .. } => {}
            Progress::NewScenes { done, total } => {
                self.print_row();
                self.bar("new scenes", *total).set_position(*done as u64);
            }
            Progress::Hands { done, total } => {
                self.bar("hands", *total).set_position(*done as u64);
            }
            Progress::Epoch(epoch) => self.show_epoch(epoch),
            Progress::Refit { epoch, epochs } => {
                self.print_row();
                self.bar("final fit", *epochs as usize)
                    .set_position(u64::from(*epoch));
            }
            Progress::Export { done, total } => {
                self.print_row();
                self.bar("export", *total).set_position(*done as u64);
            }
            Progress::Finished(_) | Progress::Failed { .. } => {}
        }
    }

    /// Leaves the last bar on the screen.
    pub(crate) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.abandon();
        }
    }

    fn warn(&self, message: &str) {
        let print = || output::print_warning(message);
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn show_epoch(&mut self, epoch: &FoldEpoch) {
        let (point, strategy) = (&epoch.point, epoch.strategy.to_string());
        let held_out_loss = point.validation_loss;
        let row = format!(
            "{strategy:>12} {:>5} {:>6} {:>11.3} {:>14} {:>9}",
            epoch.fold + 1,
            point.epoch,
            point.train_loss,
            held_out_loss.map_or("-".to_owned(), |loss| format!("{loss:.3}")),
            output::percent(point.accuracy),
        );
        let is_next_fold = self
            .pending_row
            .as_ref()
            .is_some_and(|(fold, _)| *fold != epoch.fold);
        if epoch.folds == 1 || is_next_fold {
            self.print_row();
        }
        self.bar(&strategy, epoch.total_epochs())
            .set_position(epoch.epochs_done() as u64);
        self.pending_row = Some((epoch.fold, row));
    }

    fn print_row(&mut self) {
        let (Some((_, row)), Some(bar)) = (self.pending_row.take(), &self.bar) else {
            return;
        };
        if !self.has_header {
            bar.println(format!(
                "{:>12} {:>5} {:>6} {:>11} {:>14} {:>9}",
                "strategy", "fold", "epoch", "train loss", "held-out loss", "accuracy"
            ));
            self.has_header = true;
        }
        bar.println(row);
    }

    fn bar(&mut self, stage: &str, total: usize) -> &ProgressBar {
        if self.stage != stage {
            self.print_row();
            self.finish();
            self.stage = stage.to_owned();
        }
        self.bar.get_or_insert_with(|| output::bar(stage, total))
    }
}
