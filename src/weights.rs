//! Named tensors, and reading and writing them as safetensors files.
//!
//! A safetensors file stores the values of each tensor contiguously as little-endian float32. An ONNX file can reference them
//! as external data ([`tensor_locations`]), so that a model stores its weights only once.

pub(crate) mod listing;
pub mod pytorch;

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use self::listing::{ClassNames, Listing, TensorInfo};
use crate::disk;
use crate::file_kind::FileKind;

/// Maximum length of a file that is read whole. A checkpoint of the largest network with the state of its optimizer has half of it.
const MAX_FILE_BYTES: u64 = 4 << 30;

/// A tensor: its shape, and its values in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// The values; their number is the product of the dimensions.
    pub values: Vec<f32>,
}

/// Tensors by name. The names are those of PyTorch's `state_dict`, such as `features.0.weight`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
}

/// Description of one parameter of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// Name in PyTorch's `state_dict`.
    pub name: String,
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// Values before any training.
    pub initialization: Initialization,
    /// Whether an optimizer changes it; false for running statistics.
    pub is_trainable: bool,
}

/// Values of a parameter before any training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initialization {
    /// Uniform within ±1/√fan_in, the default of PyTorch's `Conv2d` and `Linear`.
    Uniform {
        /// Number of input values of one output value.
        fan_in: usize,
    },
    /// The same value everywhere.
    Constant(f64),
}

/// Byte range of a tensor in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TensorLocation {
    /// Bytes from the beginning of the file.
    pub(crate) offset: u64,
    /// Number of bytes.
    pub(crate) length: u64,
}

/// Why weights cannot be read, written or used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// A file cannot be read or written.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        cause: std::io::Error,
    },
    /// The file is not a safetensors file.
    #[error("{path} {reason}")]
    Kind {
        /// The file.
        path: PathBuf,
        /// What it is, and what to do.
        reason: String,
    },
    /// The file is a damaged or truncated safetensors file.
    #[error("{path} is not a complete safetensors file: {cause}; copy or download it again")]
    Format {
        /// The file.
        path: PathBuf,
        /// The error of the parser.
        cause: safetensors::SafeTensorError,
    },
    /// A tensor has an unsupported data type.
    #[error("tensor {name} has the data type {dtype:?}; supported: F32, F64, F16, BF16")]
    Dtype {
        /// Name of the tensor.
        name: String,
        /// Its data type.
        dtype: Dtype,
    },
    /// A parameter of the network is missing.
    #[error("tensor {0} is missing; the weights belong to another network")]
    Missing(String),
    /// A parameter has the wrong shape.
    #[error("tensor {name} has the shape {found:?}, must be {expected:?}")]
    Shape {
        /// Name of the tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that the network requires.
        expected: Vec<usize>,
    },
}

impl Weights {
    /// Reads a safetensors file and converts all values to float32. Integer tensors are skipped.
    ///
    /// # Errors
    /// The file does not exist, is not a complete safetensors file, or holds a tensor of an unsupported data type, such as float8.
    pub fn read(path: &Path) -> Result<Weights, WeightsError> {
        check_kind(path)?;
        let bytes = disk::read_file(path, MAX_FILE_BYTES).map_err(|cause| io_error(path, cause))?;
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
    /// The file cannot be written, for example because the disk is full.
    pub fn write(&self, path: &Path) -> Result<(), WeightsError> {
        let bytes = self.to_bytes(path)?;
        disk::write_file(path, &bytes).map_err(|cause| io_error(path, cause))
    }

    /// The content of a safetensors file; `path` is for error messages.
    ///
    /// # Errors
    /// The format cannot represent the tensors.
    pub(crate) fn to_bytes(&self, path: &Path) -> Result<Vec<u8>, WeightsError> {
        let mut views = Vec::with_capacity(self.tensors.len());
        for (name, tensor) in &self.tensors {
            let bytes = bytemuck::cast_slice(&tensor.values);
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes)
                .map_err(|cause| format_error(path, cause))?;
            views.push((name.as_str(), view));
        }
        safetensors::serialize(views, None).map_err(|cause| format_error(path, cause))
    }

    /// Names of all tensors, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of a tensor; `None` if there is no tensor of that name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.tensors.get(name)?.shape)
    }

    /// The tensors whose names are keys of `names`, with the names that are the values.
    pub(crate) fn renamed(&self, names: &BTreeMap<String, String>) -> Weights {
        let renamed = |(old, new): (&String, &String)| Some((new.clone(), self.tensors.get(old)?.clone()));
        Weights {
            tensors: names.iter().filter_map(renamed).collect(),
        }
    }

    /// Adds a tensor, or replaces the tensor of that name.
    pub fn insert(&mut self, name: String, tensor: Tensor) {
        self.tensors.insert(name, tensor);
    }

    /// Adds all tensors of `other`, which replace those of the same name.
    pub fn extend(&mut self, other: Weights) {
        self.tensors.extend(other.tensors);
    }

    /// The tensor for a parameter of a network.
    ///
    /// # Errors
    /// The tensor is missing or has the wrong shape.
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
                expected: parameter.shape.clone(),
            });
        }
        Ok(tensor)
    }
}

/// Reads a safetensors file, with the list of its tensors.
///
/// # Errors
/// As [`Weights::read`].
pub(crate) fn read_with_listing(path: &Path) -> Result<(Weights, Listing), WeightsError> {
    let weights = Weights::read(path)?;
    let tensor_info = |(name, tensor): (&String, &Tensor)| TensorInfo {
        name: name.clone(),
        shape: tensor.shape.clone(),
        dict: 0,
    };
    let listing = Listing {
        tensors: weights.tensors.iter().map(tensor_info).collect(),
        class_names: class_names(path)?,
    };
    Ok((weights, listing))
}

