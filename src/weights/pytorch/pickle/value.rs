//! The values of a pickle. Values refer to each other by [`Id`], which allows sharing, cycles and any depth of nesting.

use crate::weights::pytorch::dtype::Dtype;

/// Index of a value in its pickle.
pub(crate) type Id = usize;

/// A value.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    /// Python's `None`.
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than eight bytes, little-endian.
    Long(&'a [u8]),
    Text(&'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// Keys and values, in the order in which they were set.
    Dict(Vec<(Id, Id)>),
    /// A class or function in a call.
    Function(Function),
    Dtype(&'static Dtype),
    /// A class of storages, as the type of their values.
    StorageClass(&'static Dtype),
    /// Boxed, since most other values are smaller.
    Storage(Box<Storage<'a>>),
    /// A tensor, whose arguments are not validated yet.
    Tensor {
        rebuild: Rebuild,
        /// Tuple of the arguments of the function that rebuilds it.
        arguments: Id,
    },
    /// Floats, bytes, sets and other values that tensors do not need.
    Opaque,
}

/// A storage: the values of one or several tensors, stored outside the pickle.
#[derive(Debug)]
pub(crate) struct Storage<'a> {
    /// Name of the storage in the file.
    pub(crate) key: &'a str,
    pub(crate) dtype: &'static Dtype,
    /// Number of values.
    pub(crate) value_count: usize,
    /// `None` for the whole storage. Only torch before 0.4 wrote parts.
    pub(crate) part: Option<Part>,
}

/// A part of a storage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// Number of values before the part.
    pub(crate) offset: usize,
    /// Number of values in the part.
    pub(crate) value_count: usize,
}

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    /// A tensor.
    Tensor(Rebuild),
    /// A dict, empty or with the pairs of a list.
    OrderedDict,
    /// The first argument: the tensor of a parameter, or the tuple of a size.
    FirstArgument,
    /// A part of a checkpoint that the weights do not need.
    Opaque,
}

/// The functions that rebuild a tensor from a storage, an offset, a shape and strides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rebuild {
    /// `_rebuild_tensor` and `_rebuild_tensor_v2`: the data type is that of the storage.
    Typed,
    /// `_rebuild_tensor_v3`: the data type is an argument.
    WithDtype,
}

impl Rebuild {
    /// Index of the argument with the data type, for [`Rebuild::WithDtype`].
    pub(crate) const DTYPE_INDEX: usize = 6;

    /// Index of the argument with metadata about lazy negation or conjugation.
    pub(crate) fn metadata_index(self) -> usize {
        match self {
            Rebuild::Typed => 6,
            Rebuild::WithDtype => 7,
        }
    }
}
