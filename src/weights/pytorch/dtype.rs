//! The types of PyTorch's values: their names, their widths, and how floats become float32.

use half::{bf16, f16};

/// Makes a float32 from as many little-endian bytes as the type is wide.
pub type Decode = fn(&[u8]) -> f32;

/// A type of values.
#[derive(Debug)]
pub struct Dtype {
    /// As PyTorch names it: `torch.<name>`.
    pub name: &'static str,
    /// Bytes of a value.
    pub width: usize,
    /// Whole numbers and truth values: counters, never weights.
    pub is_integer: bool,
    /// How a value is read; none for types that are not read.
    pub decode: Option<Decode>,
    /// The class of its storages: `torch.<storage>`. Newer types have none and use the untyped one.
    storage: Option<&'static str>,
}

/// The table of `torch.storage._dtype_to_storage_type_map`, and the newer types beside it.
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
    pub fn from_name(name: &str) -> Option<&'static Dtype> {
        DTYPES.iter().find(|dtype| dtype.name == name)
    }

    /// The type of the values in a storage of the class `torch.<class>`.
    pub fn from_storage(class: &str) -> Option<&'static Dtype> {
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
