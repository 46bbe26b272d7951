//! The file of a model's [`Familiarity`]: safetensors with the sketches as int8, 256 bytes per frame.

use std::io::Write;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{Familiarity, MAX_FRAMES, Sketch, Sketcher, VALUES};
use crate::disk;
use crate::weights::{WeightsError, format_error, io_error};

/// Names of the tensors.
const SKETCHES: &str = "sketches";
const DISTANCE: &str = "distance";
const FEATURES: &str = "features";
/// Maximum length of the file, with room for the header.
const MAX_FILE_BYTES: u64 = (2 * MAX_FRAMES * VALUES) as u64;

impl Familiarity {
    /// # Errors
    /// The file cannot be written, for example because the disk is full.
    pub(crate) fn write(&self, path: &Path) -> Result<(), WeightsError> {
        let sketches: Vec<i8> = self.frames.iter().flat_map(|frame| frame.values).collect();
        let features = self.features() as u64;
        let [distance, features] = [&self.distance.to_le_bytes()[..], &features.to_le_bytes()];
        let bytes = || {
            let shape = vec![self.frames.len(), VALUES];
            let sketches = TensorView::new(Dtype::I8, shape, bytemuck::cast_slice(&sketches))?;
            let tensors = [
                (SKETCHES, sketches),
                (DISTANCE, TensorView::new(Dtype::F32, vec![1], distance)?),
                (FEATURES, TensorView::new(Dtype::U64, vec![1], features)?),
            ];
            safetensors::serialize(tensors, None)
        };
        let bytes = bytes().map_err(|cause| format_error(path, cause))?;
        disk::write_atomic(path, |writer| writer.write_all(&bytes)).map_err(|cause| io_error(path, cause))
    }

    /// Reads what [`Familiarity::write`] has written, for a network with this number of features.
    ///
    /// # Errors
    /// The file is missing, damaged or truncated, or belongs to another network.
    pub(crate) fn read(path: &Path, network_features: usize) -> Result<Familiarity, WeightsError> {
        let bytes = disk::read_file(path, MAX_FILE_BYTES).map_err(|cause| io_error(path, cause))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|cause| format_error(path, cause))?;
        let data = |name: &str| {
            let tensor = file.tensor(name);
            Ok(tensor.map_err(|cause| format_error(path, cause))?.data())
        };
        let (sketches, rest) = data(SKETCHES)?.as_chunks::<VALUES>();
        let distance = data(DISTANCE)?.try_into().map_or(f32::NAN, f32::from_le_bytes);
        let features = data(FEATURES)?.try_into().map_or(0, u64::from_le_bytes);
        let is_valid = !sketches.is_empty() && rest.is_empty() && distance > 0.0 && distance.is_finite();
        if !is_valid || features == 0 || features != network_features as u64 {
            let cause =
                std::io::Error::other("it does not belong to the model's network; train the model again");
            return Err(io_error(path, cause));
        }
        let sketch = |values: &[u8; VALUES]| Sketch::new(values.map(|value| value as i8));
        Ok(Familiarity {
            sketcher: Sketcher::new(network_features),
            frames: sketches.iter().map(sketch).collect(),
            distance,
        })
    }
}
