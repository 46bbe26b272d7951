//! `metadata.yaml`, which rosbag2 writes next to the files of a bag when the recording ends.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::{BagError, Topic, TopicContents};

pub(super) const FILE_NAME: &str = "metadata.yaml";
/// Text files are read up to this size, bytes.
const MAX_TEXT_BYTES: u64 = 16 << 20;
/// Versions of the format in which the fields below have the same meaning.
const SUPPORTED_VERSIONS: RangeInclusive<u32> = 4..=9;
/// Name extensions of bag files, with and without file compression.
const EXTENSIONS: [&str; 4] = [".mcap.zstd", ".db3.zstd", ".mcap", ".db3"];

/// The fields that reading a bag needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    /// The bag's files, in recording order.
    pub(super) files: Vec<PathBuf>,
    /// The topics with at least one message.
    pub(super) topics: Vec<TopicContents>,
}

#[derive(Deserialize)]
struct Document {
    rosbag2_bagfile_information: Information,
}

#[derive(Deserialize)]
struct Information {
    version: u32,
    relative_file_paths: Vec<String>,
    #[serde(default)]
    compression_format: String,
    #[serde(default)]
    compression_mode: String,
    #[serde(default)]
    topics_with_message_count: Vec<TopicCount>,
}

#[derive(Deserialize)]
struct TopicCount {
    topic_metadata: TopicMetadata,
    message_count: u64,
}

#[derive(Deserialize)]
struct TopicMetadata {
    name: String,
    r#type: String,
    serialization_format: String,
}

impl Metadata {
    /// Reads the `metadata.yaml` of a bag's directory; `None` if it does not exist.
    ///
    /// # Errors
    /// The file cannot be read or is not valid.
    pub(super) fn read(directory: &Path) -> Result<Option<Metadata>, BagError> {
        let path = directory.join(FILE_NAME);
        let text = match read_text(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(BagError::Io { path, cause }),
        };
        let parsed = parse(&text).map_err(|reason| BagError::Metadata { path, reason })?;
        let files = parsed.files.iter().map(|file| directory.join(file)).collect();
        Ok(Some(Metadata { files, ..parsed }))
    }
}

/// Reads a text file up to 16 MiB.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_TEXT_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

fn parse(text: &str) -> Result<Metadata, String> {
    let document: Document =
        serde_saphyr::from_str(text).map_err(|error| format!("not in the format of rosbag2: {error}"))?;
    let information = document.rosbag2_bagfile_information;
    if !SUPPORTED_VERSIONS.contains(&information.version) {
        return Err(format!(
            "unsupported version {}; supported: {} to {}",
            information.version,
            SUPPORTED_VERSIONS.start(),
            SUPPORTED_VERSIONS.end()
        ));
    }
    check_compression(&information)?;
    let topics = information
        .topics_with_message_count
        .into_iter()
        .filter(|topic| topic.message_count > 0)
        .map(|topic| TopicContents {
            topic: Topic {
                name: topic.topic_metadata.name,
                message_type: topic.topic_metadata.r#type,
                encoding: topic.topic_metadata.serialization_format,
            },
            messages: topic.message_count,
        })
        .collect();
    let files: Vec<PathBuf> = information
        .relative_file_paths
        .into_iter()
        .map(PathBuf::from)
        .collect();
    let is_inside = |file: &PathBuf| file.components().all(|part| matches!(part, Component::Normal(_)));
    match files.iter().find(|file| !is_inside(file)) {
        Some(outside) => Err(format!("lists a file outside the bag: {}", outside.display())),
        None => Ok(Metadata { files, topics }),
    }
}

/// Fails if the bag is compressed in an unsupported way. What is compressed is detected later, from the data.
fn check_compression(information: &Information) -> Result<(), String> {
    match information.compression_mode.to_ascii_lowercase().as_str() {
        "" | "none" => Ok(()),
        "file" | "message" if information.compression_format == "zstd" => Ok(()),
        "file" | "message" => Err(format!(
            "unsupported compression_format {:?}; supported: zstd",
            information.compression_format
        )),
        other => Err(format!(
            "unsupported compression_mode {other:?}; supported: NONE, FILE and MESSAGE"
        )),
    }
}

/// The bag files in a directory, sorted by the numbers in their names.
pub(super) fn list_bag_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if EXTENSIONS.iter().any(|extension| name.ends_with(extension)) {
            files.push(path);
        }
    }
    files.sort_by_key(|path| (file_number(path), path.clone()));
    Ok(files)
}

/// The number at the end of a file's name: 12 for `bag_12.mcap`.
fn file_number(path: &Path) -> u64 {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let stem = EXTENSIONS
        .iter()
        .find_map(|extension| name.strip_suffix(extension));
    let digits = stem.unwrap_or(name).rsplit('_').next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(version: u32, more: &str) -> String {
        format!(
            "rosbag2_bagfile_information:\n  version: {version}\n  storage_identifier: mcap\n  duration:\n    nanoseconds: 5\n  relative_file_paths:\n    - bag_0.mcap\n    - bag_1.mcap\n{more}"
        )
    }

    #[test]
    fn files_and_topics_are_read_in_order() {
        let topics = "  topics_with_message_count:\n    - topic_metadata: {name: /a, type: t, serialization_format: cdr}\n      message_count: 3\n    - topic_metadata: {name: /b, type: t, serialization_format: cdr}\n      message_count: 0\n";
        let metadata = parse(&document(9, topics)).expect("valid metadata");
        let topics = metadata.topics.iter();
        let topics: Vec<(&str, u64)> = topics
            .map(|found| (found.topic.name.as_str(), found.messages))
            .collect();
        assert_eq!(topics, [("/a", 3)], "only topics with messages");
        assert_eq!(metadata.files, [Path::new("bag_0.mcap"), Path::new("bag_1.mcap")]);
    }

    #[test]
    fn compression_mode_is_case_insensitive() {
        for mode in ["FILE", "message", "\"\""] {
            let more = format!("  compression_format: zstd\n  compression_mode: {mode}\n");
            assert!(parse(&document(4, &more)).is_ok(), "{mode}");
        }
    }

    #[test]
    fn invalid_metadata_is_rejected_with_the_reason() {
        let outside =
            "rosbag2_bagfile_information:\n  version: 5\n  relative_file_paths: [../../etc/passwd]\n";
        let invalid = [
            (document(10, ""), "version 10; supported: 4 to 9"),
            (
                document(9, "  compression_mode: chunk\n"),
                "unsupported compression_mode",
            ),
            (
                document(9, "  compression_mode: FILE\n  compression_format: lz4\n"),
                "supported: zstd",
            ),
            (outside.to_owned(), "outside the bag"),
            ("a: [".to_owned(), "not in the format of rosbag2"),
            (
                "rosbag2_bagfile_information: 7".to_owned(),
                "not in the format of rosbag2",
            ),
        ];
        for (text, reason) in invalid {
            let error = parse(&text).expect_err(reason);
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn files_are_sorted_by_number() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for name in ["v1.5_10.mcap", "v1.5_9.mcap", "v1.5_2.db3.zstd", "notes.txt"] {
            std::fs::write(directory.path().join(name), "").expect("writable");
        }
        let files = list_bag_files(directory.path()).expect("readable");
        let names: Vec<_> = files
            .iter()
            .filter_map(|file| file.file_name()?.to_str())
            .collect();
        assert_eq!(names, ["v1.5_2.db3.zstd", "v1.5_9.mcap", "v1.5_10.mcap"]);
    }
}
