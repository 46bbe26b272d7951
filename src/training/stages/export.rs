//! Fifth stage: export of the trained network, and comparison of the exported files with it.
//!
//! The training fails if the fp32 file computes other logits than the trained network. The int8 file is optional: it is kept if
//! its predictions agree with those of the fp32 file.

use time::OffsetDateTime;

use super::copies::Copies;
use super::features::inputs_of_copies;
use super::fit::TrainedModel;
use super::found_hands::Hands;
use super::hand::{TaughtHand, inputs_of_crops};
use super::prepare::PreparedDataset;
use super::select::Candidate;
use crate::all_cores;
use crate::classifier::Classifier;
use crate::classifier::onnx::OnnxClassifier;
use crate::dataset::Label;
use crate::dataset::augment::Level;
use crate::dataset::sample::evenly_spaced;
use crate::export::{self, Calibration};
use crate::metrics::calibration::probabilities;
use crate::model_store::manifest::Int8Agreement;
use crate::model_store::{self, Draft, ModelNetwork, ModelStore};
use crate::network::Network;
use crate::network::onnx::export::{ExportPrecision, export_for_store};
use crate::network::onnx::int8::Target;
use crate::preprocess::{INPUT_LEN, Preprocessing};
use crate::probability::argmax;
use crate::training::error::TrainingError;
use crate::training::progress::Progress;
use crate::training::report::ExportReport;
use crate::weights::Weights;

/// Maximum number of frames to compare; of more, an evenly spaced sample is compared.
const MAX_COMPARED_FRAMES: usize = 200;
/// Maximum number of frames for the int8 calibration; of more, an evenly spaced sample is used.
const MAX_CALIBRATION_FRAMES: usize = 16;
/// Number of frames that are decoded and classified together.
const BATCH: usize = 16;
/// Maximum difference of a logit between the fp32 file and the trained network, as a fraction of the largest logit. The logits are not
/// equal, because libtorch and ONNX Runtime add thousands of products in different orders.
const MAX_DIFFERENCE: f32 = 1e-2;
/// Maximum share of frames for which fp32 and int8 may predict different labels.
const MAX_FLIP_SHARE: f64 = 0.005;
/// A different prediction with at least this probability in fp32 or int8 rejects the int8 file.
const CONFIDENT_PROBABILITY: f64 = 0.6;
/// The frames themselves, without augmented copies.
const NO_COPIES: Copies = Copies {
    count: 0,
    level: Level::Off,
    seed: 0,
};

/// A model that is not published yet, with its network files.
pub(super) struct ExportedDraft {
    pub(super) draft: Draft,
    pub(super) report: ExportReport,
    /// Of the network for crops of hands; `None` if there is none.
    pub(super) hand: Option<ExportReport>,
}

/// Computes network inputs of frames.
type Inputs<'a> = dyn Fn(&[usize]) -> Result<Vec<f32>, TrainingError> + 'a;

/// Writes and compares the files of a network of a draft.
struct Exporter<'a> {
    draft: &'a Draft,
    kind: ModelNetwork,
    network: &'a Network,
    weights: &'a Weights,
    labels: &'a [Label],
    temperature: f64,
    /// The concatenated network inputs of frames.
    inputs: &'a Inputs<'a>,
}

/// A frame with the trained network's logits.
struct ComparedFrame<'a> {
    frame: usize,
    logits: &'a [f32],
}

