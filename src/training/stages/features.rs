//! Features: the output of the frozen layers for each frame and its augmented copies, computed once, in batches, and cached.
//!
//! The augmented copies of a file depend on its content, the seed and the augmentation level only, not on other files, so that
//! the [`cache`](super::cache) stays valid if frames are added.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tch::{Device, TchError, Tensor};

use super::cache::{Entry, FeatureCache};
use super::copies::{Copies, ImageOfFile, is_none};
use super::snapshot::Snapshot;
use crate::all_cores;
use crate::dataset::augment::Level;
use crate::dataset::bursts::FrameFile;
use crate::dataset::fingerprint::{Fingerprint, Thumbnail};
use crate::dataset::{Dataset, Label, SkippedFile};
use crate::disk;
use crate::frame::{Frame, FrameError, read_file};
use crate::network::torch::{TorchError, TorchModule};
use crate::network::{self, Layer, Network};
use crate::preprocess::{INPUT_SIDE_PX, Preprocessor};
use crate::weights::Weights;

/// Number of frames per forward pass; with eight copies each, their inputs take 43 MB.
const BATCH: usize = 8;
/// Part of the cache key; change it when the code computes other features for the same files:
/// 1. pixels as stored in the file;
/// 2. pixels rotated by the file's EXIF orientation.
const VERSION: &[u8] = b"2";
/// The same for copies of [`Level::Scenes`].
const SCENES_VERSION: &str = " scenes 1";

/// A file of the dataset with its label.
#[derive(Clone, Debug)]
pub(super) struct LabeledFile {
    pub(super) path: PathBuf,
    /// Where its content is read: see [`Snapshot::keep`].
    pub(super) content: PathBuf,
    pub(super) label: Label,
    /// Index of the label among the model's labels.
    pub(super) label_index: usize,
    /// The landmarks of the hand, in pixels of the frame, for [`Level::Scenes`].
    pub(super) hand: Option<Vec<[f32; 2]>>,
}

/// The features of some frames.
pub(super) struct Features {
    /// For each frame one row, followed by one for each of its copies.
    rows: Tensor,
    /// Number of augmented copies of each frame.
    copies: usize,
}

/// The readable files among some files, and their features.
pub(super) struct Extraction {
    pub(super) files: Vec<LabeledFile>,
    /// The names, times and fingerprints for grouping and splitting, in the order of `files`.
    pub(super) frames: Vec<FrameFile>,
    pub(super) features: Features,
    /// The unreadable files, each with the index of its label.
    pub(super) skipped: Vec<(usize, SkippedFile)>,
    /// Number of frames whose features were computed; those of the others were in the cache.
    pub(super) computed: usize,
}

/// Computes the features of files with frozen layers.
pub(super) struct Extractor {
    module: TorchModule,
    row_shape: Vec<i64>,
    copies: Copies,
    caches: Caches,
    device: Device,
}

/// The caches of frames with a label. Copies of [`Level::Scenes`] depend on whether it is `none`, and a file may be moved to another label.
struct Caches {
    none: FeatureCache,
    others: FeatureCache,
}

/// A file after reading, before the forward pass.
enum Loaded {
    /// The features, from the cache.
    Cached(Fingerprint, Vec<f32>),
    /// The network inputs of the frame and its copies.
    Inputs(Fingerprint, Vec<f32>),
}

/// A file whose inputs go through the network in the current batch.
struct Pending<'a> {
    /// Index among the rows.
    place: usize,
    cache: &'a FeatureCache,
    fingerprint: Fingerprint,
    inputs: Vec<f32>,
}

/// All files of a dataset; the index of a label is its position in the dataset.
pub(super) fn labeled_files(dataset: &Dataset, snapshot: &Snapshot) -> Vec<LabeledFile> {
    let mut files = Vec::with_capacity(dataset.frame_count());
    for (label_index, frames) in dataset.labels.iter().enumerate() {
        for path in &frames.files {
            files.push(LabeledFile {
                path: path.clone(),
                content: snapshot.keep(files.len(), path),
                label: frames.label.clone(),
                label_index,
                hand: None,
            });
        }
    }
    files
}

impl Extractor {
    /// An extractor with the frozen layers and their pretrained weights; the cache is in `store`, the directory of the model store.
    ///
    /// `hands_key` tells apart the hands of the files, which copies of [`Level::Scenes`] depend on.
    ///
    /// # Errors
    /// A weight is missing or has the wrong shape.
    pub(super) fn new(
        frozen: &[Layer],
        pretrained: &Weights,
        copies: Copies,
        hands_key: &str,
        store: &Path,
        device: Device,
    ) -> Result<Extractor, TorchError> {
        let module = TorchModule::with_weights(frozen, pretrained, device)?;
        let shape = network::output_shape(frozen, Network::INPUT);
        let key = cache_key(frozen, pretrained, copies)?;
        let key = match copies.level {
            Level::Scenes => disk::hash_key(&[key.as_bytes(), hands_key.as_bytes()]),
            _ => key,
        };
        let cache = |key: &str| FeatureCache::open(store, key, shape.value_count());
        let none = match copies.level {
            Level::Scenes => cache(&disk::hash_key(&[key.as_bytes(), b"none"])),
            _ => cache(&key),
        };
        Ok(Extractor {
            module,
            row_shape: shape.dims().iter().map(|&length| length as i64).collect(),
            copies,
            caches: Caches {
                none,
                others: cache(&key),
            },
            device,
        })
    }

