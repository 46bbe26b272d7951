//! What frozen layers make of each frame and of its augmented copies: computed once, in batches, and kept on disk.
//!
//! A file's copies depend on its content, the seed and the level of augmentation alone, never on the other files, so that they
//! are found again in the [`cache`](super::cache) when frames were added.

use std::path::{Path, PathBuf};
use std::{fs, io};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use tch::{Device, TchError, Tensor};

use super::cache::{Entry, FeatureCache};
use crate::all_cores;
use crate::dataset::augment::{Augmentation, Level};
use crate::dataset::bursts::FrameFile;
use crate::dataset::fingerprint::{Fingerprint, Thumbnail};
use crate::dataset::{Dataset, Label};
use crate::disk;
use crate::evaluation::Skipped;
use crate::frame::{Frame, FrameError};
use crate::network::torch::{TorchError, TorchModule};
use crate::network::{self, Layer, Network};
use crate::preprocess::{INPUT_LEN, INPUT_SIDE_PX, Preprocessor, image_from_square, normalize};
use crate::weights::Weights;

/// Frames that go through the network together with their copies; of eight copies each, they take 43 MB.
const BATCH: usize = 8;
/// Part of the cache's keys: another number for features computed otherwise.
const VERSION: &[u8] = b"1";

/// Augmented copies of each frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Copies {
    /// Copies beside the frame itself.
    pub count: usize,
    /// How much they are changed.
    pub level: Level,
    /// The same seed gives the same copies.
    pub seed: u64,
}

/// A file of the dataset and the index of its label.
#[derive(Clone, Debug)]
pub struct LabelledFile {
    /// The file.
    pub path: PathBuf,
    /// Its label.
    pub label: Label,
    /// The label's index among the model's labels.
    pub index: usize,
}

/// The features of all frames that could be read, and of their copies.
pub struct Examples {
    /// The frames' files.
    pub files: Vec<LabelledFile>,
    /// The content and the look of each frame.
    pub frames: Vec<FrameFile>,
    /// One row for each frame, and behind it one for each of its copies.
    pub rows: Tensor,
    /// Copies of each frame.
    pub copies: usize,
    /// Files that were no images.
    pub skipped: Vec<Skipped>,
    /// How many frames were computed; the others were found in the cache.
    pub computed: usize,
}

/// Frozen layers, and where to keep what they make.
pub struct Extractor {
    module: TorchModule,
    row_shape: Vec<i64>,
    copies: Copies,
    cache: FeatureCache,
    device: Device,
}

/// A file on its way through the extractor.
enum Loaded {
    /// All of it was in the cache.
    Cached(Fingerprint, Vec<f32>),
    /// The network inputs of the frame and its copies.
    Inputs(Fingerprint, Vec<f32>),
}

/// Every frame of a dataset, its labels numbered in their order there.
pub fn labelled_files(dataset: &Dataset) -> Vec<LabelledFile> {
    let mut files = Vec::with_capacity(dataset.frame_count());
    for (index, frames) in dataset.labels.iter().enumerate() {
        files.extend(frames.files.iter().map(|path| LabelledFile {
            path: path.clone(),
            label: frames.label.clone(),
            index,
        }));
    }
    files
}

impl Extractor {
    /// Some first layers of a network with their pretrained weights; `store` is where features are kept.
    ///
    /// # Errors
    /// A weight that is missing or misshaped.
    pub fn new(
        frozen: &[Layer],
        pretrained: &Weights,
        copies: Copies,
        store: &Path,
        device: Device,
    ) -> Result<Extractor, TorchError> {
        let module = TorchModule::with_weights(frozen, pretrained, device)?;
        let shape = network::output_shape(frozen, Network::INPUT);
        let key = key(frozen, pretrained, copies)?;
        Ok(Extractor {
            module,
            row_shape: shape.dims().iter().map(|&length| length as i64).collect(),
            copies,
            cache: FeatureCache::open(store, &key, shape.value_count()),
            device,
        })
    }

