//! The zip archive that `torch.save` has written since 1.6: a pickle, and a file for each storage.
//!
//! Nothing is compressed in it, so that its parts together are never longer than the file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};

use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;

use super::{Refusal, StorageBytes, shown};

/// The entry that holds the pickle, behind a prefix which is the file's first name.
const PICKLE_ENTRY: &str = "/data.pkl";

/// An open archive, and what has been read of it.
pub struct Archive {
    zip: ZipArchive<BufReader<File>>,
    /// What stands before every entry's name, such as `archive` or `model`.
    prefix: String,
    /// Entries of a hostile archive may overlap: all together they may not be longer than the file.
    bytes_left: u64,
    storages: HashMap<String, Vec<u8>>,
}

/// Whether a file that begins with these bytes is a zip archive.
pub fn is_zip(first_bytes: &[u8]) -> bool {
    first_bytes.starts_with(b"PK\x03\x04")
}

impl Archive {
    /// Reads the directory of an archive.
    ///
    /// # Errors
    /// A broken archive, one of another program, or one of a big-endian machine.
    pub fn open(file: File, file_bytes: u64) -> Result<Archive, Refusal> {
        // Looking for the beginning, as the crate does unless told, goes astray between the records that torch writes twice
        // (those of zip64 too) where the first entry's name has 30 characters. Torch's archives begin where the file does.
        let config = Config {
            archive_offset: ArchiveOffset::Known(0),
        };
        let zip = ZipArchive::with_config(config, BufReader::new(file))?;
        let prefix = prefix(&zip).ok_or_else(|| Refusal::MissingEntry("data.pkl".to_owned()))?;
        let mut archive = Archive {
            zip,
            prefix,
            bytes_left: file_bytes,
            storages: HashMap::new(),
        };
        match archive.entry("byteorder") {
            // Before torch 2.1 none was written, and no other was possible.
            Ok(order) if order != b"little" => Err(Refusal::BigEndian),
            Ok(_) | Err(Refusal::MissingEntry(_)) => Ok(archive),
            Err(refusal) => Err(refusal),
        }
    }

    /// The pickle of the object that was saved.
    ///
    /// # Errors
    /// A broken archive.
    pub fn pickle(&mut self) -> Result<Vec<u8>, Refusal> {
        self.entry("data.pkl")
    }

    fn entry(&mut self, name: &str) -> Result<Vec<u8>, Refusal> {
        let entry = match self.zip.by_name(&format!("{}/{name}", self.prefix)) {
            Err(ZipError::FileNotFound) => return Err(Refusal::MissingEntry(shown(name))),
            other => other?,
        };
        let length = entry.size();
        self.bytes_left = self.bytes_left.checked_sub(length).ok_or(Refusal::CutOff)?;
        let mut bytes = Vec::new();
        // A byte more than there should be, for only behind the last one is the checksum compared.
        entry
            .take(length.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(ZipError::Io)?;
        if bytes.len() as u64 != length {
            return Err(Refusal::CutOff);
        }
        Ok(bytes)
    }
}

impl StorageBytes for Archive {
    fn bytes(&mut self, key: &str) -> Result<&[u8], Refusal> {
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
