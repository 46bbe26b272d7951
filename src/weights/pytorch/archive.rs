//! The zip archive that `torch.save` writes since torch 1.6: a pickle, and one entry for each storage.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

use zip::result::ZipError;

use super::StorageBytes;
use super::error::ContentError;
use crate::stored_zip::{EntryError, StoredZip};
use crate::text::printable;

/// Suffix of the entry with the pickle. The prefix is the name that the file was saved under.
const PICKLE_ENTRY: &str = "/data.pkl";

/// An open archive.
pub(crate) struct Archive {
    zip: StoredZip,
    /// First part of each entry's name, such as `archive` or `model`.
    prefix: String,
    /// The storages that were read so far.
    storages: HashMap<String, Vec<u8>>,
}

/// Whether a file with these first bytes is a zip archive.
pub(crate) fn is_zip(first_bytes: &[u8]) -> bool {
    first_bytes.starts_with(b"PK\x03\x04")
}

impl Archive {
    /// Reads the directory of an archive.
    ///
    /// # Errors
    /// The archive is damaged, was not written by `torch.save`, or comes from a big-endian machine.
    pub(crate) fn open(file: File, file_len: u64) -> Result<Archive, ContentError> {
        let zip = StoredZip::open(file, file_len)?;
        let prefix = prefix(&zip).ok_or_else(|| ContentError::MissingEntry("data.pkl".to_owned()))?;
        let mut archive = Archive {
            zip,
            prefix,
            storages: HashMap::new(),
        };
        match archive.entry("byteorder") {
            // torch before 2.1 did not write this entry and only supported little-endian machines.
            Ok(order) if order != b"little" => Err(ContentError::BigEndian),
            Ok(_) | Err(ContentError::MissingEntry(_)) => Ok(archive),
            Err(error) => Err(error),
        }
    }

    /// The pickle of the saved object.
    ///
    /// # Errors
    /// The archive is damaged.
    pub(crate) fn pickle(&mut self) -> Result<Vec<u8>, ContentError> {
        self.entry("data.pkl")
    }

    fn entry(&mut self, name: &str) -> Result<Vec<u8>, ContentError> {
        let entry = self.zip.entry(&format!("{}/{name}", self.prefix));
        let (length, mut entry) = entry.map_err(|error| match error {
            EntryError::TooLong => ContentError::Truncated,
            EntryError::Zip(ZipError::FileNotFound) => ContentError::MissingEntry(printable(name)),
            EntryError::Zip(error) => error.into(),
        })?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(ZipError::Io)?;
        if bytes.len() as u64 != length {
            return Err(ContentError::Truncated);
        }
        Ok(bytes)
    }
}

impl StorageBytes for Archive {
    fn bytes(&mut self, key: &str) -> Result<&[u8], ContentError> {
        if !self.storages.contains_key(key) {
            let bytes = self.entry(&format!("data/{key}"))?;
            self.storages.insert(key.to_owned(), bytes);
        }
        Ok(&self.storages[key])
    }
}

fn prefix(zip: &StoredZip) -> Option<String> {
    let mut names = zip.names();
    names.find_map(|name| name.strip_suffix(PICKLE_ENTRY).map(str::to_owned))
}
