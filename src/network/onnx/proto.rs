//! The messages and fields of `onnx.proto3` that this package writes, with their field numbers.

use prost::Message;

use crate::network::signed_dims;

/// `TensorProto.DataType.FLOAT`.
pub(super) const FLOAT: i32 = 1;
/// `TensorProto.DataType.UINT8`.
pub(super) const UINT8: i32 = 2;
/// `TensorProto.DataType.INT8`.
pub(super) const INT8: i32 = 3;
/// `TensorProto.DataType.INT32`.
pub(super) const INT32: i32 = 6;
/// `TensorProto.DataType.INT64`.
pub(super) const INT64: i32 = 7;
/// `TensorProto.DataType.FLOAT16`.
pub(super) const FLOAT16: i32 = 10;
/// `TensorProto.DataLocation.EXTERNAL`.
pub(super) const EXTERNAL: i32 = 1;
const ATTRIBUTE_INT: i32 = 2;
const ATTRIBUTE_INTS: i32 = 7;

/// `ModelProto`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Model {
    #[prost(int64, tag = "1")]
    pub(super) ir_version: i64,
    #[prost(string, tag = "2")]
    pub(super) producer_name: String,
    #[prost(string, tag = "3")]
    pub(super) producer_version: String,
    #[prost(message, optional, tag = "7")]
    pub(super) graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    pub(super) operator_sets: Vec<OperatorSet>,
    #[prost(message, repeated, tag = "14")]
    pub(super) metadata: Vec<StringStringEntry>,
}

/// `OperatorSetIdProto`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OperatorSet {
    #[prost(string, tag = "1")]
    pub(super) domain: String,
    #[prost(int64, tag = "2")]
    pub(super) version: i64,
}

/// `GraphProto`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub(super) nodes: Vec<Node>,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) initializers: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    pub(super) inputs: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub(super) outputs: Vec<ValueInfo>,
}

/// `NodeProto`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub(super) inputs: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(super) outputs: Vec<String>,
    #[prost(string, tag = "3")]
    pub(super) name: String,
    #[prost(string, tag = "4")]
    pub(super) op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) attributes: Vec<Attribute>,
}

/// `AttributeProto`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Attribute {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(int64, tag = "3")]
    pub(super) int: i64,
    #[prost(int64, repeated, tag = "8")]
    pub(super) ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    pub(super) kind: i32,
}

impl Attribute {
    pub(super) fn int(name: &str, int: i64) -> Attribute {
        Attribute {
            name: name.to_owned(),
            int,
            ints: vec![],
            kind: ATTRIBUTE_INT,
        }
    }

    pub(super) fn ints(name: &str, ints: Vec<i64>) -> Attribute {
        Attribute {
            name: name.to_owned(),
            int: 0,
            ints,
            kind: ATTRIBUTE_INTS,
        }
    }
}

/// `TensorProto`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    pub(super) dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub(super) data_type: i32,
    #[prost(string, tag = "8")]
    pub(super) name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub(super) raw_data: Vec<u8>,
    #[prost(message, repeated, tag = "13")]
    pub(super) external_data: Vec<StringStringEntry>,
    #[prost(int32, tag = "14")]
    pub(super) data_location: i32,
}

/// `StringStringEntryProto`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StringStringEntry {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

/// `ValueInfoProto`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ValueInfo {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) kind: Option<Type>,
}

/// `TypeProto`, with tensor types only.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Type {
    #[prost(message, optional, tag = "1")]
    pub(super) tensor: Option<TensorType>,
}

/// `TypeProto.Tensor`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorType {
    #[prost(int32, tag = "1")]
    pub(super) element: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) shape: Option<TensorShape>,
}

/// `TensorShapeProto`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorShape {
    #[prost(message, repeated, tag = "1")]
    pub(super) dims: Vec<Dimension>,
}

/// `TensorShapeProto.Dimension`: a length, or the name of a dynamic dimension.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Dimension {
    #[prost(oneof = "dimension::Length", tags = "1, 2")]
    pub(super) length: Option<dimension::Length>,
}

pub(super) mod dimension {
    /// `TensorShapeProto.Dimension.value`.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(crate) enum Length {
        #[prost(int64, tag = "1")]
        Fixed(i64),
        #[prost(string, tag = "2")]
        Symbolic(String),
    }
}

impl Dimension {
    pub(super) fn fixed(length: usize) -> Dimension {
        Dimension {
            length: Some(dimension::Length::Fixed(length as i64)),
        }
    }

    pub(super) fn symbolic(name: &str) -> Dimension {
        Dimension {
            length: Some(dimension::Length::Symbolic(name.to_owned())),
        }
    }
}

impl Tensor {
    /// A tensor with its values in the file itself, little-endian.
    pub(super) fn inline<T: bytemuck::NoUninit>(
        name: String,
        data_type: i32,
        shape: &[usize],
        values: &[T],
    ) -> Tensor {
        Tensor {
            dims: signed_dims(shape),
            data_type,
            name,
            raw_data: bytemuck::cast_slice(values).to_vec(),
            ..Tensor::default()
        }
    }
}

impl ValueInfo {
    /// A float32 tensor of unspecified shape.
    pub(super) fn of_unknown_shape(name: &str) -> ValueInfo {
        ValueInfo {
            name: name.to_owned(),
            kind: Some(Type {
                tensor: Some(TensorType {
                    element: FLOAT,
                    shape: None,
                }),
            }),
        }
    }

    pub(super) fn float_tensor(name: &str, dims: Vec<Dimension>) -> ValueInfo {
        ValueInfo {
            name: name.to_owned(),
            kind: Some(Type {
                tensor: Some(TensorType {
                    element: FLOAT,
                    shape: Some(TensorShape { dims }),
                }),
            }),
        }
    }
}
