//! The files of a bag's directory: those that are there, in the order of `metadata.yaml`.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::metadata::{self, Metadata, last_component};
use super::{BagError, DataLoss, TopicContents};
use crate::file_kind::FileKind;
use crate::text::escape_controls;

/// Name extensions of bag files.
const EXTENSIONS: [&str; 2] = [".mcap", ".db3"];
/// What rosbag2 and the command `zstd` append to the name of a file that they compress.
const COMPRESSED: [&str; 2] = [".zstd", ".zst"];
/// Number of files in a directory that are looked at to say what it holds.
const MAX_LOOKED_AT: usize = 100;

/// What a directory holds of a bag.
#[derive(Debug, Default)]
pub(super) struct Directory {
    /// The bag's files, in recording order.
    pub(super) files: Vec<PathBuf>,
    /// The topics that `metadata.yaml` lists; empty without the file.
    pub(super) topics: Vec<TopicContents>,
    pub(super) losses: Vec<DataLoss>,
}

impl Directory {
    /// Finds the files of a bag.
    ///
    /// # Errors
    /// The directory cannot be read, or holds no bag file.
    pub(super) fn read(path: &Path) -> Result<Directory, BagError> {
        let present = list_bag_files(path).map_err(|cause| BagError::Io {
            path: path.to_owned(),
            cause,
        })?;
        let mut directory = Directory::default();
        let metadata_path = path.join(metadata::FILE_NAME);
        let without_files = match Metadata::read(path) {
            Ok(listed) => {
                directory.match_files(path, &listed.files, present);
                directory.topics = listed.topics;
                if let Some(reason) = listed.unsupported {
                    directory.record_loss(&metadata_path, reason);
                }
                let first = listed.files.first().map_or("", String::as_str);
                format!("its metadata.yaml lists {first}, but it has no bag files")
            }
            Err(reason) => {
                directory.files = present;
                directory.record_loss(
                    &metadata_path,
                    format!(
                        "{reason}; the bag files in the directory are read in the order of their numbers"
                    ),
                );
                if metadata_path.exists() {
                    format!("it has no bag files, and its metadata.yaml: {reason}")
                } else {
                    describe(path)
                }
            }
        };
        if directory.files.is_empty() {
            return Err(BagError::not_a_bag(path, escape_controls(&without_files)));
        }
        Ok(directory)
    }

    /// Takes the listed files that are there, under whatever directory the recorder saw them, and then files that the list should have.
    fn match_files(&mut self, path: &Path, listed: &[String], present: Vec<PathBuf>) {
        let mut missing = Vec::new();
        for name in listed {
            match find(path, name, &present) {
                Some(file) if self.files.contains(&file) => {}
                Some(file) => self.files.push(file),
                None => missing.push(path.join(last_component(name))),
            }
        }
        let known: HashSet<String> = self.files.iter().map(|file| uncompressed_name(file)).collect();
        let series: HashSet<String> = self.files.iter().map(|file| number_and_series(file).1).collect();
        let is_unlisted = |file: &PathBuf| !known.contains(&uncompressed_name(file));
        let unlisted: Vec<PathBuf> = present.into_iter().filter(is_unlisted).collect();
        // As many files, all under other names: they were renamed. The numbers of messages show whether they are the right ones.
        let are_renamed = self.files.is_empty() && missing.len() == unlisted.len();
        if !are_renamed {
            for file in &missing {
                self.record_loss(file, "listed in metadata.yaml, but not found".to_owned());
            }
        }
        for file in unlisted {
            let belongs = !missing.is_empty() || series.contains(&number_and_series(&file).1);
            if !are_renamed {
                let reason = if belongs {
                    "not listed in metadata.yaml; read as well"
                } else {
                    "not listed in metadata.yaml and not read; give the file itself as the bag to read it"
                };
                self.record_loss(&file, reason.to_owned());
            }
            if belongs {
                self.files.push(file);
                self.files.sort_by_key(|file| number_and_series(file));
            }
        }
    }

    fn record_loss(&mut self, file: &Path, reason: String) {
        self.losses.push(DataLoss {
            file: file.display().to_string(),
            messages: None,
            reason,
        });
    }
}

