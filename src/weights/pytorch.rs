//! PyTorch's weight files: what `torch.save(model.state_dict(), path)` wrote, read without Python.
//!
//! A pickle is a program. Here its instructions only put values together (`pickle`), and nothing is ever called. The
//! values lie in a zip archive (`archive`, since torch 1.6) or behind each other (`legacy`), and `tensor` picks them out.
//! This file finds the state dict in what was saved. What the names mean is left to [`crate::network`].

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
mod legacy;
mod pickle;
mod tensor;
#[cfg(test)]
mod tests;

/// Where training scripts put the state dict when they save more than that, such as the epoch.
const NESTED_UNDER: [&str; 3] = ["state_dict", "model_state_dict", "model"];
/// What `torch.nn.DataParallel` puts before every name.
const DATA_PARALLEL_PREFIX: &str = "module.";
/// No network's parameter has a name as long, in bytes.
const LONGEST_NAME: usize = 1024;
/// As many values are read from the smallest file. Tensors may share values, so a few bytes can stand for more.
const LEAST_VALUES_ALLOWED: u64 = 1 << 20;
/// Of foreign text no more characters are put in a message.
const CHARS_SHOWN: usize = 120;

/// Why a PyTorch file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PytorchError {
    /// The file system's word.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        cause: std::io::Error,
    },
    /// The file is there, but its contents are not to be read.
    #[error("{path} is not read: {cause}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with the contents.
        cause: Refusal,
    },
}

/// What is wrong with the contents of a PyTorch file.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Neither of the formats.
    #[error("it is neither a zip archive of torch.save nor the pickles that torch wrote before 1.6")]
    Format,
    /// The archive is broken, or uses something that `torch.save` does not.
    #[error("broken or cut-off zip archive: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// A part of the archive is not there.
    #[error("the zip archive has no {0}, which torch.save writes")]
    MissingEntry(String),
    /// The file ends too early.
    #[error("it is cut off")]
    CutOff,
    /// The values were written by a machine of the other byte order.
    #[error("its values are big-endian; supported: little-endian")]
    BigEndian,
    /// An instruction that `torch.save` does not write.
    #[error("pickle instruction {code:#04x} at byte {offset} is not one that torch.save writes")]
    Opcode {
        /// The instruction.
        code: u8,
        /// Bytes from the beginning of its pickle.
        offset: usize,
    },
    /// A class or function beyond those of tensors: perhaps a harmless one, perhaps an attack.
    #[error("it asks for {0}, which no tensor needs; of a model, save only model.state_dict()")]
    Global(String),
    /// `torch.save(model)` and not `torch.save(model.state_dict())`.
    #[error("it holds a whole model ({0}) and would need its source code; save model.state_dict() instead")]
    WholeModel(String),
    /// The instructions contradict each other.
    #[error("its pickle is broken: {0}")]
    Pickle(&'static str),
    /// More than any network needs.
    #[error("it holds more {0} than the weights of a network can")]
    TooLarge(&'static str),
    /// There is no state dict in it.
    #[error("it holds no tensors by name; save model.state_dict(), alone or in a dict under `state_dict`")]
    StateDict,
    /// A tensor's values are of a type that is neither a plain float nor an integer.
    #[error("tensor {name} is {dtype}; supported: float32, float64, float16, bfloat16")]
    Dtype {
        /// The tensor.
        name: String,
        /// Its type, as PyTorch names it.
        dtype: &'static str,
    },
    /// A tensor's description contradicts itself or the values that are there.
    #[error("tensor {name} is broken: {defect}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What is wrong with it.
        defect: &'static str,
    },
}

/// The bytes of storages, which the file names by keys.
trait StorageBytes {
    /// All bytes of one storage.
    fn bytes(&mut self, key: &str) -> Result<&[u8], Refusal>;
}

/// Whether a file that begins with these bytes (32 are enough) was written by `torch.save`.
///
/// A pickle's own first byte would not tell it from safetensors, whose files begin with a length of any value. So the
/// number that begins a legacy file is looked for.
pub fn is_pytorch(first_bytes: &[u8]) -> bool {
    archive::is_zip(first_bytes) || legacy::is_legacy(first_bytes)
}

