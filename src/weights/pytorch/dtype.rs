//! PyTorch's data types: names, widths, and the conversion of floats to float32.

use half::{bf16, f16};

/// Converts the little-endian bytes of one value to float32.
pub(crate) type Decode = fn(&[u8]) -> f32;

/// A data type.
#[derive(Debug)]
pub(crate) struct Dtype {
    /// PyTorch's name: `torch.<name>`.
    pub(crate) name: &'static str,
    /// Bytes per value.
    pub(crate) width: usize,
    /// Whether it is an integer or boolean type. Such tensors are counters, not weights.
    pub(crate) is_integer: bool,
    /// Conversion of a value to float32; `None` for types that are not supported.
    pub(crate) decode: Option<Decode>,
    /// Class of its storages: `torch.<storage>`. Newer types have none and use `UntypedStorage`.
    storage: Option<&'static str>,
}

/// The types of `torch.storage._dtype_to_storage_type_map`, and newer types.
static DTYPES: [Dtype; 30] = [
    float("float32", 4, "FloatStorage", float32),
    float("float64", 8, "DoubleStorage", float64),
    float("float16", 2, "HalfStorage", float16),
    float("bfloat16", 2, "BFloat16Storage", bfloat16),
    integer("int64", 8, Some("LongStorage")),
    integer("int32", 4, Some("IntStorage")),
    integer("int16", 2, Some("ShortStorage")),
    integer("int8", 1, Some("CharStorage")),
    integer("uint8", 1, Some("ByteStorage")),
    integer("bool", 1, Some("BoolStorage")),
    integer("uint16", 2, None),
    integer("uint32", 4, None),
    integer("uint64", 8, None),
    other("complex32", 4, None),
    other("complex64", 8, Some("ComplexFloatStorage")),
    other("complex128", 16, Some("ComplexDoubleStorage")),
    other("qint8", 1, Some("QInt8Storage")),
    other("quint8", 1, Some("QUInt8Storage")),
    other("qint32", 4, Some("QInt32Storage")),
    other("quint4x2", 1, Some("QUInt4x2Storage")),
    other("quint2x4", 1, Some("QUInt2x4Storage")),
    other("float8_e4m3fn", 1, None),
    other("float8_e4m3fnuz", 1, None),
    other("float8_e5m2", 1, None),
    other("float8_e5m2fnuz", 1, None),
    other("float8_e8m0fnu", 1, None),
    other("float4_e2m1fn_x2", 1, None),
    other("bits8", 1, None),
    other("bits16", 2, None),
    other("untyped", 1, Some("UntypedStorage")),
];

impl Dtype {
    /// The type `torch.<name>`.
    pub(crate) fn from_name(name: &str) -> Option<&'static Dtype> {
        DTYPES.iter().find(|dtype| dtype.name == name)
    }

    /// The type of the values in storages of the class `torch.<class>`.
    pub(crate) fn from_storage(class: &str) -> Option<&'static Dtype> {
        DTYPES.iter().find(|dtype| dtype.storage == Some(class))
    }
}

const fn float(name: &'static str, width: usize, storage: &'static str, decode: Decode) -> Dtype {
    Dtype {
        name,
        width,
        is_integer: false,
        decode: Some(decode),
        storage: Some(storage),
    }
}

const fn integer(name: &'static str, width: usize, storage: Option<&'static str>) -> Dtype {
    Dtype {
        name,
        width,
        is_integer: true,
        decode: None,
        storage,
    }
}

const fn other(name: &'static str, width: usize, storage: Option<&'static str>) -> Dtype {
    Dtype {
        name,
        width,
        is_integer: false,
        decode: None,
        storage,
    }
}

fn float32(bytes: &[u8]) -> f32 {
    f32::from_le_bytes(bytes.try_into().expect("four bytes"))
}

fn float64(bytes: &[u8]) -> f32 {
    f64::from_le_bytes(bytes.try_into().expect("eight bytes")) as f32
}

fn float16(bytes: &[u8]) -> f32 {
    f16::from_le_bytes(bytes.try_into().expect("two bytes")).to_f32()
}

fn bfloat16(bytes: &[u8]) -> f32 {
    bf16::from_le_bytes(bytes.try_into().expect("two bytes")).to_f32()
}
