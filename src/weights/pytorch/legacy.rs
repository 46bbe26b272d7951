//! What `torch.save` wrote before 1.6, and writes with `_use_new_zipfile_serialization=False`.
//!
//! Five pickles behind each other (a magic number, a version, the machine, the object, the keys of its storages), and then
//! for each key an eight-byte count and the values. JetBot's images carry a torch that writes this.

use std::collections::HashMap;

use super::pickle::reader::Reader;
use super::pickle::{Pickle, Value};
use super::{Refusal, StorageBytes, shown};

/// `torch.serialization.MAGIC_NUMBER`, 0x1950a86a20f9469cfc6c, as a pickle holds it: little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The magic number begins here at the latest, even behind the frame of a newer pickle protocol.
const LAST_MAGIC_START: usize = 16;
/// `torch.serialization.PROTOCOL_VERSION`.
const PROTOCOL_VERSION: i64 = 1001;

/// A legacy file, taken apart.
#[derive(Debug)]
pub struct Legacy<'a> {
    /// What was saved.
    pub object: Pickle<'a>,
    /// The bytes of its storages.
    pub storages: Storages<'a>,
}

/// The bytes of each storage by its key.
#[derive(Debug)]
pub struct Storages<'a>(HashMap<&'a str, &'a [u8]>);

/// Whether a file that begins with these bytes is one.
pub fn is_legacy(first_bytes: &[u8]) -> bool {
    let start = &first_bytes[..first_bytes.len().min(LAST_MAGIC_START + MAGIC.len())];
    start.windows(MAGIC.len()).any(|window| window == MAGIC)
}

impl<'a> Legacy<'a> {
    /// Takes a file apart.
    ///
    /// # Errors
    /// A file that is cut off, of another version or byte order, or that asks for anything but tensors.
    pub fn parse(bytes: &'a [u8]) -> Result<Legacy<'a>, Refusal> {
        let mut reader = Reader::new(bytes);
        check_header(&mut reader)?;
        let object = next_pickle(&mut reader)?;
        let keys = next_pickle(&mut reader)?;
        let storages = storages(&mut reader, &object, &keys)?;
        Ok(Legacy { object, storages })
    }
}

impl StorageBytes for Storages<'_> {
    fn bytes(&mut self, key: &str) -> Result<&[u8], Refusal> {
        self.0
            .get(key)
            .copied()
            .ok_or(Refusal::Pickle("a storage is not in the file's list"))
    }
}

fn check_header(reader: &mut Reader) -> Result<(), Refusal> {
    if !matches!(next_pickle(reader)?.root(), Value::Long(number) if **number == MAGIC) {
        return Err(Refusal::Format);
    }
    if !matches!(next_pickle(reader)?.root(), Value::Int(PROTOCOL_VERSION)) {
        return Err(Refusal::Format);
    }
    let machine = next_pickle(reader)?;
    let Value::Dict(entries) = machine.root() else {
        return Err(Refusal::Format);
    };
    match machine.lookup(entries, "little_endian") {
        Some(Value::Bool(true)) => Ok(()),
        _ => Err(Refusal::BigEndian),
    }
}

fn next_pickle<'a>(reader: &mut Reader<'a>) -> Result<Pickle<'a>, Refusal> {
    let (pickle, length) = Pickle::parse(reader.rest())?;
    reader.take(length)?;
    Ok(pickle)
}

fn storages<'a>(
    reader: &mut Reader<'a>,
    object: &Pickle<'a>,
    keys: &Pickle<'a>,
) -> Result<Storages<'a>, Refusal> {
    let mut widths = HashMap::new();
    for storage in object.storages() {
        widths.entry(storage.key).or_insert(storage.dtype.width);
    }
    let Value::List(keys_in_order) = keys.root() else {
        return Err(Refusal::Pickle("the keys of the storages are not a list"));
    };
    let mut storages = HashMap::new();
    for id in keys_in_order {
        let Value::Text(key) = keys.value(*id) else {
            return Err(Refusal::Pickle("the key of a storage is not a text"));
        };
        let width = widths
            .get(key)
            .ok_or(Refusal::Pickle("a storage in the file's list is never used"))?;
        let bytes = storage_bytes(reader, *width).ok_or_else(|| Refusal::Tensor {
            name: shown(key),
            defect: "its storage is cut off",
        })?;
        storages.insert(*key, bytes);
    }
    Ok(Storages(storages))
}

fn storage_bytes<'a>(reader: &mut Reader<'a>, width: usize) -> Option<&'a [u8]> {
    let count = reader.length_u64().ok()?;
    reader.take(count.checked_mul(width)?).ok()
}
