//! The network for crops of hands, beside the stages of the network for whole images: pretrained convolutions, whose outputs a ridge
//! regression classifies.
//!
//! The copies of a crop are augmented like those of a whole image. Their flips teach the other hand.

use std::path::Path;

use tch::{Device, TchError, Tensor};

use super::cache::{Entry, FeatureCache};
use super::copies::{Copies, input_of_copy};
use super::features::{Features, cache_key, forward_frozen, on_all_cores};
use super::found_hands::Hands;
use super::landmarks::MIN_FRAMES;
use super::linear::ridge;
use super::prepare::PreparedDataset;
use super::pretrained::PretrainedNetwork;
use crate::dataset::Label;
use crate::dataset::sample::evenly_spaced;
use crate::disk;
use crate::frame::{Frame, FrameError};
use crate::hand::Region;
use crate::hand::crop::write_crop;
use crate::metrics::temperature::supported_temperature;
use crate::model_store::ModelStore;
use crate::network::torch::TorchModule;
use crate::network::{Architecture, Network, output_shape, parameters};
use crate::preprocess::{INPUT_LEN, normalize};
use crate::training::error::TrainingError;
use crate::training::progress::Progress;
use crate::weights::{self, Weights};

/// Part of the cache key; change it when the code crops hands differently.
const VERSION: &[u8] = b"1";
/// Number of frames that are read together.
const BATCH: usize = 8;
/// Maximum number of augmented copies of a crop. Eight would classify 87 instead of 81 of 100 held-out photos correctly, but every training
/// would take 7 s more for them, also if `hand` is never used.
const MAX_COPIES: usize = 2;
/// Maximum number of examples for the ridge regression, whose system of equations grows with the square of this number.
const MAX_EXAMPLES: usize = 3000;

/// The network for crops of hands of the new model.
pub(super) struct TaughtHand {
    pub(super) network: Network,
    /// All weights of the network.
    pub(super) weights: Weights,
    /// Number of frames that it was fitted to.
    pub(super) frames: usize,
    pub(super) temperature: f64,
    /// The logits of each frame; `None` without a certain hand.
    pub(super) learned: Vec<Option<Vec<f32>>>,
    /// The same by networks that were not fitted to the frame; `None` also if it was never held out.
    pub(super) held_out: Vec<Option<Vec<f32>>>,
    /// Whether each frame has a hand that was left out, because there are more than [`MAX_EXAMPLES`].
    pub(super) is_left_out: Vec<bool>,
}

/// The features of the crops.
struct CropFeatures<'a> {
    features: Features,
    /// The frames with a certain hand, in the order of the features.
    frames: Vec<usize>,
    /// The label index of each frame of the dataset.
    labels: &'a [usize],
    label_count: usize,
}

/// The linear classifier: weight (labels x features) and bias (labels).
struct Linear([Tensor; 2]);

/// Fits the network to the crops of all hands, and one for each fold. The inner error says why the model gets none.
///
/// # Errors
/// A frame cannot be read anymore, or libtorch reported an error.
pub(super) fn fit_hand(
    store: &ModelStore,
    pretrained: &PretrainedNetwork,
    prepared: &PreparedDataset,
    hands: &Hands,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Result<TaughtHand, String>, TrainingError> {
    if let Some(label) = lacking_label(prepared, hands) {
        return Ok(Err(format!(
            "fewer than {MIN_FRAMES} frames of {label} show a hand"
        )));
    }
    let network = Network::for_hands(prepared.labels.len());
    let alexnet;
    let pretrained = if pretrained.network.architecture == Architecture::AlexNet {
        pretrained
    } else {
        let full = Network::new(Architecture::AlexNet, prepared.labels.len());
        match PretrainedNetwork::load(full, store, None) {
            Ok(loaded) => alexnet = loaded,
            Err(error) => return Ok(Err(error.to_string())),
        }
        &alexnet
    };
    let crops = extract(store, pretrained, &network, prepared, hands, on_progress)?;
    let mut is_left_out: Vec<bool> = hands.crops.iter().map(Option::is_some).collect();
    crops.frames.iter().for_each(|frame| is_left_out[*frame] = false);
    let classifier = crops.fit(|_| true)?;
    let mut learned = vec![None; prepared.len()];
    crops.classify(&classifier, |_| true, &mut learned)?;
    let mut held_out = vec![None; prepared.len()];
    for fold in &prepared.split.folds {
        if crops.frames.iter().any(|frame| fold.train.contains(frame)) {
            let classifier = crops.fit(|frame| fold.train.contains(frame))?;
            crops.classify(
                &classifier,
                |frame| fold.validation.contains(frame),
                &mut held_out,
            )?;
        }
    }
    let logits: Vec<Vec<f32>> = held_out.iter().flatten().cloned().collect();
    let of_measured = |values: &[usize]| -> Vec<usize> {
        let measured = values
            .iter()
            .zip(&held_out)
            .filter(|(_, logits)| logits.is_some());
        measured.map(|(value, _)| *value).collect()
    };
    let (truths, parts) = (
        of_measured(&prepared.label_indices),
        of_measured(&prepared.parts()),
    );
    Ok(Ok(TaughtHand {
        weights: classifier.weights(&network, &pretrained.weights)?,
        network,
        frames: crops.frames.len(),
        temperature: supported_temperature(&logits, &truths, &parts),
        learned,
        held_out,
        is_left_out,
    }))
}

/// The first label of which too few hands are known to tell it from the others.
fn lacking_label<'a>(prepared: &'a PreparedDataset, hands: &Hands) -> Option<&'a Label> {
    let count = |label: usize| {
        let frames = hands.crops.iter().zip(&prepared.label_indices);
        frames
            .filter(|(crop, index)| crop.is_some() && **index == label)
            .count()
    };
    let label = (0..prepared.labels.len()).find(|label| count(*label) < MIN_FRAMES)?;
    Some(&prepared.labels[label])
}

