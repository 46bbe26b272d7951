//! What the frozen pretrained layers make of each frame and of its augmented copies, computed once.

use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::{Device, TchError, Tensor};

use crate::all_cores;
use crate::dataset::augment::Augmentation;
use crate::evaluation::Skipped;
use crate::frame::{Frame, FrameError};
use crate::network::Network;
use crate::network::torch::{TorchError, TorchModule};
use crate::preprocess::{INPUT_LEN, INPUT_SIDE_PX, Preprocessor};
use crate::weights::Weights;

/// Frames that go through the network together with their copies; of eight copies each, they take 43 MB.
const BATCH: usize = 8;

/// Features of frames and their copies, with the indices of their labels.
pub struct Examples {
    /// One row of features for each example: each frame's, and behind it those of its copies.
    pub features: Tensor,
    /// One index for each example.
    pub labels: Tensor,
    /// The files of the frames.
    pub files: Vec<PathBuf>,
    /// Files that were no pictures.
    pub skipped: Vec<Skipped>,
    indices: Vec<i64>,
    copies: usize,
}

/// How many augmented copies of each frame, and the seed of their changes.
#[derive(Clone, Copy, Debug)]
pub struct Copies {
    /// Copies beside the frame itself.
    pub count: usize,
    /// The same seed gives the same copies.
    pub seed: u64,
}

/// The frozen layers.
pub struct Extractor {
    module: TorchModule,
    device: Device,
}

impl Copies {
    /// Many of few frames, few of many: some eight hundred examples in all, which take eight seconds on two cores.
    pub fn for_frames(frames: usize, seed: u64) -> Copies {
        const EXAMPLES: usize = 800;
        let count = (EXAMPLES / frames.max(1)).saturating_sub(1).clamp(1, 8);
        Copies { count, seed }
    }
}

impl Extractor {
    /// The network's feature layers with their pretrained weights.
    ///
    /// # Errors
    /// A weight that is missing or misshaped.
    pub fn new(network: &Network, pretrained: &Weights, device: Device) -> Result<Extractor, TorchError> {
        let module = TorchModule::with_weights(network.features(), pretrained, device)?;
        Ok(Extractor { module, device })
    }

    /// The features of some files and their copies.
    ///
    /// `progress` is called with how many files are done. A file that is no picture is skipped and named.
    ///
    /// # Errors
    /// libtorch's word.
    pub fn examples(
        &self,
        files: &[(PathBuf, usize)],
        copies: Copies,
        mut progress: impl FnMut(usize),
    ) -> Result<Examples, TorchError> {
        let mut rows = Vec::new();
        let mut indices = Vec::new();
        let (mut kept, mut skipped) = (Vec::new(), Vec::new());
        for (batch_index, batch) in files.chunks(BATCH).enumerate() {
            let mut inputs = Vec::with_capacity(batch.len() * (1 + copies.count) * INPUT_LEN);
            for ((file, label), result) in batch.iter().zip(inputs_of(batch, batch_index * BATCH, copies)) {
                match result {
                    Ok(of_file) => {
                        inputs.extend_from_slice(&of_file);
                        kept.push(file.clone());
                        indices.extend(std::iter::repeat_n(*label as i64, 1 + copies.count));
                    }
                    Err(error) => skipped.push(Skipped::new(file, &error)),
                }
            }
            if !inputs.is_empty() {
                rows.push(self.features(&inputs)?);
            }
            progress(batch_index * BATCH + batch.len());
        }
        let features = match rows.is_empty() {
            // libtorch joins a row of nothing with anything.
            true => Tensor::f_from_slice::<f32>(&[])?.f_to_device(self.device)?,
            false => Tensor::f_cat(&rows, 0)?,
        };
        Ok(Examples {
            features,
            labels: Tensor::f_from_slice(&indices)?.f_to_device(self.device)?,
            files: kept,
            skipped,
            indices,
            copies: copies.count,
        })
    }

    fn features(&self, inputs: &[f32]) -> Result<Tensor, TorchError> {
        let side = INPUT_SIDE_PX as i64;
        let batch = Tensor::f_from_slice(inputs)?.f_reshape([-1, 3, side, side])?;
        let batch = batch.f_to_device(self.device)?;
        tch::no_grad(|| self.module.forward(&batch, false))
    }
}

impl Examples {
    /// How many frames the examples were made of.
    pub fn frames(&self) -> usize {
        self.files.len()
    }

    /// How many examples there are.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// The features of the frames alone, without those of their copies.
    ///
    /// # Errors
    /// libtorch's word.
    pub fn features_of_frames(&self) -> Result<Tensor, TchError> {
        self.features
            .f_slice(0, 0, self.len() as i64, 1 + self.copies as i64)
    }

    /// The index of each frame's label.
    pub fn labels_of_frames(&self) -> impl Iterator<Item = usize> {
        self.indices
            .iter()
            .step_by(1 + self.copies)
            .map(|&index| index as usize)
    }

    /// True where there is an example of the label with this index.
    pub fn has_label(&self, index: usize) -> bool {
        self.indices.contains(&(index as i64))
    }

    /// These examples and others with as many copies.
    ///
    /// # Errors
    /// libtorch's word, such as too little memory.
    pub fn and(mut self, others: Examples) -> Result<Examples, TorchError> {
        self.features = Tensor::f_cat(&[self.features, others.features], 0)?;
        self.labels = Tensor::f_cat(&[self.labels, others.labels], 0)?;
        self.files.extend(others.files);
        self.skipped.extend(others.skipped);
        self.indices.extend(others.indices);
        Ok(self)
    }
}

/// The network inputs of each file, decoded and changed on all cores; `first` is the number of the first file.
fn inputs_of(files: &[(PathBuf, usize)], first: usize, copies: Copies) -> Vec<Result<Vec<f32>, FrameError>> {
    let share = files.len().div_ceil(all_cores()).max(1);
    let of_share = |(index, files): (usize, &[(PathBuf, usize)])| {
        let mut preprocessor = Preprocessor::new();
        let first = first + index * share;
        let inputs = files.iter().zip(first..).map(|((file, _), number)| {
            let mut rng = ChaCha8Rng::seed_from_u64(copies.seed);
            rng.set_stream(number as u64);
            inputs_of_file(&mut preprocessor, file, copies.count, &mut rng)
        });
        inputs.collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let shares = files.chunks(share).enumerate();
        let workers: Vec<_> = shares.map(|part| scope.spawn(move || of_share(part))).collect();
        workers
            .into_iter()
            .flat_map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}

/// The input of a file, and behind it those of its copies.
fn inputs_of_file(
    preprocessor: &mut Preprocessor,
    file: &Path,
    copies: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<f32>, FrameError> {
    let mut input = vec![0.0; INPUT_LEN];
    preprocessor.tensor_from_frame(&Frame::from_file(file)?, &mut input);
    let mut inputs = input.clone();
    for _ in 0..copies {
        inputs.extend(Augmentation::random(rng).apply(&input));
    }
    Ok(inputs)
}
