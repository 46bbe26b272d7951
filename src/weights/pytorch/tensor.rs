//! A tensor as PyTorch saves it: a view of a storage, with an offset and a stride for each dimension.
//!
//! Every number in it comes from the file and is checked before it is used. Where the storage lies is left to others.

use super::dtype::{Decode, Dtype};
use super::pickle::{Id, Pickle, Rebuild, Storage, Value};

/// PyTorch itself has no tensors of more dimensions.
const MOST_DIMENSIONS: usize = 64;

/// A tensor's place in its storage.
#[derive(Debug)]
pub struct TensorView<'p, 'a> {
    /// Where the values lie.
    pub storage: &'p Storage<'a>,
    /// Of what type they are.
    pub dtype: &'static Dtype,
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// Values from one index of a dimension to the next.
    strides: Vec<usize>,
    /// Values before the first.
    offset: usize,
}

impl<'p, 'a> TensorView<'p, 'a> {
    /// Reads the arguments of the function that would rebuild the tensor.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn from_value(pickle: &'p Pickle<'a>, value: &'p Value<'a>) -> Result<Self, &'static str> {
        let Value::Tensor { rebuild, arguments } = value else {
            return Err("it is no tensor");
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
        if !has_plain_values(argument(rebuild.metadata_index())) {
            return Err("its values wait to be negated; save tensor.resolve_neg()");
        }
        let view = TensorView {
            storage,
            dtype: dtype(*rebuild, storage, argument(Rebuild::DTYPE_INDEX))?,
            shape: lengths(pickle, argument(2))?,
            strides: lengths(pickle, argument(3))?,
            offset: usize::try_from(*offset).map_err(|_| "its storage offset is negative")?,
        };
        if view.shape.len() != view.strides.len() {
            return Err("it has not as many strides as dimensions");
        }
        Ok(view)
    }

    /// The dimensions multiplied.
    ///
    /// # Errors
    /// More than can be counted.
    pub fn value_count(&self) -> Result<usize, &'static str> {
        if self.shape.contains(&0) {
            return Ok(0);
        }
        let product = |count: usize, length: &usize| count.checked_mul(*length);
        self.shape.iter().try_fold(1, product).ok_or("it is too large")
    }

    /// Its values in row-major order, from all bytes of its storage.
    ///
    /// # Errors
    /// A storage that is cut off, or a tensor that reaches beyond it.
    pub fn values(&self, storage_bytes: &[u8], decode: Decode) -> Result<Vec<f32>, &'static str> {
        let bytes = self.storage.slice(storage_bytes)?;
        let count = self.value_count()?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let width = self.dtype.width;
        let last = self.last_index().ok_or("its strides are too large")?;
        if last >= bytes.len() / width {
            return Err("it reaches beyond its storage");
        }
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0; self.shape.len()];
        let mut at = self.offset;
        for _ in 0..count {
            values.push(decode(&bytes[at * width..(at + 1) * width]));
            at = self.step(&mut index, at);
        }
        Ok(values)
    }

    /// Where in the storage the last value lies; none where that overflows.
    fn last_index(&self) -> Option<usize> {
        let mut dimensions = self.shape.iter().zip(&self.strides);
        dimensions.try_fold(self.offset, |last, (length, stride)| {
            last.checked_add((length - 1).checked_mul(*stride)?)
        })
    }

    /// The place of the next value in row-major order; after the last one, that of the first.
    fn step(&self, index: &mut [usize], mut at: usize) -> usize {
        for axis in (0..index.len()).rev() {
            if index[axis] + 1 < self.shape[axis] {
                index[axis] += 1;
                return at + self.strides[axis];
            }
            at -= index[axis] * self.strides[axis];
            index[axis] = 0;
        }
        at
    }
}

impl Storage<'_> {
    /// The part of a storage's bytes that belongs to this view of it.
    fn slice<'b>(&self, bytes: &'b [u8]) -> Result<&'b [u8], &'static str> {
        let beyond = "its storage is shorter than the file says";
        let width = self.dtype.width;
        let whole = self.value_count.checked_mul(width).ok_or(beyond)?;
        let bytes = bytes.get(..whole).ok_or(beyond)?;
        let Some(part) = self.part else {
            return Ok(bytes);
        };
        let start = part.offset.checked_mul(width).ok_or(beyond)?;
        let length = part.value_count.checked_mul(width).ok_or(beyond)?;
        let end = start.checked_add(length).ok_or(beyond)?;
        bytes.get(start..end).ok_or(beyond)
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

/// Metadata says that values are to be negated or conjugated when they are read.
fn has_plain_values(metadata: Option<&Value>) -> bool {
    match metadata {
        None | Some(Value::None) => true,
        Some(Value::Dict(entries)) => entries.is_empty(),
        Some(_) => false,
    }
}

/// A tuple of lengths or strides.
fn lengths(pickle: &Pickle, value: Option<&Value>) -> Result<Vec<usize>, &'static str> {
    let Some(Value::Tuple(items)) = value else {
        return Err("its shape or strides are not a tuple");
    };
    if items.len() > MOST_DIMENSIONS {
        return Err("it has more than 64 dimensions");
    }
    let length = |id: &Id| match pickle.value(*id) {
        Value::Int(length) => usize::try_from(*length).map_err(|_| "a length or stride is negative"),
        _ => Err("a length or stride is no whole number"),
    };
    items.iter().map(length).collect()
}