/// Reads the state dict of a `.pth` or `.pt` file as float32. Nothing in the file is ever executed.
///
/// The state dict is the whole object or lies under `state_dict`, `model_state_dict` or `model`. The prefix `module.` of
/// all names is taken off. Integers, such as a batch norm's count of batches, are left out.
///
/// # Errors
/// A file that is not there, cut off, a whole model instead of its weights, or one that asks for anything but tensors.
pub fn read(path: &Path) -> Result<Weights, PytorchError> {
    let io_error = |cause| PytorchError::Io {
        path: path.to_owned(),
        cause,
    };
    let refused = |cause| PytorchError::Refused {
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
        let file_bytes = file.metadata().map_err(io_error)?.len();
        return weights_in_archive(file, file_bytes).map_err(refused);
    }
    let bytes = std::fs::read(path).map_err(io_error)?;
    weights_in_legacy_file(&bytes).map_err(refused)
}

fn weights_in_archive(file: File, file_bytes: u64) -> Result<Weights, Refusal> {
    let mut archive = Archive::open(file, file_bytes)?;
    let pickle_bytes = archive.pickle()?;
    let (pickle, _) = Pickle::parse(&pickle_bytes)?;
    weights_in(&pickle, &mut archive, file_bytes)
}

fn weights_in_legacy_file(bytes: &[u8]) -> Result<Weights, Refusal> {
    if !legacy::is_legacy(bytes) {
        return Err(Refusal::Format);
    }
    let Legacy { object, mut storages } = Legacy::parse(bytes)?;
    weights_in(&object, &mut storages, bytes.len() as u64)
}

fn weights_in(pickle: &Pickle, storages: &mut dyn StorageBytes, file_bytes: u64) -> Result<Weights, Refusal> {
    let named = named_tensors(pickle)?;
    let in_data_parallel = named
        .iter()
        .all(|(name, ..)| name.starts_with(DATA_PARALLEL_PREFIX));
    let prefix = if in_data_parallel {
        DATA_PARALLEL_PREFIX
    } else {
        ""
    };
    let mut values_left = file_bytes.max(LEAST_VALUES_ALLOWED);
    let mut weights = Weights::default();
    for (name, value) in named {
        if let Some(tensor) = float_tensor(pickle, name, value, storages, &mut values_left)? {
            weights.insert(name[prefix.len()..].to_owned(), tensor);
        }
    }
    Ok(weights)
}

/// The tensors of the state dict, in the file's order. What else is in it is left out.
fn named_tensors<'p, 'a>(pickle: &'p Pickle<'a>) -> Result<Vec<(&'a str, &'p Value<'a>)>, Refusal> {
    let mut named = Vec::new();
    for (key, value) in state_dict(pickle)? {
        if let (Value::Text(name), value @ Value::Tensor { .. }) = (pickle.value(*key), pickle.value(*value))
        {
            if name.len() > LONGEST_NAME {
                return Err(Refusal::TooLarge("characters in a name"));
            }
            named.push((*name, value));
        }
    }
    if named.is_empty() {
        return Err(Refusal::StateDict);
    }
    Ok(named)
}

fn state_dict<'p>(pickle: &'p Pickle) -> Result<&'p [(Id, Id)], Refusal> {
    let Value::Dict(saved) = pickle.root() else {
        return Err(Refusal::StateDict);
    };
    for key in NESTED_UNDER {
        if let Some(Value::Dict(nested)) = pickle.lookup(saved, key) {
            return Ok(nested);
        }
    }
    Ok(saved)
}

/// The tensor as float32; none where it holds integers.
fn float_tensor(
    pickle: &Pickle,
    name: &str,
    value: &Value,
    storages: &mut dyn StorageBytes,
    values_left: &mut u64,
) -> Result<Option<Tensor>, Refusal> {
    let broken = |defect| Refusal::Tensor {
        name: shown(name),
        defect,
    };
    let view = TensorView::from_value(pickle, value).map_err(broken)?;
    if view.dtype.is_integer {
        return Ok(None);
    }
    let Some(decode) = view.dtype.decode else {
        return Err(Refusal::Dtype {
            name: shown(name),
            dtype: view.dtype.name,
        });
    };
    // The rank is counted too, for an empty tensor takes memory as well.
    let size = view
        .value_count()
        .map_err(broken)?
        .saturating_add(view.shape.len());
    *values_left = values_left
        .checked_sub(size as u64)
        .ok_or(Refusal::TooLarge("values"))?;
    let bytes = storages.bytes(view.storage.key)?;
    let values = view.values(bytes, decode).map_err(broken)?;
    Ok(Some(Tensor {
        shape: view.shape,
        values,
    }))
}

/// Foreign text as it can stand in a message: on one line, and not too long.
fn shown(text: &str) -> String {
    text.escape_debug().take(CHARS_SHOWN).collect()
}
