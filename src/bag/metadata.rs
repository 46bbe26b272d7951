//! `metadata.yaml`, which rosbag2 writes beside a bag's files when it has finished.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::{BagError, Topic, TopicContents};

/// The file's name.
pub const FILE: &str = "metadata.yaml";
/// The longest file that is read whole, bytes.
const LONGEST_TEXT: u64 = 16 << 20;
/// Versions of the file that are known to say what is read here in this way.
const VERSIONS: std::ops::RangeInclusive<u32> = 4..=9;
/// What a bag's files are called, compressed as a whole or not.
const ENDINGS: [&str; 4] = [".mcap.zstd", ".db3.zstd", ".mcap", ".db3"];

/// What is to be known before the files are read.
#[derive(Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The bag's files, in the order of their time.
    pub files: Vec<PathBuf>,
    /// The topics that have messages, and how many.
    pub topics: Vec<TopicContents>,
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
    /// Reads the file in a bag's directory; none where there is none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(directory: &Path) -> Result<Option<Metadata>, BagError> {
        let path = directory.join(FILE);
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

/// A file of people's size.
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST_TEXT).read_to_string(&mut text)?;
    Ok(text)
}

fn parse(text: &str) -> Result<Metadata, String> {
    let document: Document =
        serde_saphyr::from_str(text).map_err(|error| format!("not what rosbag2 writes: {error}"))?;
    let information = document.rosbag2_bagfile_information;
    if !VERSIONS.contains(&information.version) {
        return Err(format!(
            "is of version {}; known: {} to {}",
            information.version,
            VERSIONS.start(),
            VERSIONS.end()
        ));
    }
    // What is compressed is seen by its first bytes; here only whether that can be undone.
    match information.compression_mode.to_ascii_lowercase().as_str() {
        "" | "none" => {}
        "file" | "message" if information.compression_format == "zstd" => {}
        "file" | "message" => {
            return Err(format!(
                "compressed with {:?}; known: zstd",
                information.compression_format
            ));
        }
        other => {
            return Err(format!(
                "unknown compression_mode {other:?}; known: FILE and MESSAGE"
            ));
        }
    }
    let counted = information.topics_with_message_count.into_iter();
    let topics = counted
        .filter(|topic| topic.message_count > 0)
        .map(|topic| TopicContents {
            topic: Topic {
                name: topic.topic_metadata.name,
                message: topic.topic_metadata.r#type,
                encoding: topic.topic_metadata.serialization_format,
            },
            messages: topic.message_count,
        });
    let topics: Vec<TopicContents> = topics.collect();
    let files: Vec<PathBuf> = information
        .relative_file_paths
        .iter()
        .map(PathBuf::from)
        .collect();
    let is_inside = |file: &PathBuf| file.components().all(|part| matches!(part, Component::Normal(_)));
    match files.iter().find(|file| !is_inside(file)) {
        Some(outside) => Err(format!("names a file outside the bag: {}", outside.display())),
        None => Ok(Metadata { files, topics }),
    }
}

/// The files in a directory that are of a bag, in the order of the numbers in their names.
pub fn files_of(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            files.push(path);
        }
    }
    files.sort_by_key(|path| (number_of(path), path.clone()));
    Ok(files)
}

/// 12 of `bag_12.mcap`.
fn number_of(path: &Path) -> u64 {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let stem = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
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
    fn the_files_are_in_the_order_that_it_says() {
        let topics = "  topics_with_message_count:\n    - topic_metadata: {name: /a, type: t, serialization_format: cdr}\n      message_count: 3\n    - topic_metadata: {name: /b, type: t, serialization_format: cdr}\n      message_count: 0\n";
        let metadata = parse(&document(9, topics)).expect("well-formed");
        let topics = metadata.topics.iter();
        let topics: Vec<(&str, u64)> = topics
            .map(|found| (found.topic.name.as_str(), found.messages))
            .collect();
        assert_eq!(topics, [("/a", 3)], "those that have messages");
        assert_eq!(metadata.files, [Path::new("bag_0.mcap"), Path::new("bag_1.mcap")]);
    }

    #[test]
    fn compression_is_known_as_every_version_writes_it() {
        for mode in ["FILE", "message", "\"\""] {
            let more = format!("  compression_format: zstd\n  compression_mode: {mode}\n");
            assert!(parse(&document(4, &more)).is_ok(), "{mode}");
        }
    }

    #[test]
    fn what_it_should_not_say_is_named() {
        let outside =
            "rosbag2_bagfile_information:\n  version: 5\n  relative_file_paths: [../../etc/passwd]\n";
        let refusals = [
            (document(10, ""), "version 10; known: 4 to 9"),
            (
                document(9, "  compression_mode: chunk\n"),
                "unknown compression_mode",
            ),
            (
                document(9, "  compression_mode: FILE\n  compression_format: lz4\n"),
                "known: zstd",
            ),
            (outside.to_owned(), "outside the bag"),
            ("a: [".to_owned(), "not what rosbag2 writes"),
            (
                "rosbag2_bagfile_information: 7".to_owned(),
                "not what rosbag2 writes",
            ),
        ];
        for (text, reason) in refusals {
            let error = parse(&text).expect_err(reason);
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn ten_comes_after_nine() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["v1.5_10.mcap", "v1.5_9.mcap", "v1.5_2.db3.zstd", "notes.txt"] {
            std::fs::write(directory.path().join(name), "").expect("a file");
        }
        let files = files_of(directory.path()).expect("can be listed");
        let names: Vec<_> = files
            .iter()
            .filter_map(|file| file.file_name()?.to_str())
            .collect();
        assert_eq!(names, ["v1.5_2.db3.zstd", "v1.5_9.mcap", "v1.5_10.mcap"]);
    }
}