/// Where the crop of a frame's hand is.
struct Crop<'a> {
    path: &'a Path,
    /// Of the file.
    sha256: &'a [u8; 32],
    region: Region,
}

/// The crops of frames.
///
/// # Panics
/// A frame has no certain hand.
fn crops<'a>(prepared: &'a PreparedDataset, hands: &Hands, frames: &[usize]) -> Vec<Crop<'a>> {
    let crop = |&frame: &usize| Crop {
        path: &prepared.files[frame].content,
        sha256: &prepared.fingerprint(frame).sha256,
        region: hands.crops[frame].expect("the frame has a hand"),
    };
    frames.iter().map(crop).collect()
}

impl Crop<'_> {
    /// Its image, with values from 0 to 1.
    fn image(&self) -> Result<Vec<f32>, FrameError> {
        let mut image = vec![0.0; INPUT_LEN];
        write_crop(&Frame::from_file(self.path)?, self.region, &mut image);
        Ok(image)
    }
}

/// The network inputs of the crops of frames, concatenated.
///
/// # Errors
/// A frame cannot be read anymore.
///
/// # Panics
/// A frame has no certain hand.
pub(super) fn inputs_of_crops(
    prepared: &PreparedDataset,
    hands: &Hands,
    frames: &[usize],
) -> Result<Vec<f32>, TrainingError> {
    let inputs = on_all_cores(&crops(prepared, hands, frames), |_, crop| {
        let mut input = crop.image()?;
        normalize(&mut input);
        Ok(input)
    });
    let inputs: Result<Vec<_>, FrameError> = inputs.into_iter().collect();
    Ok(inputs?.concat())
}

/// Computes the features of the crops and of their copies, unless they are cached.
fn extract<'a>(
    store: &ModelStore,
    pretrained: &PretrainedNetwork,
    network: &Network,
    prepared: &'a PreparedDataset,
    hands: &Hands,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<CropFeatures<'a>, TrainingError> {
    let with_hand = prepared.all_frames().into_iter();
    let with_hand: Vec<usize> = with_hand.filter(|frame| hands.crops[*frame].is_some()).collect();
    let frames = evenly_spaced(&with_hand, MAX_EXAMPLES);
    let frames: Vec<usize> = frames.into_iter().copied().collect();
    let all = prepared.feature_copies;
    let copies = Copies {
        count: all.count.min(MAX_COPIES).min(MAX_EXAMPLES / frames.len() - 1),
        ..all
    };
    let module = TorchModule::with_weights(network.features(), &pretrained.weights, pretrained.device)?;
    let row_values = output_shape(network.features(), Network::INPUT).value_count();
    let key = disk::hash_key(&[
        VERSION,
        cache_key(network.features(), &pretrained.weights, copies)?.as_bytes(),
        hands.cache_key.as_bytes(),
        &hands.camera_roll_deg.to_le_bytes(),
    ]);
    let cache = FeatureCache::open(store.root(), &key, row_values);
    let mut rows = Vec::with_capacity(frames.len() * (1 + copies.count) * row_values);
    for (number, batch) in frames.chunks(BATCH).enumerate() {
        let loaded = load(&crops(prepared, hands, batch), &cache, copies);
        for (loaded, &frame) in loaded.into_iter().zip(batch) {
            rows.extend(match loaded? {
                Loaded::Cached(rows) => rows,
                Loaded::Inputs(inputs) => {
                    let features = forward_frozen(&module, &inputs, pretrained.device)?;
                    let fingerprint = prepared.fingerprint(frame);
                    let entry = Entry {
                        thumbnail: fingerprint.thumbnail.clone(),
                        rows: Vec::try_from(features.f_to_device(Device::Cpu)?.f_flatten(0, -1)?)?,
                    };
                    // The training does not depend on the cache; the warning about features names the reason.
                    cache.write(&fingerprint.sha256, &entry).ok();
                    entry.rows
                }
            });
        }
        on_progress(Progress::Features {
            done: number * BATCH + batch.len(),
            total: frames.len(),
        });
    }
    let rows = Tensor::f_from_slice(&rows)?.f_reshape([-1, row_values as i64])?;
    Ok(CropFeatures {
        features: Features::new(rows, copies.count),
        frames,
        labels: &prepared.label_indices,
        label_count: prepared.labels.len(),
    })
}

