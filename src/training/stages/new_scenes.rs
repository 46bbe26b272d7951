//! Stage beside those of the network: the accuracy in scenes that no training frame shows.

use super::fit::familiarity;
use super::found_hands::Hands;
use super::landmarks::held_out_by_hand;
use super::prepare::PreparedDataset;
use super::select::Candidate;
use super::trainer::Trainer;
use crate::dataset::split::Fold;
use crate::metrics::Accuracy;
use crate::network::torch::TorchModule;
use crate::probability::argmax;
use crate::recognizer::settings::FAMILIARITY_THRESHOLD;
use crate::training::error::TrainingError;
use crate::training::progress::Progress;
use crate::training::report::SceneReport;
use crate::training::strategy::Strategy;

/// Maximum number of trainings for strategies that train more than the last layer, which take many times as long.
const MAX_SLOW_TRAININGS: usize = 2;

/// The scenes, and how well trainings without them classified their frames.
pub(super) struct MeasuredScenes {
    pub(super) reports: Vec<SceneReport>,
    /// `None` if no scene could be held out.
    pub(super) accuracy: Option<Accuracy>,
}

/// Holds out whole scenes, trains the selected strategy on the others, and classifies the held-out frames as the recognizer `auto` does: by
/// the landmarks of a certain hand, otherwise by the network if the frame is familiar. `hands` are the hands in all frames if the model
/// decides by landmarks too; without them the network alone decides.
///
/// # Errors
/// libtorch reported an error, a frame cannot be read anymore, or the training diverged.
pub(super) fn measure_new_scenes(
    prepared: &PreparedDataset,
    selected: &Candidate,
    hands: Option<&Hands>,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<MeasuredScenes, TrainingError> {
    let is_correct = outcomes(prepared, selected, hands, on_progress)?;
    let mut reports = prepared.scene_reports();
    for (report, scene) in reports.iter_mut().zip(&prepared.scenes) {
        let outcomes: Option<Vec<bool>> = scene.frames.iter().map(|&frame| is_correct[frame]).collect();
        report.new_scene_correct = outcomes.as_deref().map(count_correct);
    }
    let outcomes: Vec<bool> = is_correct.into_iter().flatten().collect();
    Ok(MeasuredScenes {
        reports,
        accuracy: Accuracy::new(count_correct(&outcomes), outcomes.len()),
    })
}

/// Whether each frame was classified correctly by a training without its scene; `None` if there was none.
fn outcomes(
    prepared: &PreparedDataset,
    selected: &Candidate,
    hands: Option<&Hands>,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Option<bool>>, TrainingError> {
    let (trainer, epochs) = (&selected.trainer, selected.validation.epochs);
    let max_folds = match trainer.recipe.strategy {
        Strategy::LastLayer => usize::MAX,
        Strategy::Classifier | Strategy::LateLayers | Strategy::Full => MAX_SLOW_TRAININGS,
    };
    let folds = &prepared.scene_folds[..prepared.scene_folds.len().min(max_folds)];
    let by_hand = match hands {
        Some(hands) => held_out_by_hand(prepared, hands, folds)?,
        None => vec![None; prepared.len()],
    };
    let mut is_correct = vec![None; prepared.len()];
    for (number, fold) in folds.iter().enumerate() {
        on_progress(Progress::NewScenes {
            done: number,
            total: folds.len(),
        });
        let trained = trainer.train(&fold.train, &[], epochs, |_| {})?;
        let logits = trainer.logits(&trained.module, &fold.validation)?;
        let is_familiar = match hands {
            Some(_) => familiar_frames(prepared, trainer, &trained.module, fold)?,
            None => vec![true; fold.validation.len()],
        };
        let classified = fold.validation.iter().zip(&logits).zip(is_familiar);
        for ((&frame, logits), is_familiar) in classified {
            let prediction = match &by_hand[frame] {
                Some(probabilities) => Some(argmax(probabilities)),
                None if is_familiar => Some(argmax(logits)),
                None => prepared.none_label(),
            };
            is_correct[frame] = Some(prediction == Some(prepared.label_indices[frame]));
        }
    }
    Ok(is_correct)
}

/// Whether each held-out frame of a fold is familiar to a model that was trained on the others.
fn familiar_frames(
    prepared: &PreparedDataset,
    trainer: &Trainer,
    module: &TorchModule,
    fold: &Fold,
) -> Result<Vec<bool>, TrainingError> {
    let (known, _) = familiarity(prepared, trainer, module, &fold.train)?;
    let sketches = trainer.sketches(module, &fold.validation, known.sketcher())?;
    let is_familiar = |sketch| known.of_sketch(sketch) >= FAMILIARITY_THRESHOLD;
    Ok(sketches.iter().map(is_familiar).collect())
}

fn count_correct(outcomes: &[bool]) -> usize {
    outcomes.iter().filter(|is_correct| **is_correct).count()
}