/// Writes the files of the networks into a draft and compares them with the trained networks on held-out frames.
///
/// # Errors
/// A file cannot be written, an fp32 file does not run or computes other logits, or a frame cannot be read anymore. An int8 file
/// that cannot be made is not an error.
pub(super) fn export(
    store: &ModelStore,
    prepared: &PreparedDataset,
    selected: &Candidate,
    trained: &TrainedModel,
    temperature: f64,
    hand: Option<(&TaughtHand, &Hands)>,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<ExportedDraft, TrainingError> {
    let draft = store.draft(trained.network.name(), OffsetDateTime::now_utc())?;
    let exporter = Exporter {
        draft: &draft,
        kind: ModelNetwork::Image,
        network: &trained.network,
        weights: &trained.weights,
        labels: &prepared.labels,
        temperature,
        inputs: &|frames| {
            let files = frames.iter().map(|frame| (&prepared.files[*frame], 0));
            Ok(inputs_of_copies(&files.collect::<Vec<_>>(), NO_COPIES)?)
        },
    };
    let logits = |frame: usize| Some(trained.logits[frame].as_slice());
    let networks = 1 + usize::from(hand.is_some());
    let mut on_progress_of = |network: usize, progress: Progress| {
        on_progress(match progress {
            Progress::Export { done, total } => Progress::Export {
                done: network * total + done,
                total: networks * total,
            },
            other => other,
        });
    };
    let report = exporter.export(prepared, selected, logits, &mut |progress| {
        on_progress_of(0, progress)
    })?;
    let hand = hand.map(|(taught, hands)| {
        let exporter = Exporter {
            kind: ModelNetwork::Hand,
            network: &taught.network,
            weights: &taught.weights,
            temperature: taught.temperature,
            inputs: &|frames| inputs_of_crops(prepared, hands, frames),
            ..exporter
        };
        let logits = |frame: usize| taught.learned[frame].as_deref();
        exporter.export(prepared, selected, logits, &mut |progress| {
            on_progress_of(1, progress)
        })
    });
    let hand = hand.transpose()?;
    Ok(ExportedDraft { draft, report, hand })
}

/// A sample of the training frames of the first fold, whose held-out frames are compared afterwards.
fn calibration_frames(prepared: &PreparedDataset, is_input: impl Fn(&usize) -> bool) -> Vec<usize> {
    let all_frames = prepared.all_frames();
    let fold = prepared.split.folds.first();
    let frames = fold.map_or(&all_frames, |fold| &fold.train);
    let frames: Vec<usize> = frames.iter().copied().filter(is_input).collect();
    evenly_spaced(&frames, MAX_CALIBRATION_FRAMES)
        .into_iter()
        .copied()
        .collect()
}

/// The held-out frames, or all frames if none are held out; without the calibration frames, unless no other frames remain.
fn frames_to_compare(
    prepared: &PreparedDataset,
    selected: &Candidate,
    calibration_frames: &[usize],
    is_input: impl Fn(&usize) -> bool,
) -> Vec<usize> {
    let held_out = &selected.validation.held_out;
    let candidates = if held_out.is_empty() {
        prepared.all_frames()
    } else {
        held_out.iter().map(|held_out| held_out.frame).collect()
    };
    let candidates: Vec<usize> = candidates.into_iter().filter(is_input).collect();
    let is_independent = |frame: &usize| !calibration_frames.contains(frame);
    let independent: Vec<usize> = candidates.iter().copied().filter(is_independent).collect();
    if independent.is_empty() {
        candidates
    } else {
        independent
    }
}

impl Exporter<'_> {
    /// Writes and compares the files. `logits` are those of the trained network for a frame; `None` if it is no input of the network.
    fn export<'l>(
        &self,
        prepared: &PreparedDataset,
        selected: &Candidate,
        logits: impl Fn(usize) -> Option<&'l [f32]>,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<ExportReport, TrainingError> {
        let is_input = |frame: &usize| logits(*frame).is_some();
        let calibration = calibration_frames(prepared, is_input);
        let compared = frames_to_compare(prepared, selected, &calibration, is_input).into_iter();
        let compared = compared.filter_map(|frame| {
            let logits = logits(frame)?;
            Some(ComparedFrame { frame, logits })
        });
        self.write_and_compare(&calibration, &compared.collect::<Vec<_>>(), on_progress)
    }

    /// Removes the int8 file if its predictions do not agree with those of the fp32 file.
    fn write_and_compare(
        &self,
        calibration: &[usize],
        compared: &[ComparedFrame],
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<ExportReport, TrainingError> {
        self.draft.write_network(
            self.kind,
            self.network,
            self.weights,
            self.labels,
            self.temperature,
            &Preprocessing::IMAGENET,
        )?;
        let int8 = self
            .write_int8(calibration)
            .and_then(|()| self.load(self.kind.int8_file()))
            .map_err(|error| tracing::warn!("the model has no int8 file: {error}"))
            .ok();
        let report = self.compare(&evenly_spaced(compared, MAX_COMPARED_FRAMES), int8, on_progress)?;
        let path = self.draft.path(self.kind.int8_file());
        if !report.int8.is_some_and(|int8| int8.accepted) && path.exists() {
            std::fs::remove_file(&path).map_err(|cause| TrainingError::Io { path, cause })?;
        }
        Ok(report)
    }

    fn write_int8(&self, calibration: &[usize]) -> Result<(), TrainingError> {
        let mut ranges = Calibration::new(self.network, self.weights, &self.draft.path(""))?;
        for batch in calibration.chunks(BATCH) {
            for input in (self.inputs)(batch)?.chunks_exact(INPUT_LEN) {
                ranges.observe(input)?;
            }
        }
        let ranges = ranges.ranges();
        export::write_ranges(&self.draft.path(self.kind.ranges_file()), ranges)?;
        let precision = ExportPrecision::Int8 {
            ranges,
            target: Target::Cpu,
        };
        let metadata = model_store::metadata(
            &self.draft.id,
            self.labels,
            self.temperature,
            &Preprocessing::IMAGENET,
        );
        let path = self.draft.path(self.kind.int8_file());
        export_for_store(&path, self.network, self.weights, precision, &metadata)
            .map_err(|error| TrainingError::Int8(error.into()))
    }

    fn load(&self, file: &str) -> Result<OnnxClassifier, TrainingError> {
        let classifier = OnnxClassifier::load(&self.draft.path(file), self.labels.len(), all_cores());
        Ok(classifier?)
    }

    fn compare(
        &self,
        frames: &[&ComparedFrame],
        mut int8: Option<OnnxClassifier>,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<ExportReport, TrainingError> {
        let mut fp32 = self.load(self.kind.onnx_file())?;
        let mut onnx_difference = 0.0f32;
        let mut flips = Vec::new();
        let total = frames.len();
        for (number, batch) in frames.chunks(BATCH).enumerate() {
            on_progress(Progress::Export {
                done: number * BATCH,
                total,
            });
            let inputs = (self.inputs)(&batch.iter().map(|frame| frame.frame).collect::<Vec<_>>())?;
            // One runtime after the other: if they alternated, each would evict the other's weights from the CPU caches.
            let run = |classifier: &mut OnnxClassifier| -> Result<Vec<f32>, TrainingError> {
                let mut logits = vec![0.0; batch.len() * self.labels.len()];
                classifier.logits(&inputs, &mut logits)?;
                Ok(logits)
            };
            let fp32_logits = run(&mut fp32)?;
            let int8_logits = int8.as_mut().map(run).transpose()?.unwrap_or_default();
            let fp32_rows = fp32_logits.chunks_exact(self.labels.len());
            let int8_rows = int8_logits.chunks_exact(self.labels.len());
            for (frame, exported) in batch.iter().zip(fp32_rows.clone()) {
                onnx_difference = onnx_difference.max(check_logits(exported, frame.logits)?);
            }
            flips.extend(
                fp32_rows
                    .zip(int8_rows)
                    .filter(|(fp32, int8)| argmax(fp32) != argmax(int8))
                    .map(|(fp32, int8)| self.max_probability(fp32).max(self.max_probability(int8))),
            );
        }
        on_progress(Progress::Export { done: total, total });
        Ok(ExportReport {
            onnx_difference,
            int8: int8.map(|_| int8_agreement(total, &flips)),
        })
    }

    fn max_probability(&self, logits: &[f32]) -> f64 {
        probabilities(logits, self.temperature)
            .into_iter()
            .fold(0.0, f64::max)
    }
}

/// Returns the [`difference`] between the logits of the fp32 file and those of the trained network.
///
/// # Errors
/// The difference is too large, or it changes the prediction: [`TrainingError::ExportMismatch`].
fn check_logits(exported: &[f32], trained: &[f32]) -> Result<f32, TrainingError> {
    let difference = difference(exported, trained);
    // If two labels are almost equally probable, a small difference may change the prediction.
    let agrees = argmax(exported) == argmax(trained) || difference <= MAX_DIFFERENCE / 10.0;
    if difference <= MAX_DIFFERENCE && agrees {
        Ok(difference)
    } else {
        Err(TrainingError::ExportMismatch { difference })
    }
}

/// The largest difference of a logit, as a fraction of the largest trained logit or of 1, whichever is larger. Infinite if an
/// exported logit is not finite.
fn difference(exported: &[f32], trained: &[f32]) -> f32 {
    if !exported.iter().all(|logit| logit.is_finite()) {
        return f32::INFINITY;
    }
    let largest = trained.iter().fold(1.0f32, |max, logit| max.max(logit.abs()));
    let differences = exported.iter().zip(trained).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max) / largest
}

