//! `metadata.yaml`, which rosbag2 writes next to the files of a bag when the recording ends.
//!
//! Where it contradicts the bag's files, the files are right. Only fields that no version of the format has given another
//! meaning are read, so that the version does not matter. Version 3 added the compression, version 5 `files`, and up to version 3 the
//! paths begin with the name of the bag.

use std::io::{self, ErrorKind};
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Topic, TopicContents};
use crate::disk;
use crate::file_kind::FileKind;

pub(super) const FILE_NAME: &str = "metadata.yaml";
/// Maximum size of a YAML file, bytes.
const MAX_TEXT_BYTES: u64 = 16 << 20;

/// The fields that reading a bag needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    /// The paths of the bag's files as written by the recorder, in recording order.
    pub(super) files: Vec<String>,
    /// The topics, also those without messages.
    pub(super) topics: Vec<TopicContents>,
    /// A compression that is not supported, as a reason why messages may not be readable.
    pub(super) unsupported: Option<String>,
}

#[derive(Deserialize)]
struct Document {
    rosbag2_bagfile_information: Information,
}

#[derive(Deserialize)]
struct Information {
    relative_file_paths: Option<Vec<String>>,
    files: Option<Vec<FileInformation>>,
    compression_format: Option<String>,
    compression_mode: Option<String>,
    topics_with_message_count: Option<Vec<TopicCount>>,
}

#[derive(Deserialize)]
struct FileInformation {
    path: String,
}

#[derive(Deserialize)]
struct TopicCount {
    topic_metadata: TopicMetadata,
    message_count: u64,
}

#[derive(Deserialize)]
struct TopicMetadata {
    name: String,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    serialization_format: String,
}

impl Metadata {
    /// Reads the `metadata.yaml` of a bag's directory.
    ///
    /// # Errors
    /// The file does not exist, cannot be read or is not in the format of rosbag2; the reason.
    pub(super) fn read(directory: &Path) -> Result<Metadata, String> {
        match read_text(&directory.join(FILE_NAME)) {
            Ok(text) => parse(&text),
            Err(error) if error.kind() == ErrorKind::NotFound => Err("not found".to_owned()),
            Err(error) if error.kind() == ErrorKind::InvalidData => Err(error.to_string()),
            Err(error) => Err(format!("cannot be read: {error}")),
        }
    }

    /// Whether a file of this name is listed.
    pub(super) fn lists(&self, name: &str) -> bool {
        self.files.iter().any(|file| last_component(file) == name)
    }
}

/// The last component of a path written by any machine.
pub(super) fn last_component(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Reads a text file.
///
/// # Errors
/// The file cannot be read, is no regular file, is longer than 16 MiB, or is not UTF-8.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(disk::read_file(path, MAX_TEXT_BYTES)?).map_err(|error| {
        let kind = FileKind::of_bytes(error.as_bytes());
        let message = kind.mismatch("text in UTF-8", "save it as text in UTF-8");
        io::Error::new(ErrorKind::InvalidData, message)
    })
}

/// Parses YAML.
///
/// # Errors
/// The text is not YAML or not of this type; the place and the reason, on one line.
pub(super) fn parse_yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str(text).map_err(|error| {
        // The lines after the first quote the file.
        let error = error.to_string();
        let reason = error.lines().next().unwrap_or_default();
        reason.strip_prefix("error: ").unwrap_or(reason).to_owned()
    })
}

fn parse(text: &str) -> Result<Metadata, String> {
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    let document: Document =
        parse_yaml(text).map_err(|reason| format!("not in the format of rosbag2: {reason}"))?;
    let information = document.rosbag2_bagfile_information;
    let unsupported = unsupported_compression(&information);
    let topics = information.topics_with_message_count.unwrap_or_default();
    let mut files = information.relative_file_paths.unwrap_or_default();
    if files.is_empty() {
        let listed = information.files.into_iter().flatten();
        files = listed.map(|file| file.path).collect();
    }
    if files.is_empty() {
        return Err("lists no files".to_owned());
    }
    Ok(Metadata {
        files,
        topics: topics.into_iter().map(TopicContents::from).collect(),
        unsupported,
    })
}

