//! The format of `torch.save` before torch 1.6, and with `_use_new_zipfile_serialization=False`.
//!
//! A file consists of five pickles (magic number, version, description of the machine, saved object, keys of its storages).
//! They are followed by an eight-byte number of values and the values for each key. The torch of JetBot's SD card images writes this format.

use std::collections::HashMap;

use super::StorageBytes;
use super::error::ContentError;
use super::pickle::reader::Reader;
use super::pickle::{Pickle, Value};
use crate::file_kind::TORCH_MAGIC;
use crate::text::printable;

/// `torch.serialization.PROTOCOL_VERSION`.
const PROTOCOL_VERSION: i64 = 1001;

/// A parsed legacy file.
#[derive(Debug)]
pub(crate) struct Legacy<'a> {
    /// The saved object.
    pub(crate) object: Pickle<'a>,
    pub(crate) storages: Storages<'a>,
}

/// The bytes of each storage, by key.
#[derive(Debug)]
pub(crate) struct Storages<'a>(HashMap<&'a str, &'a [u8]>);

impl<'a> Legacy<'a> {
    /// Parses a file.
    ///
    /// # Errors
    /// The file is truncated, has another version or byte order, or references classes or functions that tensors do not need.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Legacy<'a>, ContentError> {
        let mut reader = Reader::new(bytes);
        check_header(&mut reader)?;
        let object = next_pickle(&mut reader)?;
        let keys = next_pickle(&mut reader)?;
        let storages = storages(&mut reader, &object, &keys)?;
        Ok(Legacy { object, storages })
    }
}

impl StorageBytes for Storages<'_> {
    fn bytes(&mut self, key: &str) -> Result<&[u8], ContentError> {
        self.0.get(key).copied().ok_or(ContentError::Pickle(
            "a storage is missing in the list of storages",
        ))
    }
}

fn check_header(reader: &mut Reader) -> Result<(), ContentError> {
    if !matches!(next_pickle(reader)?.root(), Value::Long(number) if **number == TORCH_MAGIC) {
        return Err(ContentError::Format);
    }
    if !matches!(next_pickle(reader)?.root(), Value::Int(PROTOCOL_VERSION)) {
        return Err(ContentError::Format);
    }
    let machine = next_pickle(reader)?;
    let Value::Dict(entries) = machine.root() else {
        return Err(ContentError::Format);
    };
    match machine.lookup(entries, "little_endian") {
        Some(Value::Bool(true)) => Ok(()),
        _ => Err(ContentError::BigEndian),
    }
}

fn next_pickle<'a>(reader: &mut Reader<'a>) -> Result<Pickle<'a>, ContentError> {
    let (pickle, length) = Pickle::parse(reader.rest())?;
    reader.take(length)?;
    Ok(pickle)
}

fn storages<'a>(
    reader: &mut Reader<'a>,
    object: &Pickle<'a>,
    keys: &Pickle<'a>,
) -> Result<Storages<'a>, ContentError> {
    let mut widths = HashMap::new();
    for storage in object.storages() {
        widths.entry(storage.key).or_insert(storage.dtype.width);
    }
    let Value::List(keys_in_order) = keys.root() else {
        return Err(ContentError::Pickle("the storage keys are not a list"));
    };
    let mut storages = HashMap::new();
    for id in keys_in_order {
        let Value::Text(key) = keys.value(*id) else {
            return Err(ContentError::Pickle("a storage key is not a string"));
        };
        let width = widths
            .get(key)
            .ok_or(ContentError::Pickle("the list of storages holds an unused one"))?;
        let bytes = storage_bytes(reader, *width).ok_or_else(|| ContentError::Tensor {
            name: printable(key),
            defect: "its storage is truncated",
        })?;
        storages.insert(*key, bytes);
    }
    Ok(Storages(storages))
}

fn storage_bytes<'a>(reader: &mut Reader<'a>, width: usize) -> Option<&'a [u8]> {
    let count = reader.length_u64().ok()?;
    reader.take(count.checked_mul(width)?).ok()
}