    /// The features of some files and their copies.
    ///
    /// `progress` is called with how many files are done. A file that is no image is skipped and named.
    ///
    /// # Errors
    /// libtorch's word.
    pub fn examples(
        &self,
        files: &[LabelledFile],
        mut progress: impl FnMut(usize),
    ) -> Result<Examples, TorchError> {
        let mut examples = Examples {
            files: Vec::new(),
            frames: Vec::new(),
            rows: Tensor::f_from_slice::<f32>(&[])?,
            copies: self.copies.count,
            skipped: Vec::new(),
            computed: 0,
        };
        let mut rows = Vec::new();
        let mut unkept = None;
        for (number, batch) in files.chunks(BATCH).enumerate() {
            let mut fresh = Vec::new();
            for (file, loaded) in batch.iter().zip(load(batch, &self.cache, self.copies)) {
                match loaded {
                    Ok(Loaded::Cached(fingerprint, values)) => {
                        rows.push(self.tensor(&values)?);
                        examples.push(file, fingerprint);
                    }
                    Ok(Loaded::Inputs(fingerprint, inputs)) => {
                        fresh.push((rows.len(), fingerprint.clone(), inputs));
                        rows.push(Tensor::f_from_slice::<f32>(&[])?);
                        examples.push(file, fingerprint);
                    }
                    Err(error) => examples.skipped.push(Skipped::new(&file.path, &error)),
                }
            }
            examples.computed += fresh.len();
            self.compute(fresh, &mut rows, &mut unkept)?;
            progress(number * BATCH + batch.len());
        }
        if let Some(error) = unkept {
            tracing::warn!("features are not kept for the next training: {error}");
        }
        if !rows.is_empty() {
            examples.rows = Tensor::f_cat(&rows, 0)?.f_to_device(self.device)?;
        }
        Ok(examples)
    }

    /// Runs the inputs through the layers together, puts each file's rows in its place, and keeps them on disk, up to the first that cannot
    /// be kept.
    fn compute(
        &self,
        fresh: Vec<(usize, Fingerprint, Vec<f32>)>,
        rows: &mut [Tensor],
        unkept: &mut Option<io::Error>,
    ) -> Result<(), TorchError> {
        if fresh.is_empty() {
            return Ok(());
        }
        let inputs: Vec<&[f32]> = fresh.iter().map(|(_, _, inputs)| inputs.as_slice()).collect();
        let features =
            forward_frozen(&self.module, &inputs.concat(), self.device)?.f_to_device(Device::Cpu)?;
        let of_each = features.f_chunk(fresh.len() as i64, 0)?;
        for ((place, fingerprint, _), features) in fresh.into_iter().zip(of_each) {
            let entry = Entry {
                thumbnail: fingerprint.thumbnail,
                rows: Vec::try_from(features.f_flatten(0, -1)?)?,
            };
            if unkept.is_none() {
                *unkept = self.cache.write(&fingerprint.sha256, &entry).err();
            }
            rows[place] = features;
        }
        Ok(())
    }

    fn tensor(&self, values: &[f32]) -> Result<Tensor, TchError> {
        let shape: Vec<i64> = std::iter::once(-1)
            .chain(self.row_shape.iter().copied())
            .collect();
        Tensor::f_from_slice(values)?.f_reshape(shape)
    }
}

impl Examples {
    /// How many frames the examples were made of.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// The rows of some frames, each followed by those of its copies.
    ///
    /// # Errors
    /// libtorch's word.
    pub fn rows_with_copies(&self, frames: &[usize]) -> Result<Tensor, TchError> {
        let rows = frames
            .iter()
            .flat_map(|&frame| (0..=self.copies).map(move |copy| (frame, copy)));
        self.rows_of(rows)
    }

    /// The rows of some frames' copies; copy 0 is the frame itself.
    ///
    /// # Errors
    /// libtorch's word.
    pub fn rows_of(&self, picks: impl Iterator<Item = (usize, usize)>) -> Result<Tensor, TchError> {
        let each = 1 + self.copies;
        let indices: Vec<i64> = picks.map(|(frame, copy)| (frame * each + copy) as i64).collect();
        let indices = Tensor::f_from_slice(&indices)?.f_to_device(self.rows.device())?;
        self.rows.f_index_select(0, &indices)
    }

    fn push(&mut self, file: &LabelledFile, fingerprint: Fingerprint) {
        self.frames
            .push(FrameFile::new(&file.path, file.label.clone(), fingerprint));
        self.files.push(file.clone());
    }
}

