//! Zip archives from outside whose entries are not compressed: what is read of them is not longer than the file.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read};

use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;

/// An open archive.
pub(crate) struct StoredZip {
    zip: ZipArchive<BufReader<File>>,
    /// Limits the total length of the entries to that of the file, since entries of a malicious archive may overlap.
    bytes_left: u64,
}

/// Why an entry cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EntryError {
    /// It is said to be longer than what is left of the file.
    #[error("it is longer than the file")]
    TooLong,
    /// It does not exist, or the archive is damaged.
    #[error(transparent)]
    Zip(#[from] ZipError),
}

impl StoredZip {
    /// Reads the directory of an archive, which begins at the beginning of the file.
    ///
    /// # Errors
    /// The archive is damaged.
    pub(crate) fn open(file: File, file_len: u64) -> Result<StoredZip, ZipError> {
        // By default the crate searches for the beginning of the archive. torch writes some records twice, also as zip64, which
        // misleads the search if the name of the first entry has 30 characters.
        let config = Config {
            archive_offset: ArchiveOffset::Known(0),
        };
        Ok(StoredZip {
            zip: ZipArchive::with_config(config, BufReader::new(file))?,
            bytes_left: file_len,
        })
    }

    /// The names of the entries, without those that are not valid.
    pub(crate) fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.zip.file_names().filter_map(Result::ok)
    }

    /// Begins to read an entry; returns its length and its content, which ends after one byte more if it is longer.
    ///
    /// # Errors
    /// There is no such entry, it is compressed or too long, or the archive is damaged.
    pub(crate) fn entry<'a>(&'a mut self, name: &str) -> Result<(u64, impl Read + use<'a>), EntryError> {
        let entry = self.zip.by_name(name)?;
        let length = entry.size();
        self.bytes_left = self.bytes_left.checked_sub(length).ok_or(EntryError::TooLong)?;
        // The crate only compares the checksum at the end of the entry.
        Ok((length, entry.take(length.saturating_add(1))))
    }
}
