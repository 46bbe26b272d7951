//! First stage: the readable frames with their features, grouped into bursts and split into folds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::TrainingError;
use super::features::{Copies, Extractor, Features, LabeledFile, labeled_files};
use super::options::TrainingOptions;
use super::plan::Plan;
use super::pretrained::PretrainedNetwork;
use super::progress::Progress;
use super::report::{DatasetReport, LabelCount};
use super::strategy::{Recipe, Strategy};
use crate::dataset::bursts::{FrameFile, LabelGroups, conflicts, group_frames};
use crate::dataset::split::{Fold, Split, hold_out, k_folds};
use crate::dataset::{Dataset, Label, SkippedFile};
use crate::disk;

/// Maximum number of labels, as many as ImageNet has.
const MAX_LABELS: usize = 1000;
/// By default, datasets with fewer frames are cross-validated, because the accuracy on a fifth of their frames would say little.
const MIN_FRAMES_FOR_HOLD_OUT: usize = 150;
/// Default number of folds of the cross-validation.
const DEFAULT_FOLDS: usize = 5;

/// The frames of a dataset, ready for training. A frame is an index into `files`.
pub(super) struct PreparedDataset {
    /// The directory of the dataset.
    root: PathBuf,
    /// In the order of the network's outputs.
    pub(super) labels: Vec<Label>,
    pub(super) files: Vec<LabeledFile>,
    /// The label index of each frame.
    pub(super) label_indices: Vec<usize>,
    /// The inputs of the last layer before any training.
    pub(super) features: Features,
    /// The number of frozen layers that computed the features.
    pub(super) feature_layers: usize,
    pub(super) feature_copies: Copies,
    pub(super) split: Split,
    /// Unreadable files.
    pub(super) skipped: Vec<SkippedFile>,
    /// Number of frames whose features were not in the cache.
    pub(super) computed_frames: usize,
    frames: Vec<FrameFile>,
    groups: Vec<LabelGroups>,
}

/// The labels of a dataset, in the order that the network's outputs will have.
///
/// # Errors
/// There are fewer than two labels, or more than [`MAX_LABELS`].
pub(super) fn labels_of(dataset: &Dataset) -> Result<Vec<Label>, TrainingError> {
    let labels: Vec<Label> = dataset.labels.iter().map(|frames| frames.label.clone()).collect();
    if labels.len() > MAX_LABELS {
        return Err(TrainingError::TooManyLabels {
            root: dataset.root.clone(),
            labels: labels.len(),
            max: MAX_LABELS,
        });
    }
    let found = match labels.as_slice() {
        [] => "no frames".to_owned(),
        [label] => format!("only frames of {label}"),
        _ => return Ok(labels),
    };
    Err(TrainingError::TooFewLabels {
        root: dataset.root.clone(),
        found,
    })
}

