//! A model as one file, to carry it to another robot: a zip archive of its manifest and the files that the manifest names.
//!
//! The same model gives the same archive, byte for byte, wherever it is stored: the SHA-256 of the file identifies it. The report, which
//! shows people, stays behind.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{
    DRAFT_PREFIX, MANIFEST_FILE, MAX_JSON_BYTES, MODELS_DIRECTORY, Manifest, ModelStore, ONNX_FILE,
    StoreError, StoredModel, WEIGHTS_FILE, io_error, parse_manifest, sha256,
};
use crate::disk::{self, DraftDirectory};
use crate::stored_zip::StoredZip;
use crate::text::printable;

/// What was done with an archive.
#[derive(Debug)]
pub struct Unpacked {
    /// The model in the store.
    pub model: StoredModel,
    /// Whether it was not in the store before.
    pub is_new: bool,
}

/// Why an archive could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be read or written.
    #[error("{path}: {cause}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        cause: io::Error,
    },
    /// The file is not the one that was meant.
    #[error("{path} has the SHA-256 {found}, not {expected}; get the file again", path = path.display())]
    Hash {
        /// The archive.
        path: PathBuf,
        /// The hash that was given.
        expected: String,
        /// The hash of the file.
        found: String,
    },
    /// The file is something else, or damaged.
    #[error("{path} is not a model that `thumb_gesture models export` has written: {reason}", path = path.display())]
    NotAModel {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The store has another model with the same id.
    #[error("the store has another model {id}; rename neither: delete the one that is not wanted")]
    Exists {
        /// The id.
        id: String,
    },
}

impl ModelStore {
    /// Writes a model to a file, which is replaced. Returns the SHA-256 of the file.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn pack(&self, model: &StoredModel, path: &Path) -> Result<String, ArchiveError> {
        let failed = |cause| ArchiveError::Io {
            path: path.to_owned(),
            cause,
        };
        let mut sha256 = String::new();
        disk::write_output_with(path, None, |writer| {
            let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
            let mut zip = ZipWriter::new_stream(Hashing {
                inner: writer,
                hasher: Sha256::new(),
            });
            // The place in the order of a store is the store's.
            let manifest = Manifest {
                sequence: 0,
                ..model.manifest.clone()
            };
            zip.start_file(MANIFEST_FILE, options).map_err(io::Error::from)?;
            zip.write_all(&serde_json::to_vec_pretty(&manifest)?)?;
            for name in manifest.sha256.keys() {
                zip.start_file(name.as_str(), options).map_err(io::Error::from)?;
                io::copy(&mut disk::open_file(&model.path(name))?, &mut zip)?;
            }
            sha256 = zip.finish().map_err(io::Error::from)?.into_inner().sha256();
            Ok(())
        })
        .map_err(failed)?;
        Ok(sha256)
    }

    /// Adds the model in a file, unless the store has it already. With `expected`, the SHA-256 of the file must be that.
    ///
    /// # Errors
    /// The file cannot be read, is another one or no model, or the store has another model with the same id.
    pub fn unpack(&self, path: &Path, expected: Option<&str>) -> Result<Unpacked, ArchiveError> {
        let failed = |cause| ArchiveError::Io {
            path: path.to_owned(),
            cause,
        };
        let invalid = |reason: String| ArchiveError::NotAModel {
            path: path.to_owned(),
            reason,
        };
        if let Some(expected) = expected {
            let found = sha256(path).map_err(failed)?;
            if !found.eq_ignore_ascii_case(expected) {
                let (path, expected) = (path.to_owned(), printable(expected));
                return Err(ArchiveError::Hash {
                    path,
                    expected,
                    found,
                });
            }
        }
        let file = disk::open_file(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut archive = StoredZip::open(file, length).map_err(|error| invalid(error.to_string()))?;
        let manifest = read_manifest(&mut archive, path).map_err(invalid)?;
        if let Some(known) = self.known(&manifest)? {
            return Ok(known);
        }
        let models = self.root.join(MODELS_DIRECTORY);
        let draft =
            DraftDirectory::create(&models, DRAFT_PREFIX).map_err(|cause| io_error(&models, cause))?;
        for (name, expected) in &manifest.sha256 {
            let target = draft.path().join(name);
            let found = copy(&mut archive, name, &target).map_err(|error| match error {
                CopyError::Archive(reason) => invalid(reason),
                CopyError::Target(cause) => io_error(&target, cause).into(),
            })?;
            if found != *expected {
                return Err(invalid(format!("{name} is damaged")));
            }
        }
        let lock = self.lock()?;
        // Another process may have been faster.
        if let Some(known) = self.known(&manifest)? {
            return Ok(known);
        }
        let model = self.add(draft, manifest, &lock)?;
        Ok(Unpacked { model, is_new: true })
    }

    /// The model of this manifest, if the store has it.
    fn known(&self, manifest: &Manifest) -> Result<Option<Unpacked>, ArchiveError> {
        let model = match self.model(&manifest.id) {
            Err(StoreError::NoSuchModel { .. }) => return Ok(None),
            found => found?,
        };
        let is_same = *manifest
            == Manifest {
                sequence: manifest.sequence,
                ..model.manifest.clone()
            };
        match is_same {
            true => Ok(Some(Unpacked { model, is_new: false })),
            false => Err(ArchiveError::Exists {
                id: manifest.id.clone(),
            }),
        }
    }
}

