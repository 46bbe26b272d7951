//! Merges the frames of several datasets, such as those of the robots of a fleet, into one.
//!
//! The frames of each source go into a directory of their own below each label: the bursts of two robots that recorded at the same time
//! stay apart, because [`super::bursts`] groups the frames of each directory, and their names cannot collide.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::layout::PARTS;
use super::{Dataset, DatasetError, Label, existing_spelling, sweep};
use crate::disk;
use crate::frame;
use crate::gesture::Gesture;

/// A dataset whose frames are copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Name of its directory below each label.
    name: Label,
    root: PathBuf,
}

/// What was copied from a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// The name of the source.
    pub name: String,
    /// Number of frames that were copied.
    pub copied: usize,
    /// Number of frames whose label had the same file already, from an earlier merge or another source.
    pub present: usize,
    /// What of the source cannot be used, as sentences.
    pub warnings: Vec<String>,
}

/// Why datasets cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A dataset cannot be read or written.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The last directory of a source is no name, or means something else in a dataset.
    #[error(
        "{text:?} needs another name, of 1 to 64 letters, digits, _ and -, and neither that of a gesture nor of a part such as train: write robot1=DIR"
    )]
    Name {
        /// The argument.
        text: String,
    },
    /// Two sources have the same name.
    #[error("two datasets have the name {0}; give each a name of its own, as in robot1=DIR robot2=DIR")]
    SameName(String),
    /// A source is the dataset that is merged into, or a part of it.
    #[error("{} is the dataset that is merged into, or inside it, or around it", .0.display())]
    Same(PathBuf),
    /// A file is in the way.
    #[error("{} is another frame than {} of the dataset {name}; give that another name, as in robot2=DIR", there.display(), file.display())]
    Collision {
        /// The name of the source.
        name: String,
        /// The frame.
        file: PathBuf,
        /// The file in the way.
        there: PathBuf,
    },
}

impl Source {
    /// `NAME=DIR`, or `DIR`, whose last part is then the name.
    ///
    /// # Errors
    /// There is no valid name.
    pub fn parse(text: &str) -> Result<Source, MergeError> {
        let named = text
            .split_once('=')
            .and_then(|(name, root)| Some((Label::new(name).ok()?, root)));
        let (name, root) = match named {
            Some((name, root)) => (Some(name), Path::new(root)),
            None => {
                let root = Path::new(text);
                let absolute = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
                let last = absolute.file_name().and_then(|name| name.to_str());
                (last.and_then(|name| Label::new(name).ok()), root)
            }
        };
        let is_usable = |name: &Label| {
            !PARTS.contains(&name.as_str()) && Gesture::from_label(name.as_str()) == Gesture::Other
        };
        let name = name.filter(is_usable);
        let name = name.ok_or_else(|| MergeError::Name {
            text: text.to_owned(),
        })?;
        let root = root.to_owned();
        Ok(Source { name, root })
    }
}

/// Copies the frames of `sources` into the dataset `into`, which is created if it does not exist. Frames that a label has already are not
/// copied again, so that a merge can be repeated when the sources have new frames, or after an interruption. `on_frame` is called for each
/// frame.
///
/// # Errors
/// A dataset cannot be read or written; frames copied before are kept.
pub fn merge(sources: &[Source], into: &Path, mut on_frame: impl FnMut()) -> Result<Vec<Merged>, MergeError> {
    let mut names = HashSet::new();
    if let Some(twice) = sources.iter().find(|source| !names.insert(&source.name)) {
        return Err(MergeError::SameName(twice.name.to_string()));
    }
    disk::create_private_directory(into).map_err(io_error(into))?;
    sweep(into);
    let target = fs::canonicalize(into).map_err(io_error(into))?;
    let mut hashes = hashes(into)?;
    let mut merged = Vec::new();
    for source in sources {
        let real = fs::canonicalize(&source.root).map_err(io_error(&source.root))?;
        if real.starts_with(&target) || target.starts_with(&real) {
            return Err(MergeError::Same(source.root.clone()));
        }
        merged.push(merge_one(source, into, &mut hashes, &mut on_frame)?);
    }
    Ok(merged)
}

/// The hashes of the frames of each label.
type Hashes = HashMap<Label, HashSet<[u8; 32]>>;

fn merge_one(
    source: &Source,
    into: &Path,
    hashes: &mut Hashes,
    on_frame: &mut impl FnMut(),
) -> Result<Merged, MergeError> {
    let dataset = Dataset::read(&source.root)?;
    let mut merged = Merged {
        name: source.name.to_string(),
        copied: 0,
        present: 0,
        warnings: dataset.warnings(),
    };
    for frames in &dataset.labels {
        if frames.files.is_empty() {
            continue;
        }
        // Under the spelling that the dataset has.
        let label = existing_spelling(into, &frames.label);
        let directory = into.join(label.as_str());
        let present = hashes.entry(label).or_default();
        for file in &frames.files {
            on_frame();
            let bytes = read(file)?;
            if !present.insert(Sha256::digest(&bytes).into()) {
                merged.present += 1;
                continue;
            }
            let below = file.strip_prefix(source.root.join(frames.label.as_str()));
            let target = directory.join(source.name.as_str()).join(below.unwrap_or(file));
            copy(source, file, &bytes, &target)?;
            merged.copied += 1;
        }
    }
    Ok(merged)
}

fn hashes(root: &Path) -> Result<Hashes, MergeError> {
    let hash = |file: &PathBuf| Ok(Sha256::digest(read(file)?).into());
    let labels = Dataset::read(root)?.labels.into_iter();
    labels
        .map(|frames| {
            let hashes = frames.files.iter().map(hash);
            Ok((frames.label, hashes.collect::<Result<_, MergeError>>()?))
        })
        .collect()
}

fn read(file: &Path) -> Result<Vec<u8>, MergeError> {
    let bytes = frame::read_file(file).map_err(io::Error::other);
    Ok(bytes.map_err(io_error(file))?)
}

/// Writes a frame with the time of its file, which is its capture time if its name has none.
fn copy(source: &Source, file: &Path, bytes: &[u8], target: &Path) -> Result<(), MergeError> {
    disk::create_directory_inside(disk::parent(target)).map_err(io_error(target))?;
    match disk::write_once(target, bytes) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(MergeError::Collision {
                name: source.name.to_string(),
                file: file.to_owned(),
                there: target.to_owned(),
            });
        }
        written => written.map_err(io_error(target))?,
    };
    let modified = fs::metadata(file).and_then(|metadata| metadata.modified());
    // Not all file systems have times.
    if let Ok(modified) = modified {
        drop(
            File::options()
                .append(true)
                .open(target)
                .and_then(|file| file.set_modified(modified)),
        );
    }
    Ok(())
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> DatasetError {
    move |cause| DatasetError::Io {
        path: path.to_owned(),
        cause,
    }
}
