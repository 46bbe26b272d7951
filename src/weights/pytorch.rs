//! Reader for PyTorch's weight files, written by `torch.save(model.state_dict(), path)`, without Python.
//!
//! Such a file contains a pickle, which is a program for a stack machine. The interpreter here (`pickle`) only builds
//! values and never calls a function. The bytes of the tensors are in a zip archive (`archive`, since torch 1.6) or follow
//! the pickle (`legacy`); `tensor` reads them. This module finds the state dict in the saved object.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use self::archive::Archive;
use self::legacy::Legacy;
use self::pickle::{Id, Pickle, Value};
use self::tensor::TensorView;
use super::{Tensor, Weights};

mod archive;
mod dtype;
mod error;
mod legacy;
mod pickle;
mod tensor;
#[cfg(test)]
mod tests;

pub use self::error::ContentError;

/// Keys of the state dict in checkpoints, which also hold the epoch and other state of a training.
const STATE_DICT_KEYS: [&str; 3] = ["state_dict", "model_state_dict", "model"];
/// Prefix that `torch.nn.DataParallel` adds to each name.
const DATA_PARALLEL_PREFIX: &str = "module.";
/// Longest name of a tensor, in bytes.
const MAX_NAME_LEN: usize = 1024;
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

/// Whether a file with these first bytes was written by `torch.save`; 32 bytes are enough.
///
/// The first byte of a pickle is also a valid first byte of a safetensors file, which begins with the length of its header.
/// Legacy files are therefore recognized by their magic number.
pub fn is_pytorch(first_bytes: &[u8]) -> bool {
    archive::is_zip(first_bytes) || legacy::is_legacy(first_bytes)
}

/// Reads the state dict of a `.pth` or `.pt` file as float32, without executing any code from the file.
///
/// The state dict is the saved object itself, or its entry `state_dict`, `model_state_dict` or `model`. If all names begin
/// with `module.`, this prefix is removed. Integer tensors, such as `num_batches_tracked`, are skipped.
///
/// # Errors
/// The file does not exist, is truncated, holds a model instead of its weights, or references classes or functions that
/// tensors do not need.
pub fn read(path: &Path) -> Result<Weights, PytorchError> {
    let io_error = |cause| PytorchError::Io {
        path: path.to_owned(),
        cause,
    };
    let content_error = |cause| PytorchError::Content {
        path: path.to_owned(),
        cause,
    };
    let mut first_bytes = Vec::new();
    let mut file = File::open(path).map_err(io_error)?;
    (&mut file)
        .take(4)
        .read_to_end(&mut first_bytes)
        .map_err(io_error)?;
    if archive::is_zip(&first_bytes) {
        let file_len = file.metadata().map_err(io_error)?.len();
        return read_archive(file, file_len).map_err(content_error);
    }
    let bytes = std::fs::read(path).map_err(io_error)?;
    read_legacy(&bytes).map_err(content_error)
}

fn read_archive(file: File, file_len: u64) -> Result<Weights, ContentError> {
    let mut archive = Archive::open(file, file_len)?;
    let pickle_bytes = archive.pickle()?;
    let (pickle, _) = Pickle::parse(&pickle_bytes)?;
    read_weights(&pickle, &mut archive, file_len)
}

fn read_legacy(bytes: &[u8]) -> Result<Weights, ContentError> {
    if !legacy::is_legacy(bytes) {
        return Err(ContentError::Format);
    }
    let Legacy { object, mut storages } = Legacy::parse(bytes)?;
    read_weights(&object, &mut storages, bytes.len() as u64)
}

fn read_weights(
    pickle: &Pickle,
    storages: &mut dyn StorageBytes,
    file_len: u64,
) -> Result<Weights, ContentError> {
    let named = named_tensors(pickle)?;
    let is_data_parallel = named
        .iter()
        .all(|(name, ..)| name.starts_with(DATA_PARALLEL_PREFIX));
    let prefix = if is_data_parallel {
        DATA_PARALLEL_PREFIX
    } else {
        ""
    };
    let mut values_left = file_len.max(MIN_VALUE_LIMIT);
    let mut weights = Weights::default();
    for (name, value) in named {
        if let Some(tensor) = float_tensor(pickle, name, value, storages, &mut values_left)? {
            weights.insert(name[prefix.len()..].to_owned(), tensor);
        }
    }
    Ok(weights)
}

/// The tensors of the state dict, in the order of the file. Entries of other types are skipped.
fn named_tensors<'p, 'a>(pickle: &'p Pickle<'a>) -> Result<Vec<(&'a str, &'p Value<'a>)>, ContentError> {
    let mut named = Vec::new();
    for (key, value) in state_dict(pickle)? {
        if let (Value::Text(name), value @ Value::Tensor { .. }) = (pickle.value(*key), pickle.value(*value))
        {
            if name.len() > MAX_NAME_LEN {
                return Err(ContentError::TooLarge("bytes in a name"));
            }
            named.push((*name, value));
        }
    }
    if named.is_empty() {
        return Err(ContentError::NoStateDict);
    }
    Ok(named)
}

fn state_dict<'p>(pickle: &'p Pickle) -> Result<&'p [(Id, Id)], ContentError> {
    let Value::Dict(saved) = pickle.root() else {
        return Err(ContentError::NoStateDict);
    };
    for key in STATE_DICT_KEYS {
        if let Some(Value::Dict(nested)) = pickle.lookup(saved, key) {
            return Ok(nested);
        }
    }
    Ok(saved)
}

/// The tensor as float32; `None` if it holds integers. Its size is subtracted from `values_left`.
fn float_tensor(
    pickle: &Pickle,
    name: &str,
    value: &Value,
    storages: &mut dyn StorageBytes,
    values_left: &mut u64,
) -> Result<Option<Tensor>, ContentError> {
    let tensor_error = |defect| ContentError::Tensor {
        name: error::printable(name),
        defect,
    };
    let view = TensorView::from_value(pickle, value).map_err(tensor_error)?;
    if view.dtype.is_integer {
        return Ok(None);
    }
    let Some(decode) = view.dtype.decode else {
        return Err(ContentError::Dtype {
            name: error::printable(name),
            dtype: view.dtype.name,
        });
    };
    // The number of dimensions counts as well, since an empty tensor also takes memory.
    let size = view
        .value_count()
        .map_err(tensor_error)?
        .saturating_add(view.shape.len());
    *values_left = values_left
        .checked_sub(size as u64)
        .ok_or(ContentError::TooLarge("values"))?;
    let bytes = storages.bytes(view.storage.key)?;
    let values = view.values(bytes, decode).map_err(tensor_error)?;
    Ok(Some(Tensor {
        shape: view.shape,
        values,
    }))
}
