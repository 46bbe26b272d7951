//! What the frozen pretrained layers make of each frame, computed once.

use std::path::PathBuf;

use tch::{Device, Tensor};

use crate::dataset::augment::flip_horizontally;
use crate::evaluation::Skipped;
use crate::frame::{Frame, FrameError};
use crate::network::Network;
use crate::network::torch::{TorchError, TorchModule};
use crate::preprocess::{INPUT_LEN, INPUT_SIDE_PX, Preprocessor};
use crate::weights::Weights;

/// Frames that go through the network together; decoded, they take 19 MB.
const BATCH: usize = 32;

/// Features of frames with the indices of their labels.
pub struct Examples {
    /// One row of features for each example.
    pub features: Tensor,
    /// One index for each example.
    pub labels: Tensor,
    /// Files that were no pictures.
    pub skipped: Vec<Skipped>,
    indices: Vec<i64>,
    frames: usize,
}

/// The frozen layers.
pub struct Extractor {
    module: TorchModule,
    device: Device,
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

    /// The features of some files; with `mirrored`, of their mirror images too.
    ///
    /// `progress` is called with how many files are done. A file that is no picture is skipped and named.
    ///
    /// # Errors
    /// libtorch's word.
    pub fn examples(
        &self,
        files: &[(PathBuf, usize)],
        mirrored: bool,
        mut progress: impl FnMut(usize),
    ) -> Result<Examples, TorchError> {
        let mut rows = Vec::new();
        let mut indices = Vec::new();
        let mut skipped = Vec::new();
        let mut done = 0;
        let mut frames = 0;
        for batch in files.chunks(BATCH) {
            let mut inputs = Vec::with_capacity(batch.len() * INPUT_LEN);
            for ((file, label), input) in batch.iter().zip(inputs_of(batch)) {
                match input {
                    Ok(input) => {
                        inputs.extend_from_slice(&input);
                        indices.push(*label as i64);
                    }
                    Err(error) => skipped.push(Skipped {
                        file: file.clone(),
                        reason: error.to_string(),
                    }),
                }
            }
            frames += inputs.len() / INPUT_LEN;
            rows.extend(self.features(&inputs)?);
            if mirrored {
                flip_horizontally(&mut inputs);
                rows.extend(self.features(&inputs)?);
                indices.extend_from_within(indices.len() - inputs.len() / INPUT_LEN..);
            }
            done += batch.len();
            progress(done);
        }
        let features = match rows.is_empty() {
            true => Tensor::from_slice::<f32>(&[]),
            false => Tensor::f_cat(&rows, 0)?,
        };
        Ok(Examples {
            features,
            labels: Tensor::f_from_slice(&indices)?.f_to_device(self.device)?,
            skipped,
            indices,
            frames,
        })
    }

    fn features(&self, inputs: &[f32]) -> Result<Option<Tensor>, TorchError> {
        let count = inputs.len() / INPUT_LEN;
        if count == 0 {
            return Ok(None);
        }
        let side = INPUT_SIDE_PX as i64;
        let batch = Tensor::f_from_slice(inputs)?.f_reshape([count as i64, 3, side, side])?;
        let batch = batch.f_to_device(self.device)?;
        tch::no_grad(|| self.module.forward(&batch, false)).map(Some)
    }
}

impl Examples {
    /// How many frames the examples were made of.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// How many examples there are.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// True where there is an example of the label with this index.
    pub fn has_label(&self, index: usize) -> bool {
        self.indices.contains(&(index as i64))
    }
}

/// The network input of each file, decoded on all cores.
fn inputs_of(files: &[(PathBuf, usize)]) -> Vec<Result<Vec<f32>, FrameError>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = files.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = files
            .chunks(share)
            .map(|files| {
                scope.spawn(move || {
                    let mut preprocessor = Preprocessor::new();
                    let input = |(file, _): &(PathBuf, usize)| {
                        let mut input = vec![0.0; INPUT_LEN];
                        preprocessor.tensor_from_frame(&Frame::from_file(file)?, &mut input);
                        Ok(input)
                    };
                    files.iter().map(input).collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