/// Reads files on all cores: from the cache where it has them, else as network inputs.
fn load(files: &[LabelledFile], cache: &FeatureCache, copies: Copies) -> Vec<Result<Loaded, FrameError>> {
    on_all_cores(files, |preprocessor, file| {
        let bytes = fs::read(&file.path)?;
        let sha256 = Sha256::digest(&bytes).into();
        if let Some(entry) = cache.read(&sha256, 1 + copies.count) {
            let thumbnail = entry.thumbnail;
            return Ok(Loaded::Cached(Fingerprint { sha256, thumbnail }, entry.rows));
        }
        let square = preprocessor.square_from_frame(&Frame::from_compressed("", &bytes)?);
        let thumbnail = Thumbnail::from_square(&square);
        let inputs = inputs_of_square(&square, &sha256, copies);
        Ok(Loaded::Inputs(Fingerprint { sha256, thumbnail }, inputs))
    })
}

/// Runs frozen layers over network inputs that lie one behind the other.
///
/// # Errors
/// libtorch's word.
pub fn forward_frozen(module: &TorchModule, inputs: &[f32], device: Device) -> Result<Tensor, TorchError> {
    let side = INPUT_SIDE_PX as i64;
    let batch = Tensor::f_from_slice(inputs)?.f_reshape([-1, 3, side, side])?;
    let batch = batch.f_to_device(device)?;
    tch::no_grad(|| module.forward(&batch, false))
}

/// The network inputs of some copies of files, decoded and changed on all cores; copy 0 is the frame itself.
///
/// # Errors
/// A file that is no image any more.
pub fn inputs_of_copies(picks: &[(&LabelledFile, usize)], copies: Copies) -> Result<Vec<f32>, FrameError> {
    let inputs = on_all_cores(picks, |preprocessor, (file, copy)| {
        let bytes = fs::read(&file.path)?;
        let square = preprocessor.square_from_frame(&Frame::from_compressed("", &bytes)?);
        let image = image_from_square(&square);
        Ok(input_of_copy(
            &image,
            &Sha256::digest(&bytes).into(),
            copies,
            *copy,
        ))
    });
    let inputs: Result<Vec<_>, FrameError> = inputs.into_iter().collect();
    Ok(inputs?.concat())
}

/// The input of a frame, and behind it those of its copies.
fn inputs_of_square(square: &[u8], sha256: &[u8; 32], copies: Copies) -> Vec<f32> {
    let image = image_from_square(square);
    let inputs = (0..=copies.count).flat_map(|copy| input_of_copy(&image, sha256, copies, copy));
    inputs.collect()
}

fn input_of_copy(image: &[f32], sha256: &[u8; 32], copies: Copies, copy: usize) -> Vec<f32> {
    let mut input = image.to_vec();
    if copy > 0 {
        let mut seed = *sha256;
        seed.iter_mut()
            .zip(copies.seed.to_le_bytes())
            .for_each(|(byte, of_seed)| *byte ^= of_seed);
        let mut rng = ChaCha8Rng::from_seed(seed);
        rng.set_stream(copy as u64);
        let mut changed = vec![0.0; INPUT_LEN];
        Augmentation::random(copies.level, &mut rng).apply(&input, &mut changed);
        input = changed;
    }
    normalize(&mut input);
    input
}

/// All that the features of a file depend on, beside the file.
fn key(frozen: &[Layer], pretrained: &Weights, copies: Copies) -> Result<String, TorchError> {
    let layers = format!("{frozen:?}");
    let mut hasher = Sha256::new();
    for parameter in network::parameters(frozen) {
        let values = &pretrained.get(&parameter)?.values;
        hasher.update(bytemuck::cast_slice::<f32, u8>(values));
    }
    let ranges = format!("{:?} {}", copies.level.ranges(), copies.seed);
    Ok(disk::hash_key(&[
        VERSION,
        layers.as_bytes(),
        &hasher.finalize(),
        ranges.as_bytes(),
    ]))
}

/// What `work` makes of each item, in the items' order, worked on by all cores.
fn on_all_cores<I: Sync, T: Send>(items: &[I], work: impl Fn(&mut Preprocessor, &I) -> T + Sync) -> Vec<T> {
    let share = items.len().div_ceil(all_cores()).max(1);
    let of_share = |items: &[I]| -> Vec<T> {
        let mut preprocessor = Preprocessor::new();
        items.iter().map(|item| work(&mut preprocessor, item)).collect()
    };
    std::thread::scope(|scope| {
        let shares = items.chunks(share);
        let workers: Vec<_> = shares.map(|items| scope.spawn(|| of_share(items))).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, Vec<T>>| {
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().flat_map(join).collect()
    })
}