impl From<TopicCount> for TopicContents {
    fn from(topic: TopicCount) -> TopicContents {
        TopicContents {
            topic: Topic {
                name: topic.topic_metadata.name,
                message_type: topic.topic_metadata.r#type,
                encoding: topic.topic_metadata.serialization_format,
            },
            messages: topic.message_count,
        }
    }
}

/// The reason why messages may not be readable, if their compression is not supported. What is compressed is detected from the data.
fn unsupported_compression(information: &Information) -> Option<String> {
    let mode = information.compression_mode.as_deref().unwrap_or_default();
    let format = information.compression_format.as_deref().unwrap_or_default();
    let is_compressed = !mode.is_empty() && !mode.eq_ignore_ascii_case("none");
    (is_compressed && format != "zstd")
        .then(|| format!("unsupported compression_format {format:?}; supported: zstd"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(more: &str) -> String {
        format!("rosbag2_bagfile_information:\n  version: 5\n  storage_identifier: mcap\n{more}")
    }

    #[test]
    fn files_and_topics_of_each_version_are_read_in_order() {
        let topic = |more: &str| {
            format!(
                "  topics_with_message_count:\n    - topic_metadata: {{name: /a, type: t, serialization_format: cdr{more}}}\n      message_count: 3\n"
            )
        };
        let versions = [
            (2, ""),
            (3, ""),
            (4, ", offered_qos_profiles: \"- history: 3\""),
            (7, ", type_description_hash: RIHS01_0"),
            (9, ", offered_qos_profiles: [{history: keep_last}]"),
            (10, ", invented: {a: [1]}"),
        ];
        for (version, more) in versions {
            let more = topic(more);
            let text = format!(
                "rosbag2_bagfile_information:\n  version: {version}\n  relative_file_paths:\n    - b_0.db3\n    - b_1.db3\n{more}"
            );
            let metadata = parse(&text).expect("valid metadata");
            assert_eq!(metadata.files, ["b_0.db3", "b_1.db3"], "version {version}");
            assert_eq!(metadata.topics[0].messages, 3);
            assert_eq!(metadata.topics[0].topic.name, "/a");
        }
        let only_files =
            document("  relative_file_paths: ~\n  files: [{path: c_0.mcap, message_count: 1}]\n");
        assert_eq!(parse(&only_files).expect("valid metadata").files, ["c_0.mcap"]);
    }

    #[test]
    fn unsupported_compression_is_named_and_does_not_prevent_reading() {
        let cases = [
            ("~", "~", None),
            ("zstd", "FILE", None),
            ("lz4", "none", None),
            ("lz4", "message", Some("\"lz4\"; supported: zstd")),
        ];
        for (format, mode, expected) in cases {
            let more = format!(
                "  relative_file_paths: [a]\n  compression_format: {format}\n  compression_mode: {mode}\n"
            );
            let unsupported = parse(&document(&more)).expect("valid metadata").unsupported;
            let is_expected = match expected {
                Some(reason) => unsupported.is_some_and(|found| found.contains(reason)),
                None => unsupported.is_none(),
            };
            assert!(is_expected, "{format} {mode}");
        }
    }

    #[test]
    fn invalid_metadata_is_rejected_with_the_reason() {
        let invalid = [
            ("\n", "is empty"),
            ("a: [", "not in the format of rosbag2"),
            ("{\"name\": \"other\"}", "not in the format of rosbag2"),
            ("rosbag2_bagfile_information: 7", "not in the format of rosbag2"),
            ("rosbag2_bagfile_information:\n  version: 5\n", "lists no files"),
        ];
        for (text, reason) in invalid {
            let error = parse(text).expect_err(reason);
            assert!(error.contains(reason) && error.lines().count() == 1, "{error}");
        }
    }
}
