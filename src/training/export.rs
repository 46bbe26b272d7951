//! Whether the exported files compute what the trained network does: the fp32 file must, or there is no model; the int8 file may,
//! or there is none.

use super::features::{Copies, LabelledFile, inputs_of_copies};
use super::report::ExportReport;
use super::{Progress, TrainingError};
use crate::all_cores;
use crate::classifier::Classifier;
use crate::classifier::onnx::OnnxClassifier;
use crate::dataset::augment::Level;
use crate::dataset::sample::evenly_spaced;
use crate::export::{self, Calibration};
use crate::metrics::calibration::probabilities;
use crate::model_store::manifest::Int8Agreement;
use crate::model_store::{self, Draft, INT8_FILE, ONNX_FILE};
use crate::network::Network;
use crate::network::onnx::Batch;
use crate::network::onnx::export::ExportPrecision;
use crate::network::onnx::int8::Target;
use crate::preprocess::INPUT_LEN;
use crate::probability::argmax;
use crate::weights::Weights;

/// No more frames are checked than this, spread over all.
const MOST_FRAMES: usize = 200;
/// As many frames, at most, tell between what the values lie.
pub const CALIBRATION_FRAMES: usize = 16;
/// Frames that are decoded together.
const BATCH: usize = 16;
/// The two runtimes add up thousands of products in different orders, so they differ by a part of what they add up.
const TOLERANCE: f32 = 1e-2;
/// The share of frames on which int8 may say something else than fp32 ...
const MOST_FLIPS: f64 = 0.005;
/// ... but on none of which one of them gives its prediction this probability.
const CONFIDENT: f64 = 0.6;
/// The frames themselves.
const NO_COPIES: Copies = Copies {
    count: 0,
    level: Level::Off,
    seed: 0,
};

/// A frame and the trained network's logits for it.
pub struct Checked<'a> {
    /// The file.
    pub file: &'a LabelledFile,
    /// One logit for each label.
    pub logits: &'a [f32],
}

/// A network as it goes into the draft.
pub struct Exported<'a> {
    /// The model that is being made.
    pub draft: &'a Draft,
    /// The network.
    pub network: &'a Network,
    /// All of its weights.
    pub weights: &'a Weights,
    /// The labels in the order of its outputs.
    pub labels: &'a [crate::dataset::Label],
    /// The logits are divided by it before the softmax.
    pub temperature: f64,
}

impl Exported<'_> {
    /// Writes both files, and checks them on held-out frames; an int8 file that is not accepted is removed again.
    ///
    /// `train` are frames to calibrate int8 with. Whatever goes wrong with int8, there is the fp32 file.
    ///
    /// # Errors
    /// A file in fp32 that does not run, a frame that has changed, and [`TrainingError::ExportDisagrees`].
    pub fn write(
        &self,
        train: &[&LabelledFile],
        checked: &[Checked],
        on_progress: &mut impl FnMut(Progress),
    ) -> Result<ExportReport, TrainingError> {
        self.draft
            .write_network(self.network, self.weights, self.labels, self.temperature)?;
        let written = self.write_int8(train).and_then(|()| self.load(INT8_FILE));
        let int8 = written.map_err(|error| tracing::warn!("the model gets no int8 file: {error}"));
        let report = self.check(&evenly_spaced(checked, MOST_FRAMES), int8.ok(), on_progress)?;
        let path = self.draft.path(INT8_FILE);
        if !report.int8.is_some_and(|int8| int8.accepted) && path.exists() {
            std::fs::remove_file(&path).map_err(|cause| TrainingError::Io { path, cause })?;
        }
        Ok(report)
    }

    fn write_int8(&self, train: &[&LabelledFile]) -> Result<(), TrainingError> {
        let mut calibration = Calibration::new(self.network, self.weights, &self.draft.path(""))?;
        for batch in train.chunks(BATCH) {
            for input in inputs(batch.iter().copied())?.chunks_exact(INPUT_LEN) {
                calibration.observe(input)?;
            }
        }
        let ranges = calibration.ranges();
        export::write_ranges(self.draft, ranges)?;
        let numbers = ExportPrecision::Int8 {
            ranges,
            target: Target::Cpu,
        };
        let metadata = model_store::metadata(&self.draft.id, self.labels, self.temperature);
        let path = self.draft.path(INT8_FILE);
        crate::network::onnx::export::export(
            &path,
            self.network,
            self.weights,
            numbers,
            Batch::Dynamic,
            &metadata,
        )
        .map_err(|error| TrainingError::Int8(error.into()))
    }

    fn load(&self, file: &str) -> Result<OnnxClassifier, TrainingError> {
        let classifier = OnnxClassifier::load(&self.draft.path(file), self.labels.len(), all_cores());
        Ok(classifier?)
    }

    fn check(
        &self,
        frames: &[&Checked],
        mut int8: Option<OnnxClassifier>,
        on_progress: &mut impl FnMut(Progress),
    ) -> Result<ExportReport, TrainingError> {
        let mut fp32 = self.load(ONNX_FILE)?;
        let mut onnx_difference = 0.0f32;
        let mut flips = Vec::new();
        let total = frames.len();
        for (number, batch) in frames.chunks(BATCH).enumerate() {
            on_progress(Progress::Export {
                done: number * BATCH,
                total,
            });
            let inputs = inputs(batch.iter().map(|frame| frame.file))?;
            // One after the other: in turn, each would find the other's things in the cores' caches.
            let run = |classifier: &mut OnnxClassifier| -> Result<Vec<f32>, TrainingError> {
                let mut found = vec![0.0; batch.len() * self.labels.len()];
                classifier.logits(&inputs, &mut found)?;
                Ok(found)
            };
            let of_fp32 = run(&mut fp32)?;
            let of_fp32 = of_fp32.chunks_exact(self.labels.len());
            for (frame, found) in batch.iter().zip(of_fp32.clone()) {
                onnx_difference = onnx_difference.max(agreement(found, frame.logits)?);
            }
            let of_int8 = int8.as_mut().map(run).transpose()?.unwrap_or_default();
            let pairs = of_fp32.zip(of_int8.chunks_exact(self.labels.len()));
            let differing = pairs.filter(|(fp32, int8)| argmax(fp32) != argmax(int8));
            flips.extend(differing.map(|(fp32, int8)| self.confidence(&[fp32, int8])));
        }
        on_progress(Progress::Export { done: total, total });
        Ok(ExportReport {
            onnx_difference,
            int8: int8.map(|_| classify(total, &flips)),
        })
    }

    /// The greatest probability that one of several predictions has.
    fn confidence(&self, logits: &[&[f32]]) -> f64 {
        let probabilities = logits
            .iter()
            .flat_map(|logits| probabilities(logits, self.temperature));
        probabilities.fold(0.0, f64::max)
    }
}

