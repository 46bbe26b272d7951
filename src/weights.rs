//! Named tensors, and the safetensors files they live in.
//!
//! A file holds each tensor's values as little-endian float32, one after the other, so that an ONNX file can point into it
//! ([`places_in_file`]): a model's weights lie on disk once. What the names mean is left to [`crate::network`].

pub mod pytorch;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::network::ParameterSpec;

/// One tensor: its shape and its values in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// As many values as the dimensions multiplied.
    pub values: Vec<f32>,
}

/// Tensors by name, named as PyTorch's `state_dict` does (`features.0.weight`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
}

/// Where a tensor's bytes lie in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Bytes from the beginning of the file.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

/// Why weights cannot be read, written or used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file system's word.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        cause: std::io::Error,
    },
    /// The file is not safetensors, or is cut off.
    #[error("{path} is not a whole safetensors file: {cause}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader found.
        cause: safetensors::SafeTensorError,
    },
    /// The values are of another type.
    #[error("tensor {name} holds {dtype:?}; supported: F32, F64, F16, BF16")]
    Dtype {
        /// The tensor.
        name: String,
        /// The type found.
        dtype: Dtype,
    },
    /// A network's parameter is not there.
    #[error("tensor {0} is missing: these weights are of another network")]
    Missing(String),
    /// A parameter is there but does not fit.
    #[error("tensor {name} is {found:?}, the network wants {wanted:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it should have.
        wanted: Vec<usize>,
    },
}

impl Weights {
    /// Reads a safetensors file whole, as float32; tensors of whole numbers are left out.
    ///
    /// # Errors
    /// A file that is not there, not safetensors, cut off, or holds other values than floats and whole numbers.
    pub fn read(path: &Path) -> Result<Weights, WeightsError> {
        let bytes = std::fs::read(path).map_err(|cause| io_error(path, cause))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|cause| format_error(path, cause))?;
        let mut weights = Weights::default();
        for (name, view) in file.tensors() {
            if let Some(tensor) = tensor_from_view(&name, &view)? {
                weights.insert(name, tensor);
            }
        }
        Ok(weights)
    }

    /// Writes a safetensors file.
    ///
    /// # Errors
    /// What the file system says, such as a full disk.
    pub fn write(&self, path: &Path) -> Result<(), WeightsError> {
        let bytes = self.to_bytes(path)?;
        std::fs::write(path, &bytes).map_err(|cause| io_error(path, cause))
    }

    /// The content of a safetensors file; `path` is where it will lie.
    ///
    /// # Errors
    /// What the format cannot hold.
    pub fn to_bytes(&self, path: &Path) -> Result<Vec<u8>, WeightsError> {
        let mut views = Vec::with_capacity(self.tensors.len());
        for (name, tensor) in &self.tensors {
            let bytes = bytemuck::cast_slice(&tensor.values);
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes)
                .map_err(|cause| format_error(path, cause))?;
            views.push((name.as_str(), view));
        }
        safetensors::serialize(views, None).map_err(|cause| format_error(path, cause))
    }

    /// The names of all tensors, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The length of each dimension of a tensor; none where it is not there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.tensors.get(name)?.shape)
    }

    /// Adds a tensor, or replaces the one of that name.
    pub fn insert(&mut self, name: String, tensor: Tensor) {
        self.tensors.insert(name, tensor);
    }

    /// Adds all tensors of `other`; where both have one, that of `other` stays.
    pub fn extend(&mut self, other: Weights) {
        self.tensors.extend(other.tensors);
    }

    /// The tensor for a network's parameter.
    ///
    /// # Errors
    /// No tensor of that name, or one of another shape.
    pub fn get(&self, parameter: &ParameterSpec) -> Result<&Tensor, WeightsError> {
        let name = &parameter.name;
        let tensor = self
            .tensors
            .get(name)
            .ok_or_else(|| WeightsError::Missing(name.clone()))?;
        if tensor.shape != parameter.shape {
            return Err(WeightsError::Shape {
                name: name.clone(),
                found: tensor.shape.clone(),
                wanted: parameter.shape.clone(),
            });
        }
        Ok(tensor)
    }
}

