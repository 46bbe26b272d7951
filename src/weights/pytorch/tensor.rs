//! Tensors as PyTorch saves them: views of a storage, with an offset and a stride for each dimension.
//!
//! All numbers come from the file and are validated before they are used.

use super::dtype::{Decode, Dtype};
use super::pickle::{Id, Pickle, Rebuild, Storage, Value};

/// PyTorch's own limit.
const MAX_DIMENSIONS: usize = 64;

/// A tensor as a view of its storage.
#[derive(Debug)]
pub(crate) struct TensorView<'p, 'a> {
    pub(crate) storage: &'p Storage<'a>,
    /// Type of the values; may differ from that of the storage.
    pub(crate) dtype: &'static Dtype,
    /// Length of each dimension.
    pub(crate) shape: Vec<usize>,
    /// Distance between adjacent indices of each dimension, in values.
    strides: Vec<usize>,
    /// Position of the first value in the storage, in values.
    offset: usize,
}

impl<'p, 'a> TensorView<'p, 'a> {
    /// Reads the arguments of the function with which PyTorch rebuilds the tensor.
    ///
    /// # Errors
    /// What is wrong with the arguments.
    pub(crate) fn from_value(pickle: &'p Pickle<'a>, value: &'p Value<'a>) -> Result<Self, &'static str> {
        let Value::Tensor { rebuild, arguments } = value else {
            return Err("it is not a tensor");
        };
        let Value::Tuple(arguments) = pickle.value(*arguments) else {
            return Err("its description is not a tuple");
        };
        let argument = |index: usize| arguments.get(index).map(|id| pickle.value(*id));
        let Some(Value::Storage(storage)) = argument(0) else {
            return Err("it has no storage");
        };
        let Some(Value::Int(offset)) = argument(1) else {
            return Err("it has no storage offset");
        };
        if !has_no_lazy_operation(argument(rebuild.metadata_index())) {
            return Err("its values are lazily negated; save tensor.resolve_neg()");
        }
        let view = TensorView {
            storage,
            dtype: dtype(*rebuild, storage, argument(Rebuild::DTYPE_INDEX))?,
            shape: lengths(pickle, argument(2))?,
            strides: lengths(pickle, argument(3))?,
            offset: usize::try_from(*offset).map_err(|_| "its storage offset is negative")?,
        };
        if view.shape.len() != view.strides.len() {
            return Err("its shape and its strides differ in length");
        }
        Ok(view)
    }

    /// Number of values.
    ///
    /// # Errors
    /// The number overflows.
    pub(crate) fn value_count(&self) -> Result<usize, &'static str> {
        if self.shape.contains(&0) {
            return Ok(0);
        }
        let product = |count: usize, length: &usize| count.checked_mul(*length);
        self.shape.iter().try_fold(1, product).ok_or("it is too large")
    }

    /// The values in row-major order, from the bytes of the whole storage.
    ///
    /// # Errors
    /// The storage is truncated, or the view exceeds it.
    pub(crate) fn values(&self, storage_bytes: &[u8], decode: Decode) -> Result<Vec<f32>, &'static str> {
        let bytes = self.storage.slice(storage_bytes)?;
        let count = self.value_count()?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let width = self.dtype.width;
        let last = self.last_index().ok_or("its strides are too large")?;
        if last >= bytes.len() / width {
            return Err("it exceeds its storage");
        }
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0; self.shape.len()];
        let mut position = self.offset;
        for _ in 0..count {
            values.push(decode(&bytes[position * width..(position + 1) * width]));
            position = self.step(&mut index, position);
        }
        Ok(values)
    }

    /// Index of the last value in the storage; `None` on overflow.
    fn last_index(&self) -> Option<usize> {
        let mut dimensions = self.shape.iter().zip(&self.strides);
        dimensions.try_fold(self.offset, |last, (length, stride)| {
            last.checked_add((length - 1).checked_mul(*stride)?)
        })
    }

    /// Position of the next value in row-major order; after the last one, that of the first one.
    fn step(&self, index: &mut [usize], mut position: usize) -> usize {
        for axis in (0..index.len()).rev() {
            if index[axis] + 1 < self.shape[axis] {
                index[axis] += 1;
                return position + self.strides[axis];
            }
            position -= index[axis] * self.strides[axis];
            index[axis] = 0;
        }
        position
    }
}

impl Storage<'_> {
    /// The bytes of this storage, which may be a part of a larger one.
    fn slice<'b>(&self, bytes: &'b [u8]) -> Result<&'b [u8], &'static str> {
        let too_short = "its storage is shorter than declared";
        let width = self.dtype.width;
        let whole = self.value_count.checked_mul(width).ok_or(too_short)?;
        let bytes = bytes.get(..whole).ok_or(too_short)?;
        let Some(part) = self.part else {
            return Ok(bytes);
        };
        let start = part.offset.checked_mul(width).ok_or(too_short)?;
        let length = part.value_count.checked_mul(width).ok_or(too_short)?;
        let end = start.checked_add(length).ok_or(too_short)?;
        bytes.get(start..end).ok_or(too_short)
    }
}

fn dtype(
    rebuild: Rebuild,
    storage: &Storage,
    argument: Option<&Value>,
) -> Result<&'static Dtype, &'static str> {
    match (rebuild, argument) {
        (Rebuild::WithDtype, Some(Value::Dtype(dtype))) => Ok(dtype),
        (Rebuild::WithDtype, _) => Err("it has no dtype"),
        (Rebuild::Typed, _) => Ok(storage.dtype),
    }
}

/// Non-empty metadata means that the values must be negated or conjugated after reading.
fn has_no_lazy_operation(metadata: Option<&Value>) -> bool {
    match metadata {
        None | Some(Value::None) => true,
        Some(Value::Dict(entries)) => entries.is_empty(),
        Some(_) => false,
    }
}

/// Reads a tuple of lengths or strides.
fn lengths(pickle: &Pickle, value: Option<&Value>) -> Result<Vec<usize>, &'static str> {
    let Some(Value::Tuple(items)) = value else {
        return Err("its shape or strides are not a tuple");
    };
    if items.len() > MAX_DIMENSIONS {
        return Err("it has more than 64 dimensions");
    }
    let length = |id: &Id| match pickle.value(*id) {
        Value::Int(length) => usize::try_from(*length).map_err(|_| "a length or stride is negative"),
        _ => Err("a length or stride is not an integer"),
    };
    items.iter().map(length).collect()
}
