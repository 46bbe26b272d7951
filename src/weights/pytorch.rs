//! Reader for PyTorch's weight files, written by `torch.save(model.state_dict(), path)`, without Python.
//!
//! Such a file contains a pickle, which is a program for a stack machine. The interpreter here (`pickle`) only builds
//! values and never calls a function. The bytes of the tensors are in a zip archive (`archive`, since torch 1.6) or follow
//! the pickle (`legacy`); `tensor` reads them. `contents` finds the tensors in the saved object, however deep it is nested.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use self::archive::Archive;
use self::contents::{Contents, NamedTensor};
use self::legacy::Legacy;
use self::pickle::Pickle;
use super::listing::{Listing, TensorInfo};
use super::{MAX_FILE_BYTES, Tensor, Weights};
use crate::disk;
use crate::file_kind::is_torch_legacy;
use crate::text::printable;

mod archive;
mod contents;
mod dtype;
mod error;
mod legacy;
mod pickle;
mod tensor;
#[cfg(test)]
mod tests;

pub use self::error::ContentError;

/// Number of values that are read from even the smallest file. Tensors may share their values, so that a small file can
/// legitimately expand to more values than it has bytes.
const MIN_VALUE_LIMIT: u64 = 1 << 20;

/// Why a PyTorch file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PytorchError {
    /// The file cannot be opened or read.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        cause: std::io::Error,
    },
    /// The content of the file is invalid or unsupported.
    #[error("cannot read {path}: {cause}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with the content.
        cause: ContentError,
    },
}

/// Access to the bytes of the storages in a file.
trait StorageBytes {
    /// All bytes of the storage with this key.
    fn bytes(&mut self, key: &str) -> Result<&[u8], ContentError>;
}

/// Reads all tensors of a `.pth` or `.pt` file as float32, without executing any code from the file.
///
/// The name of a tensor is its path in the saved object, such as `state_dict.features.0.weight`. Integer tensors, such as
/// `num_batches_tracked`, are skipped.
///
/// # Errors
/// The file does not exist, is truncated, holds a model instead of its weights, or references classes or functions that
/// tensors do not need.
pub fn read(path: &Path) -> Result<Weights, PytorchError> {
    read_values(path, |name| Some(name.to_owned()))
}

/// Reads the tensors whose names are keys of `names`, and gives them the names that are the values.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_renamed(path: &Path, names: &BTreeMap<String, String>) -> Result<Weights, PytorchError> {
    read_values(path, |name| names.get(name).cloned())
}

/// Lists the float tensors of a file without reading their values.
///
/// # Errors
/// As [`read`].
pub(crate) fn list(path: &Path) -> Result<Listing, PytorchError> {
    with_contents(path, |pickle, contents, _, _| {
        let mut tensors = Vec::with_capacity(contents.tensors.len());
        for tensor in contents.tensors {
            let view = tensor.view(pickle)?;
            if !view.dtype.is_integer {
                let shape = view.shape;
                let (name, dict) = (tensor.name, tensor.dict);
                tensors.push(TensorInfo { name, shape, dict });
            }
        }
        Ok(Listing {
            tensors,
            class_names: contents.class_names,
        })
    })
}

fn read_values(path: &Path, new_name: impl Fn(&str) -> Option<String>) -> Result<Weights, PytorchError> {
    with_contents(path, |pickle, contents, storages, file_len| {
        let mut values_left = file_len.max(MIN_VALUE_LIMIT);
        let mut weights = Weights::default();
        for named in contents.tensors {
            let Some(new_name) = new_name(&named.name) else {
                continue;
            };
            if let Some(tensor) = float_tensor(pickle, &named, storages, &mut values_left)? {
                weights.insert(new_name, tensor);
            }
        }
        Ok(weights)
    })
}

/// Opens a file and calls `read` with its pickle, the contents of that, its storages and the length of the file in bytes.
fn with_contents<T>(
    path: &Path,
    read: impl FnOnce(&Pickle, Contents, &mut dyn StorageBytes, u64) -> Result<T, ContentError>,
) -> Result<T, PytorchError> {
    let io_error = |cause| PytorchError::Io {
        path: path.to_owned(),
        cause,
    };
    let content_error = |cause| PytorchError::Content {
        path: path.to_owned(),
        cause,
    };
    let mut first_bytes = Vec::new();
    let mut file = disk::open_file(path).map_err(io_error)?;
    (&mut file)
        .take(4)
        .read_to_end(&mut first_bytes)
        .map_err(io_error)?;
    if archive::is_zip(&first_bytes) {
        let file_len = file.metadata().map_err(io_error)?.len();
        return from_archive(file, file_len, read).map_err(content_error);
    }
    let bytes = disk::read_file(path, MAX_FILE_BYTES).map_err(io_error)?;
    from_legacy(&bytes, read).map_err(content_error)
}

fn from_archive<T>(
    file: File,
    file_len: u64,
    read: impl FnOnce(&Pickle, Contents, &mut dyn StorageBytes, u64) -> Result<T, ContentError>,
) -> Result<T, ContentError> {
    let mut archive = Archive::open(file, file_len)?;
    let pickle_bytes = archive.pickle()?;
    let (pickle, _) = Pickle::parse(&pickle_bytes)?;
    read(&pickle, Contents::of(&pickle)?, &mut archive, file_len)
}

fn from_legacy<T>(
    bytes: &[u8],
    read: impl FnOnce(&Pickle, Contents, &mut dyn StorageBytes, u64) -> Result<T, ContentError>,
) -> Result<T, ContentError> {
    if !is_torch_legacy(bytes) {
        return Err(ContentError::Format);
    }
    let Legacy { object, mut storages } = Legacy::parse(bytes)?;
    let contents = Contents::of(&object)?;
    read(&object, contents, &mut storages, bytes.len() as u64)
}

/// The tensor as float32; `None` if it holds integers. Its size is subtracted from `values_left`.
fn float_tensor(
    pickle: &Pickle,
    named: &NamedTensor,
    storages: &mut dyn StorageBytes,
    values_left: &mut u64,
) -> Result<Option<Tensor>, ContentError> {
    let view = named.view(pickle)?;
    if view.dtype.is_integer {
        return Ok(None);
    }
    let Some(decode) = view.dtype.decode else {
        return Err(ContentError::Dtype {
            name: printable(&named.name),
            dtype: view.dtype.name,
        });
    };
    // The number of dimensions counts as well, since an empty tensor also takes memory.
    let size = view
        .value_count()
        .map_err(|defect| named.error(defect))?
        .saturating_add(view.shape.len());
    *values_left = values_left
        .checked_sub(size as u64)
        .ok_or(ContentError::TooLarge("values"))?;
    let bytes = storages.bytes(view.storage.key)?;
    let values = view.values(bytes, decode).map_err(|defect| named.error(defect))?;
    Ok(Some(Tensor {
        shape: view.shape,
        values,
    }))
}