/// The file in the bag's directory that a path in `metadata.yaml` means. The path may begin with the name that the bag's directory had
/// (up to version 3 of the format), may be absolute, of another machine or of Windows; a file outside the directory is never read.
fn find(directory: &Path, listed: &str, present: &[PathBuf]) -> Option<PathBuf> {
    let is_inside = Path::new(listed)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let last = Path::new(last_component(listed));
    let as_listed = is_inside.then(|| directory.join(listed));
    let by_name = last.file_name().map(|name| directory.join(name));
    let by_content = || {
        let name = uncompressed_name(last);
        present.iter().find(|file| uncompressed_name(file) == name)
    };
    as_listed
        .into_iter()
        .chain(by_name)
        .find(|file| file.is_file())
        .or_else(|| by_content().cloned())
}

/// The bag files in a directory, sorted by the numbers in their names: those with the usual extensions or, if there are none, by content.
///
/// rosbag2 leaves the decompressed file beside the compressed one: of such a pair only the former is listed.
fn list_bag_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let files = list_files(directory)?;
    let mut found: Vec<PathBuf> = files.iter().filter(|file| has_extension(file)).cloned().collect();
    if found.is_empty() {
        let is_bag =
            |file: &&PathBuf| matches!(FileKind::of_file(file), Ok(FileKind::Mcap | FileKind::Sqlite));
        found = files.iter().take(MAX_LOOKED_AT).filter(is_bag).cloned().collect();
    }
    let names: HashSet<PathBuf> = found.iter().cloned().collect();
    found.retain(|file| {
        let uncompressed = file.with_file_name(uncompressed_name(file));
        *file == uncompressed || !names.contains(&uncompressed)
    });
    found.sort_by_key(|file| number_and_series(file));
    Ok(found)
}

/// The files in a directory, sorted by name.
fn list_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn has_extension(file: &Path) -> bool {
    let name = uncompressed_name(file).to_ascii_lowercase();
    EXTENSIONS.iter().any(|extension| name.ends_with(extension))
}

/// The name that a file has without file compression.
fn uncompressed_name(file: &Path) -> String {
    let name = file.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    let uncompressed = COMPRESSED.iter().find_map(|suffix| name.strip_suffix(suffix));
    uncompressed.unwrap_or(&name).to_owned()
}

/// The parts of the name of a file of a split bag: 12 and `bag` for `bag_12.mcap`.
fn number_and_series(file: &Path) -> (u64, String) {
    let name = uncompressed_name(file);
    let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
    let parts = stem.rsplit_once('_').and_then(|(series, digits)| {
        let number = digits.parse().ok()?;
        Some((number, series.to_owned()))
    });
    parts.unwrap_or_else(|| (0, stem.to_owned()))
}

/// Says what a directory holds instead of a bag.
fn describe(directory: &Path) -> String {
    let directories = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut directories: Vec<PathBuf> = directories
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .take(MAX_LOOKED_AT)
        .collect();
    directories.sort();
    let is_bag = |path: &&PathBuf| list_bag_files(path).is_ok_and(|files| !files.is_empty());
    let bags: Vec<String> = directories
        .iter()
        .filter(is_bag)
        .map(|path| path.display().to_string())
        .collect();
    if !bags.is_empty() {
        return format!("it is a directory of bags; give one of them: {}", bags.join(", "));
    }
    let of_labels = directories.iter().filter_map(|path| list_files(path).ok());
    let files = list_files(directory).into_iter().chain(of_labels).flatten();
    files
        .take(MAX_LOOKED_AT)
        .find_map(|file| match FileKind::of_file(&file) {
            // Such files are in any directory.
            Ok(
                FileKind::Unknown
                | FileKind::Empty
                | FileKind::Zeros
                | FileKind::Text
                | FileKind::Utf16
                | FileKind::AppleDouble
                | FileKind::Html
                | FileKind::Xml
                | FileKind::Json,
            )
            | Err(_) => None,
            Ok(kind) => Some(format!(
                "{} in it is {}; {}",
                file.strip_prefix(directory).unwrap_or(&file).display(),
                kind.name(),
                super::file::fix(kind)
            )),
        })
        .unwrap_or_else(|| super::file::EXPECTED.to_owned())
}

#[cfg(test)]
mod tests;