/// Whether the int8 file may replace the fp32 file; `flips` has the higher of the two probabilities for each frame on which their
/// predictions differ.
fn int8_agreement(frames: usize, flips: &[f64]) -> Int8Agreement {
    let confident_flips = flips
        .iter()
        .filter(|probability| **probability >= CONFIDENT_PROBABILITY)
        .count();
    Int8Agreement {
        frames,
        flips: flips.len(),
        confident_flips,
        accepted: flips.len() as f64 <= MAX_FLIP_SHARE * frames as f64 && confident_flips == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerance_is_relative_to_the_largest_logit() {
        assert_eq!(difference(&[1000.5, -3.0], &[1000.0, -3.0]), 0.5 / 1000.0);
        assert_eq!(difference(&[0.1, 0.4], &[0.1, 0.3]), 0.4 - 0.3);
        assert!(difference(&[f32::NAN, 0.3], &[0.1, 0.3]) > MAX_DIFFERENCE);
        assert!(difference(&[-1000.0, 3.0], &[1000.0, 3.0]) > MAX_DIFFERENCE);
    }

    #[test]
    fn int8_is_accepted_with_one_unconfident_flip_in_two_hundred_frames() {
        assert!(int8_agreement(200, &[0.5]).accepted);
        assert!(!int8_agreement(200, &[0.61]).accepted);
        assert!(!int8_agreement(199, &[0.5]).accepted);
        assert!(int8_agreement(10, &[]).accepted);
    }
}