/// Why an entry could not be copied.
enum CopyError {
    /// The archive cannot be read.
    Archive(String),
    /// The file cannot be written, for example because the disk is full.
    Target(io::Error),
}

/// Hashes what is written.
struct Hashing<W> {
    inner: W,
    hasher: Sha256,
}

impl<W> Hashing<W> {
    fn sha256(self) -> String {
        disk::hex(&self.hasher.finalize())
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn read_manifest(archive: &mut StoredZip, path: &Path) -> Result<Manifest, String> {
    let mut bytes = Vec::new();
    let entry = entry(archive, MANIFEST_FILE)?;
    entry
        .take(MAX_JSON_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    let manifest = parse_manifest(&path.join(MANIFEST_FILE), &bytes).map_err(|error| error.to_string())?;
    let has = |name: &&str| manifest.sha256.contains_key(*name);
    if let Some(missing) = [ONNX_FILE, WEIGHTS_FILE].iter().find(|name| !has(name)) {
        return Err(format!("it has no {missing}"));
    }
    let is_name = |name: &str| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        !name.is_empty() && name.len() <= 128 && name.chars().all(is_allowed) && !name.starts_with('.')
    };
    let mut names = manifest.sha256.keys();
    if !is_name(&manifest.id) || !names.all(|name| is_name(name) && name != MANIFEST_FILE) {
        return Err("its manifest has invalid names".to_owned());
    }
    Ok(manifest)
}

/// Copies an entry to a file; returns its SHA-256.
fn copy(archive: &mut StoredZip, name: &str, target: &Path) -> Result<String, CopyError> {
    let mut entry = entry(archive, name).map_err(CopyError::Archive)?;
    let mut file = Hashing {
        inner: disk::create_file(target).map_err(CopyError::Target)?,
        hasher: Sha256::new(),
    };
    let mut chunk = vec![0; 1 << 20];
    loop {
        // Not `io::copy`, which does not say on which side an error was.
        let length = entry.read(&mut chunk);
        match length.map_err(|error| CopyError::Archive(format!("{name}: {error}")))? {
            0 => return Ok(file.sha256()),
            length => file.write_all(&chunk[..length]).map_err(CopyError::Target)?,
        }
    }
}

fn entry<'a>(archive: &'a mut StoredZip, name: &str) -> Result<impl Read + use<'a>, String> {
    let (_, content) = archive.entry(name).map_err(|error| format!("{name}: {error}"))?;
    Ok(content)
}