/// The difference of an exported file's logits from the trained network's.
///
/// # Errors
/// [`TrainingError::ExportDisagrees`].
fn agreement(found: &[f32], trained: &[f32]) -> Result<f32, TrainingError> {
    let difference = difference(found, trained);
    // Where two labels are as good as equal the predictions may differ, and no more than so little.
    let agrees = argmax(found) == argmax(trained) || difference <= TOLERANCE / 10.0;
    match difference <= TOLERANCE && agrees {
        true => Ok(difference),
        false => Err(TrainingError::ExportDisagrees { difference }),
    }
}

/// The greatest difference of a logit, in parts of the largest trained one, and of 1 where all are smaller. Infinite where one is no number.
fn difference(found: &[f32], trained: &[f32]) -> f32 {
    if !found.iter().all(|logit| logit.is_finite()) {
        return f32::INFINITY;
    }
    let largest = trained.iter().fold(1.0f32, |most, logit| most.max(logit.abs()));
    let differences = found.iter().zip(trained).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max) / largest
}

/// Whether int8 may stand for fp32; `flips` are the confidences of the frames on which they differ.
fn classify(frames: usize, flips: &[f64]) -> Int8Agreement {
    let confident_flips = flips
        .iter()
        .filter(|confidence| **confidence >= CONFIDENT)
        .count();
    Int8Agreement {
        frames,
        flips: flips.len(),
        confident_flips,
        accepted: flips.len() as f64 <= MOST_FLIPS * frames as f64 && confident_flips == 0,
    }
}

fn inputs<'a>(files: impl Iterator<Item = &'a LabelledFile>) -> Result<Vec<f32>, TrainingError> {
    let picks: Vec<(&LabelledFile, usize)> = files.map(|file| (file, 0)).collect();
    Ok(inputs_of_copies(&picks, NO_COPIES)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_logits_may_differ_by_more_and_small_ones_may_not() {
        assert_eq!(difference(&[1000.5, -3.0], &[1000.0, -3.0]), 0.5 / 1000.0);
        assert_eq!(difference(&[0.1, 0.4], &[0.1, 0.3]), 0.4 - 0.3);
        assert!(difference(&[f32::NAN, 0.3], &[0.1, 0.3]) > TOLERANCE);
        assert!(difference(&[-1000.0, 3.0], &[1000.0, 3.0]) > TOLERANCE);
    }

    #[test]
    fn int8_may_flip_one_of_two_hundred_if_neither_was_sure() {
        assert!(classify(200, &[0.5]).accepted);
        assert!(!classify(200, &[0.61]).accepted);
        assert!(!classify(199, &[0.5]).accepted);
        assert!(classify(10, &[]).accepted);
    }
}