/// Where each tensor's bytes lie in a safetensors file.
///
/// # Errors
/// A file that is not there or not safetensors.
pub fn places_in_file(path: &Path) -> Result<BTreeMap<String, Place>, WeightsError> {
    let bytes = header_bytes(path).map_err(|cause| io_error(path, cause))?;
    let header: safetensors::tensor::Metadata =
        serde_json::from_slice(&bytes[8..]).map_err(|cause| io_error(path, std::io::Error::other(cause)))?;
    let data_start = bytes.len();
    let place = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        let (start, end) = info.data_offsets;
        let place = Place {
            offset: (data_start + start) as u64,
            length: (end - start) as u64,
        };
        (name, place)
    };
    Ok(header.tensors().into_iter().map(place).collect())
}

/// The eight bytes that give the header's length, and the header.
fn header_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    const LONGEST_HEADER: u64 = 1 << 24;
    let mut reader = BufReader::new(File::open(path)?);
    let mut length = [0; 8];
    reader.read_exact(&mut length)?;
    let header_length = u64::from_le_bytes(length);
    if header_length > LONGEST_HEADER {
        return Err(std::io::Error::other("not a safetensors header"));
    }
    let mut bytes = length.to_vec();
    bytes.resize(8 + header_length as usize, 0);
    reader.read_exact(&mut bytes[8..])?;
    Ok(bytes)
}

/// The values as float32; none where they are whole numbers, such as a batch norm's count of batches.
fn tensor_from_view(name: &str, view: &TensorView) -> Result<Option<Tensor>, WeightsError> {
    let bytes = view.data();
    let values = match view.dtype() {
        Dtype::F32 => bytemuck::pod_collect_to_vec(bytes),
        Dtype::F64 => converted(bytes, |value| f64::from_le_bytes(value) as f32),
        Dtype::F16 => converted(bytes, |value| half::f16::from_le_bytes(value).to_f32()),
        Dtype::BF16 => converted(bytes, |value| half::bf16::from_le_bytes(value).to_f32()),
        Dtype::BOOL | Dtype::U8 | Dtype::I8 | Dtype::I16 | Dtype::I32 | Dtype::I64 => return Ok(None),
        dtype => {
            return Err(WeightsError::Dtype {
                name: name.to_owned(),
                dtype,
            });
        }
    };
    Ok(Some(Tensor {
        shape: view.shape().to_vec(),
        values,
    }))
}

fn converted<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&value| convert(value)).collect()
}

fn io_error(path: &Path, cause: std::io::Error) -> WeightsError {
    WeightsError::Io {
        path: path.to_owned(),
        cause,
    }
}

fn format_error(path: &Path, cause: safetensors::SafeTensorError) -> WeightsError {
    WeightsError::Format {
        path: path.to_owned(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_tensors() -> Weights {
        let mut weights = Weights::default();
        for (name, shape) in [("a.weight", vec![2, 3]), ("b.bias", vec![4])] {
            let values = (0..shape.iter().product()).map(|i| i as f32 + 0.5).collect();
            weights.insert(name.to_owned(), Tensor { shape, values });
        }
        weights
    }

    fn written(directory: &tempfile::TempDir) -> PathBuf {
        let path = directory.path().join("weights.safetensors");
        two_tensors().write(&path).expect("writes");
        path
    }

    #[test]
    fn what_is_written_is_read_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = written(&directory);
        assert_eq!(Weights::read(&path).expect("reads"), two_tensors());
    }

    #[test]
    fn places_point_at_the_values() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = written(&directory);
        let place = places_in_file(&path).expect("reads")["b.bias"];
        let bytes = std::fs::read(&path).expect("reads");
        let found = &bytes[place.offset as usize..(place.offset + place.length) as usize];
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(found);
        assert_eq!(values, [0.5, 1.5, 2.5, 3.5]);
    }

    #[test]
    fn a_truncated_file_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = written(&directory);
        let bytes = std::fs::read(&path).expect("reads");
        for kept in [0, 4, 30, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..kept]).expect("writes");
            let error = Weights::read(&path).expect_err("truncated");
            assert!(error.to_string().contains("weights.safetensors"), "{error}");
        }
    }

    #[test]
    fn a_parameter_that_is_missing_or_misshaped_is_named() {
        let parameter = |name: &str, shape: &[usize]| ParameterSpec {
            name: name.to_owned(),
            shape: shape.to_vec(),
            start: crate::network::Start::Constant(0.0),
            is_trainable: true,
        };
        let weights = two_tensors();
        let missing = weights.get(&parameter("c.weight", &[1])).expect_err("missing");
        assert!(missing.to_string().contains("c.weight"), "{missing}");
        let misshaped = weights.get(&parameter("b.bias", &[5])).expect_err("misshaped");
        assert!(misshaped.to_string().contains("[4]"), "{misshaped}");
    }
}
