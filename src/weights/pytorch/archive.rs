//! The zip archive that `torch.save` writes since torch 1.6: a pickle, and one entry for each storage.
//!
//! Entries are not compressed, so that their total length cannot exceed the length of the file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};

use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;

use super::StorageBytes;
use super::error::ContentError;
use crate::text::printable;

/// Suffix of the entry with the pickle. The prefix is the name that the file was saved under.
const PICKLE_ENTRY: &str = "/data.pkl";

/// An open archive.
pub(crate) struct Archive {
    zip: ZipArchive<BufReader<File>>,
    /// First part of each entry's name, such as `archive` or `model`.
    prefix: String,
    /// Limits the total length of the entries to that of the file, since entries of a malicious archive may overlap.
    bytes_left: u64,
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
        // By default the crate searches for the beginning of the archive. torch writes some records twice, also as zip64, which
        // misleads the search if the name of the first entry has 30 characters. torch's archives always begin at offset 0.
        let config = Config {
            archive_offset: ArchiveOffset::Known(0),
        };
        let zip = ZipArchive::with_config(config, BufReader::new(file))?;
        let prefix = prefix(&zip).ok_or_else(|| ContentError::MissingEntry("data.pkl".to_owned()))?;
        let mut archive = Archive {
            zip,
            prefix,
            bytes_left: file_len,
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
        let entry = match self.zip.by_name(&format!("{}/{name}", self.prefix)) {
            Err(ZipError::FileNotFound) => return Err(ContentError::MissingEntry(printable(name))),
            other => other?,
        };
        let length = entry.size();
        self.bytes_left = self
            .bytes_left
            .checked_sub(length)
            .ok_or(ContentError::Truncated)?;
        let mut bytes = Vec::new();
        // One more byte than expected: the crate only compares the checksum at the end of the entry.
        entry
            .take(length.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(ZipError::Io)?;
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

fn prefix(zip: &ZipArchive<BufReader<File>>) -> Option<String> {
    let mut names = zip.file_names().filter_map(Result::ok);
    names.find_map(|name| name.strip_suffix(PICKLE_ENTRY).map(str::to_owned))
}