/// The names of classes in the metadata of a safetensors file, as JSON.
fn class_names(path: &Path) -> Result<Vec<ClassNames>, WeightsError> {
    let metadata = header(path)?.0.metadata().clone().unwrap_or_default();
    let names = |(key, value): (String, String)| {
        let names = listing::class_names_from_json(&value)?;
        listing::is_class_key(&key).then_some(ClassNames { key, names })
    };
    Ok(metadata.into_iter().filter_map(names).collect())
}

/// The byte range of each tensor in a safetensors file.
///
/// # Errors
/// The file does not exist or is not a safetensors file.
pub(crate) fn tensor_locations(path: &Path) -> Result<BTreeMap<String, TensorLocation>, WeightsError> {
    let (header, data_start) = header(path)?;
    let location = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        let (start, end) = info.data_offsets;
        let location = TensorLocation {
            offset: (data_start + start) as u64,
            length: (end - start) as u64,
        };
        (name, location)
    };
    Ok(header.tensors().into_iter().map(location).collect())
}

/// # Errors
/// The file cannot be read, or is something else than a safetensors file.
fn check_kind(path: &Path) -> Result<(), WeightsError> {
    let kind = FileKind::of_file(path).map_err(|cause| io_error(path, cause))?;
    let fix = match kind {
        FileKind::Safetensors => return Ok(()),
        FileKind::PytorchZip | FileKind::PytorchLegacy => "import it with `thumb_gesture import-weights`",
        _ => "pass a .safetensors file",
    };
    Err(WeightsError::Kind {
        path: path.to_owned(),
        reason: kind.mismatch("a safetensors file", fix),
    })
}

/// The header of a safetensors file, and the number of bytes before the values.
fn header(path: &Path) -> Result<(safetensors::tensor::Metadata, usize), WeightsError> {
    check_kind(path)?;
    let bytes = header_bytes(path).map_err(|cause| io_error(path, cause))?;
    let header =
        serde_json::from_slice(&bytes[8..]).map_err(|cause| io_error(path, std::io::Error::other(cause)))?;
    Ok((header, bytes.len()))
}

/// The header with the eight bytes before it, which hold its length.
fn header_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    const MAX_HEADER_BYTES: u64 = 1 << 24;
    let mut reader = BufReader::new(disk::open_file(path)?);
    let mut length = [0; 8];
    reader.read_exact(&mut length)?;
    let header_length = u64::from_le_bytes(length);
    if header_length > MAX_HEADER_BYTES {
        return Err(std::io::Error::other("not a safetensors header"));
    }
    let mut bytes = length.to_vec();
    bytes.resize(8 + header_length as usize, 0);
    reader.read_exact(&mut bytes[8..])?;
    Ok(bytes)
}

/// The tensor as float32; `None` for integers, such as the `num_batches_tracked` of a batch normalization.
fn tensor_from_view(name: &str, view: &TensorView) -> Result<Option<Tensor>, WeightsError> {
    let bytes = view.data();
    let values = match view.dtype() {
        Dtype::F32 => bytemuck::pod_collect_to_vec(bytes),
        Dtype::F64 => convert_each(bytes, |value| f64::from_le_bytes(value) as f32),
        Dtype::F16 => convert_each(bytes, |value| half::f16::from_le_bytes(value).to_f32()),
        Dtype::BF16 => convert_each(bytes, |value| half::bf16::from_le_bytes(value).to_f32()),
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

fn convert_each<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&value| convert(value)).collect()
}

pub(crate) fn io_error(path: &Path, cause: std::io::Error) -> WeightsError {
    WeightsError::Io {
        path: path.to_owned(),
        cause,
    }
}

pub(crate) fn format_error(path: &Path, cause: safetensors::SafeTensorError) -> WeightsError {
    WeightsError::Format {
        path: path.to_owned(),
        cause,
    }
}

/// The directory of the weights installed with this program; the environment variable `THUMB_GESTURE_PRETRAINED` selects another one.
pub fn installed_directory() -> PathBuf {
    const IN_PREFIX: &str = "share/thumb_gesture/weights";
    if let Some(directory) = std::env::var_os("THUMB_GESTURE_PRETRAINED") {
        return PathBuf::from(directory);
    }
    // The programs are in <prefix>/lib/thumb_gesture.
    let program = std::env::current_exe()
        .and_then(std::fs::canonicalize)
        .unwrap_or_default();
    let prefix = program.ancestors().nth(3).unwrap_or(Path::new(""));
    prefix.join(IN_PREFIX)
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
    fn written_weights_are_read_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = written(&directory);
        assert_eq!(Weights::read(&path).expect("reads"), two_tensors());
    }

    #[test]
    fn locations_point_to_the_values() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = written(&directory);
        let location = tensor_locations(&path).expect("reads")["b.bias"];
        let bytes = std::fs::read(&path).expect("reads");
        let found = &bytes[location.offset as usize..(location.offset + location.length) as usize];
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(found);
        assert_eq!(values, [0.5, 1.5, 2.5, 3.5]);
    }

    #[test]
    fn truncated_file_is_rejected_by_name() {
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
    fn missing_or_misshaped_parameter_is_named_in_the_error() {
        let parameter = |name: &str, shape: &[usize]| ParameterSpec {
            name: name.to_owned(),
            shape: shape.to_vec(),
            initialization: Initialization::Constant(0.0),
            is_trainable: true,
        };
        let weights = two_tensors();
        let missing = weights.get(&parameter("c.weight", &[1])).expect_err("missing");
        assert!(missing.to_string().contains("c.weight"), "{missing}");
        let misshaped = weights.get(&parameter("b.bias", &[5])).expect_err("misshaped");
        assert!(misshaped.to_string().contains("[4]"), "{misshaped}");
    }
}