/// What is known of a crop before the forward pass.
enum Loaded {
    /// The features of the crop and its copies, from the cache.
    Cached(Vec<f32>),
    /// The network inputs of both.
    Inputs(Vec<f32>),
}

fn load(crops: &[Crop], cache: &FeatureCache, copies: Copies) -> Vec<Result<Loaded, FrameError>> {
    on_all_cores(crops, |_, crop| {
        if let Some(entry) = cache.read(crop.sha256, 1 + copies.count) {
            return Ok(Loaded::Cached(entry.rows));
        }
        let image = crop.image()?;
        let inputs = (0..=copies.count).flat_map(|copy| input_of_copy(&image, crop.sha256, copies, copy));
        Ok(Loaded::Inputs(inputs.collect()))
    })
}

impl CropFeatures<'_> {
    /// Indices into the features of the frames that a condition holds for.
    fn places(&self, includes: impl Fn(&usize) -> bool) -> Vec<usize> {
        let places = 0..self.frames.len();
        places.filter(|place| includes(&self.frames[*place])).collect()
    }

    /// The ridge regression of the features of some frames. All labels have the same weight in total.
    fn fit(&self, includes: impl Fn(&usize) -> bool) -> Result<Linear, TchError> {
        let places = self.places(includes);
        let labels = places.iter().map(|place| self.labels[self.frames[*place]]);
        let mut counts = vec![0.0; self.label_count];
        labels.clone().for_each(|label| counts[label] += 1.0);
        let rows_per_frame = 1 + self.features.copies();
        let labels = labels.flat_map(|label| std::iter::repeat_n(label, rows_per_frame));
        let weights: Vec<f64> = labels.clone().map(|label| 1.0 / counts[label]).collect();
        let labels: Vec<i64> = labels.map(|label| label as i64).collect();
        let rows = self.features.rows_with_copies(&places)?;
        Ok(Linear(ridge(&rows, &labels, &weights, self.label_count)?))
    }

    /// Writes the logits of some frames, each at its index.
    fn classify(
        &self,
        Linear([weight, bias]): &Linear,
        includes: impl Fn(&usize) -> bool,
        logits: &mut [Option<Vec<f32>>],
    ) -> Result<(), TchError> {
        let places = self.places(includes);
        if places.is_empty() {
            return Ok(());
        }
        let rows = self.features.rows_of(places.iter().map(|place| (*place, 0)))?;
        let found: Vec<Vec<f32>> = Vec::try_from(rows.f_linear(weight, Some(bias))?)?;
        for (place, row) in places.into_iter().zip(found) {
            logits[self.frames[place]] = Some(row);
        }
        Ok(())
    }
}

impl Linear {
    /// All weights of the network: the pretrained ones and those of the classifier.
    fn weights(self, network: &Network, pretrained: &Weights) -> Result<Weights, TrainingError> {
        let mut weights = Weights::default();
        for parameter in parameters(network.features()) {
            weights.insert(parameter.name.clone(), pretrained.get(&parameter)?.clone());
        }
        for (parameter, tensor) in parameters(network.classifier()).into_iter().zip(self.0) {
            let values = Vec::try_from(tensor.f_flatten(0, -1)?)?;
            let shape = parameter.shape;
            weights.insert(parameter.name, weights::Tensor { shape, values });
        }
        Ok(weights)
    }
}
