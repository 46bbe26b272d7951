//! What a pickle builds. Values refer to each other by [`Id`], so that sharing costs nothing and no nesting is too deep.

use super::globals::Function;
use crate::weights::pytorch::dtype::Dtype;

/// A value's index in its pickle.
pub type Id = usize;

/// One value.
#[derive(Debug)]
pub enum Value<'a> {
    /// Python's `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number of more than eight bytes, little-endian.
    Long(&'a [u8]),
    /// A text.
    Text(&'a str),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A dict, keys and values in the order they were set.
    Dict(Vec<(Id, Id)>),
    /// A class or function that may be called.
    Function(Function),
    /// A type of values.
    Dtype(&'static Dtype),
    /// A class of storages, by the type of its values.
    StorageClass(&'static Dtype),
    /// The values behind tensors. Boxed, for most values are smaller.
    Storage(Box<Storage<'a>>),
    /// A tensor, which nobody has looked into yet.
    Tensor {
        /// Which function would make it.
        rebuild: Rebuild,
        /// The tuple of that function's arguments.
        arguments: Id,
    },
    /// Floats, bytes, sets and whatever else no tensor is made of.
    Opaque,
}

/// A storage, whose bytes lie elsewhere in the file.
#[derive(Debug)]
pub struct Storage<'a> {
    /// What the file calls it.
    pub key: &'a str,
    /// The type of its values.
    pub dtype: &'static Dtype,
    /// How many values it has.
    pub value_count: usize,
    /// The part that is meant; none for all of it. Only torch before 0.4 wrote parts.
    pub part: Option<Part>,
}

/// A part of a storage.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Values before it.
    pub offset: usize,
    /// Values in it.
    pub value_count: usize,
}

/// The functions that rebuild a tensor from a storage, an offset, a shape and strides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebuild {
    /// `_rebuild_tensor` and `_rebuild_tensor_v2`: the type of the values is the storage's.
    Typed,
    /// `_rebuild_tensor_v3`: the type is an argument.
    WithDtype,
}

impl Rebuild {
    /// Which argument is the type, where there is one.
    pub const DTYPE_INDEX: usize = 6;

    /// Which argument says that values are not to be taken as they are.
    pub fn metadata_index(self) -> usize {
        match self {
            Rebuild::Typed => 6,
            Rebuild::WithDtype => 7,
        }
    }
}