    /// Computes the features of files and of their copies. Unreadable files are skipped.
    ///
    /// `on_progress` is called with the number of files done.
    ///
    /// # Errors
    /// libtorch reported an error.
    pub(super) fn extract(
        &self,
        files: &[LabeledFile],
        mut on_progress: impl FnMut(usize),
    ) -> Result<Extraction, TorchError> {
        let mut extraction = Extraction {
            files: Vec::new(),
            frames: Vec::new(),
            features: Features {
                rows: Tensor::f_from_slice::<f32>(&[])?,
                copies: self.copies.count,
            },
            skipped: Vec::new(),
            computed: 0,
        };
        let mut rows = Vec::new();
        let mut cache_error = None;
        for (number, batch) in files.chunks(BATCH).enumerate() {
            let mut pending = Vec::new();
            for (file, loaded) in batch.iter().zip(load(batch, &self.caches, self.copies)) {
                match loaded {
                    Ok(Loaded::Cached(fingerprint, values)) => {
                        rows.push(self.tensor(&values)?);
                        extraction.push(file, fingerprint);
                    }
                    Ok(Loaded::Inputs(fingerprint, inputs)) => {
                        pending.push(Pending {
                            place: rows.len(),
                            cache: self.caches.of(file),
                            fingerprint: fingerprint.clone(),
                            inputs,
                        });
                        rows.push(Tensor::f_from_slice::<f32>(&[])?);
                        extraction.push(file, fingerprint);
                    }
                    Err(error) => {
                        let skipped = SkippedFile::new(&file.path, &error);
                        extraction.skipped.push((file.label_index, skipped));
                    }
                }
            }
            extraction.computed += pending.len();
            self.compute(pending, &mut rows, &mut cache_error)?;
            on_progress(number * BATCH + batch.len());
        }
        if let Some(error) = cache_error {
            tracing::warn!("features are not cached for the next training: {error}");
        }
        if !rows.is_empty() {
            extraction.features.rows = Tensor::f_cat(&rows, 0)?.f_to_device(self.device)?;
        }
        Ok(extraction)
    }