/// Reads the frames, computes the features for the last layer, and splits the frames. `store` is the directory of the model store, which
/// has the feature cache.
///
/// # Errors
/// A label has no readable frame, or libtorch reported an error.
pub(super) fn prepare(
    dataset: &Dataset,
    labels: Vec<Label>,
    pretrained: &PretrainedNetwork,
    store: &Path,
    options: &TrainingOptions,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<PreparedDataset, TrainingError> {
    let files = labeled_files(dataset);
    let recipe = options.recipe(Strategy::LastLayer, files.len());
    let plan = Plan::new(&pretrained.network, Strategy::LastLayer, &pretrained.weights);
    let feature_copies = copies_of(&recipe, options.seed);
    let extractor = Extractor::new(
        plan.frozen(),
        &pretrained.weights,
        feature_copies,
        store,
        pretrained.device,
    )?;
    let total = files.len();
    let extraction = extractor.extract(&files, |done| on_progress(Progress::Features { done, total }))?;
    check_every_label(dataset, &labels, &extraction.files, &extraction.skipped)?;

    let frames = extraction.frames;
    warn_of_conflicts(&frames, &extraction.files);
    let groups = group_frames(&frames);
    let split = split(&frames, &groups, options);
    Ok(PreparedDataset {
        root: dataset.root.clone(),
        labels,
        label_indices: extraction.files.iter().map(|file| file.label_index).collect(),
        files: extraction.files,
        features: extraction.features,
        feature_layers: plan.frozen().len(),
        feature_copies,
        split,
        skipped: extraction.skipped,
        computed_frames: extraction.computed,
        frames,
        groups,
    })
}

/// The augmented copies that a recipe asks for.
pub(super) fn copies_of(recipe: &Recipe, seed: u64) -> Copies {
    Copies {
        count: recipe.copies,
        level: recipe.augmentation,
        seed,
    }
}

fn warn_of_conflicts(frames: &[FrameFile], files: &[LabeledFile]) {
    for conflict in conflicts(frames) {
        let [a, b] = conflict.frames.map(|frame| files[frame].path.display());
        tracing::warn!("{a} and {b} are the same image with different labels; delete the wrong one");
    }
}

fn split(frames: &[FrameFile], groups: &[LabelGroups], options: &TrainingOptions) -> Split {
    let default_folds = if frames.len() < MIN_FRAMES_FOR_HOLD_OUT {
        DEFAULT_FOLDS
    } else {
        1
    };
    match options.folds.unwrap_or(default_folds) {
        0 | 1 => hold_out(frames, groups, options.seed),
        folds => k_folds(frames, groups, folds, options.seed),
    }
}

fn check_every_label(
    dataset: &Dataset,
    labels: &[Label],
    files: &[LabeledFile],
    skipped: &[SkippedFile],
) -> Result<(), TrainingError> {
    for (index, label) in labels.iter().enumerate() {
        if files.iter().any(|file| file.label_index == index) {
            continue;
        }
        let directory = dataset.root.join(label.as_str());
        let example = skipped
            .iter()
            .find(|skipped| Path::new(&skipped.file).starts_with(&directory));
        return Err(TrainingError::NoReadableFrames {
            label: label.clone(),
            files: dataset.frame_count_of(label),
            example: example.map_or_else(String::new, |skipped| skipped.reason.clone()),
        });
    }
    Ok(())
}

impl PreparedDataset {
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    pub(super) fn all_frames(&self) -> Vec<usize> {
        (0..self.len()).collect()
    }

    /// The label of a frame.
    pub(super) fn label_of(&self, frame: usize) -> &Label {
        &self.labels[self.label_indices[frame]]
    }

    /// SHA-256 of a frame's file, in hexadecimal.
    pub(super) fn sha256(&self, frame: usize) -> String {
        disk::hex(&self.frames[frame].fingerprint.sha256)
    }

    /// The number of frames of the label that has the fewest.
    pub(super) fn smallest_label(&self) -> usize {
        let counts = (0..self.labels.len()).map(|label| self.frames_of_label(label));
        counts.min().unwrap_or(0)
    }

    /// The part of the report about the dataset.
    pub(super) fn report(&self) -> DatasetReport {
        let summaries: Vec<String> = self.split.summaries.iter().map(ToString::to_string).collect();
        DatasetReport {
            root: self.root.display().to_string(),
            digest: self.digest(),
            labels: self.label_counts(),
            skipped: self.skipped.clone(),
            split: summaries.join("; "),
        }
    }

    /// Hash of the frames and their labels, independent of file names and order.
    fn digest(&self) -> String {
        let frames: BTreeSet<String> = (0..self.len())
            .map(|frame| format!("{} {}\n", self.label_of(frame), self.sha256(frame)))
            .collect();
        let mut hasher = Sha256::new();
        frames.iter().for_each(|frame| hasher.update(frame));
        disk::hex(&hasher.finalize())
    }

    fn label_counts(&self) -> Vec<LabelCount> {
        let count = |(index, label): (usize, &Label)| LabelCount {
            label: label.clone(),
            frames: self.frames_of_label(index),
            train: self.frames_in_folds(index, |fold| &fold.train),
            validation: self.frames_in_folds(index, |fold| &fold.validation),
            left_out: self.frames_in_folds(index, |fold| &fold.left_out),
            groups: self
                .groups
                .iter()
                .find(|groups| groups.label == *label)
                .map_or(0, |groups| groups.groups.len()),
        };
        self.labels.iter().enumerate().map(count).collect()
    }

    fn frames_of_label(&self, label: usize) -> usize {
        self.label_indices.iter().filter(|&&index| index == label).count()
    }

    /// Number of frames of a label that are in this part of at least one fold.
    fn frames_in_folds(&self, label: usize, part: fn(&Fold) -> &Vec<usize>) -> usize {
        let frames = self.split.folds.iter().flat_map(part);
        let frames = frames.filter(|&&frame| self.label_indices[frame] == label);
        frames.collect::<BTreeSet<_>>().len()
    }
}