    /// Computes the rows of the pending files and caches them, until an entry cannot be written.
    fn compute(
        &self,
        pending: Vec<Pending<'_>>,
        rows: &mut [Tensor],
        cache_error: &mut Option<io::Error>,
    ) -> Result<(), TorchError> {
        if pending.is_empty() {
            return Ok(());
        }
        let inputs: Vec<&[f32]> = pending.iter().map(|file| file.inputs.as_slice()).collect();
        let features =
            forward_frozen(&self.module, &inputs.concat(), self.device)?.f_to_device(Device::Cpu)?;
        let features_of_files = features.f_chunk(pending.len() as i64, 0)?;
        for (file, features) in pending.into_iter().zip(features_of_files) {
            let entry = Entry {
                thumbnail: file.fingerprint.thumbnail,
                rows: Vec::try_from(features.f_flatten(0, -1)?)?,
            };
            if cache_error.is_none() {
                *cache_error = file.cache.write(&file.fingerprint.sha256, &entry).err();
            }
            rows[file.place] = features;
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

impl Caches {
    fn of(&self, file: &LabeledFile) -> &FeatureCache {
        if is_none(&file.label) {
            &self.none
        } else {
            &self.others
        }
    }
}

impl Extraction {
    /// The unreadable files of a label.
    pub(super) fn skipped_of(&self, label: usize) -> Vec<SkippedFile> {
        let skipped = self.skipped.iter().filter(|(index, _)| *index == label);
        skipped.map(|(_, skipped)| skipped.clone()).collect()
    }

    fn push(&mut self, file: &LabeledFile, fingerprint: Fingerprint) {
        self.frames
            .push(FrameFile::new(&file.path, file.label.clone(), fingerprint));
        self.files.push(file.clone());
    }
}

impl Features {
    /// For each frame one row, followed by one for each of its copies.
    pub(super) fn new(rows: Tensor, copies: usize) -> Features {
        Features { rows, copies }
    }

    pub(super) fn copies(&self) -> usize {
        self.copies
    }

    /// The same features; the tensor is shared, not copied.
    pub(super) fn share(&self) -> Features {
        Features {
            rows: self.rows.shallow_clone(),
            copies: self.copies,
        }
    }

    /// Number of values per row.
    pub(super) fn row_values(&self) -> i64 {
        self.rows.size().iter().skip(1).product()
    }

    /// The rows of frames, each followed by those of its copies.
    ///
    /// # Errors
    /// libtorch reported an error.
    pub(super) fn rows_with_copies(&self, frames: &[usize]) -> Result<Tensor, TchError> {
        let examples = frames
            .iter()
            .flat_map(|&frame| (0..=self.copies).map(move |copy| (frame, copy)));
        self.rows_of(examples)
    }

    /// The rows of (frame, copy) pairs; copy 0 is the frame itself.
    ///
    /// # Errors
    /// libtorch reported an error.
    pub(super) fn rows_of(&self, examples: impl Iterator<Item = (usize, usize)>) -> Result<Tensor, TchError> {
        let rows_per_frame = 1 + self.copies;
        let indices: Vec<i64> = examples
            .map(|(frame, copy)| (frame * rows_per_frame + copy) as i64)
            .collect();
        let indices = Tensor::f_from_slice(&indices)?.f_to_device(self.rows.device())?;
        self.rows.f_index_select(0, &indices)
    }
}

/// Reads files on all cores: the features of cached files, the network inputs of others.
fn load(files: &[LabeledFile], caches: &Caches, copies: Copies) -> Vec<Result<Loaded, FrameError>> {
    on_all_cores(files, |preprocessor, file| {
        let bytes = read_file(&file.content)?;
        let sha256 = Sha256::digest(&bytes).into();
        if let Some(entry) = caches.of(file).read(&sha256, 1 + copies.count) {
            let thumbnail = entry.thumbnail;
            return Ok(Loaded::Cached(Fingerprint { sha256, thumbnail }, entry.rows));
        }
        let frame = Frame::from_compressed("", &bytes)?;
        let square = preprocessor.square_from_frame(&frame);
        let thumbnail = Thumbnail::from_square(&square);
        let image = ImageOfFile::new(&file.label, file.hand.as_deref(), &frame, &square, sha256);
        let inputs = (0..=copies.count).flat_map(|copy| image.input_of_copy(copies, copy));
        let inputs = inputs.collect();
        Ok(Loaded::Inputs(Fingerprint { sha256, thumbnail }, inputs))
    })
}

/// Runs frozen layers on concatenated network inputs.
///
/// # Errors
/// libtorch reported an error.
pub(super) fn forward_frozen(
    module: &TorchModule,
    inputs: &[f32],
    device: Device,
) -> Result<Tensor, TorchError> {
    let side = INPUT_SIDE_PX as i64;
    let batch = Tensor::f_from_slice(inputs)?.f_reshape([-1, 3, side, side])?;
    let batch = batch.f_to_device(device)?;
    tch::no_grad(|| module.forward(&batch, false))
}

/// The concatenated network inputs of (file, copy) pairs, decoded and augmented on all cores; copy 0 is the frame itself.
///
/// # Errors
/// A file cannot be read or decoded.
pub(super) fn inputs_of_copies(
    examples: &[(&LabeledFile, usize)],
    copies: Copies,
) -> Result<Vec<f32>, FrameError> {
    let inputs = on_all_cores(examples, |preprocessor, (file, copy)| {
        let bytes = read_file(&file.content)?;
        let frame = Frame::from_compressed("", &bytes)?;
        let square = preprocessor.square_from_frame(&frame);
        let sha256 = Sha256::digest(&bytes).into();
        let image = ImageOfFile::new(&file.label, file.hand.as_deref(), &frame, &square, sha256);
        Ok(image.input_of_copy(copies, *copy))
    });
    let inputs: Result<Vec<_>, FrameError> = inputs.into_iter().collect();
    Ok(inputs?.concat())
}

/// A hash of everything that features depend on except the file: layers, weights, augmentation and seed.
pub(super) fn cache_key(
    frozen: &[Layer],
    pretrained: &Weights,
    copies: Copies,
) -> Result<String, TorchError> {
    let layers = format!("{frozen:?}");
    let mut hasher = Sha256::new();
    for parameter in network::parameters(frozen) {
        let values = &pretrained.get(&parameter)?.values;
        hasher.update(bytemuck::cast_slice::<f32, u8>(values));
    }
    let scenes = match copies.level {
        Level::Scenes => SCENES_VERSION,
        _ => "",
    };
    let ranges = format!("{:?} {}{scenes}", copies.level.ranges(), copies.seed);
    Ok(disk::hash_key(&[
        VERSION,
        layers.as_bytes(),
        &hasher.finalize(),
        ranges.as_bytes(),
    ]))
}

/// The results of `work` for each item, in order, computed on all cores.
pub(super) fn on_all_cores<I: Sync, T: Send>(
    items: &[I],
    work: impl Fn(&mut Preprocessor, &I) -> T + Sync,
) -> Vec<T> {
    let share = items.len().div_ceil(all_cores()).max(1);
    let work_on = |items: &[I]| -> Vec<T> {
        let mut preprocessor = Preprocessor::new();
        items.iter().map(|item| work(&mut preprocessor, item)).collect()
    };
    std::thread::scope(|scope| {
        let shares = items.chunks(share);
        let workers: Vec<_> = shares.map(|items| scope.spawn(|| work_on(items))).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, Vec<T>>| {
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().flat_map(join).collect()
    })
}
