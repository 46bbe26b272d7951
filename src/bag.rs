//! Reads rosbag2 recordings (MCAP and SQLite3) without ROS.
//!
//! [`Bag::read`] passes the messages of selected topics to a callback. The files of a bag are read one after the other; the messages of
//! a SQLite3 file and of each MCAP chunk are ordered by time. What cannot be read of a damaged bag is returned as a list of
//! [`DataLoss`]; everything else is read.

pub mod agreement;
mod cdr;
mod directory;
mod error;
pub mod expected;
pub mod false_thumbs;
mod file;
mod frame_clock;
pub mod image;
pub mod import;
mod loss;
mod mcap;
mod metadata;
pub mod predictions;
mod sink;
mod sqlite;
pub mod summary;
pub mod timeline;
pub mod write;
mod zstd;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use directory::Directory;
pub use error::BagError;
pub use loss::{DataLoss, ReasonCount};
use metadata::Metadata;
use sink::MessageSink;

use crate::disk;
use crate::text::escape_controls;

/// Maximum length of the name of a topic, type or encoding in a file, bytes; ROS allows 255. The rest is ignored, because a small chunk can
/// unpack to names of any length, which stay in memory.
const MAX_NAME_BYTES: usize = 1024;

/// A recording, in one file or several.
#[derive(Debug)]
pub struct Bag {
    path: PathBuf,
    files: Vec<PathBuf>,
    /// The topics that `metadata.yaml` lists; empty without the file.
    listed: Vec<TopicContents>,
    /// Types and encodings for files that do not say them: first those that the user gave, then those in `metadata.yaml`.
    hints: Vec<Topic>,
    /// Losses found while opening the bag.
    losses: Vec<DataLoss>,
}

/// A recorded topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Topic {
    /// The fully qualified name.
    pub name: String,
    /// The message type, such as `sensor_msgs/msg/Image`; empty if the recording does not say it.
    #[serde(rename = "type")]
    pub message_type: String,
    /// The serialization format, `cdr` for ROS 2 messages; empty if the recording does not say it.
    pub encoding: String,
}

/// A recorded message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The topic it was published on.
    pub topic: &'a Topic,
    /// When the recorder received it, nanoseconds since the epoch.
    pub time_ns: i64,
    /// The serialized message.
    pub data: &'a [u8],
}

/// A summary of everything in a bag.
#[derive(Clone, Debug, Serialize)]
pub struct Contents {
    /// All topics, sorted by name.
    pub topics: Vec<TopicContents>,
    /// The number of messages on all topics.
    pub messages: u64,
    /// The time of the first message, nanoseconds since the epoch; `None` without messages.
    pub start_ns: Option<i64>,
    /// The time from the first message to the last, seconds.
    pub duration_secs: f64,
    /// What could not be read.
    pub losses: Vec<DataLoss>,
}

/// A topic with its number of messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopicContents {
    /// The topic.
    #[serde(flatten)]
    pub topic: Topic,
    /// The number of its messages.
    pub messages: u64,
}

/// A callback for each message. An error that it returns stops reading and becomes [`BagError::Stopped`].
pub type OnMessage<'a> = dyn FnMut(Message) -> Result<(), String> + 'a;

impl Bag {
    /// Opens a bag: a directory as rosbag2 writes it, its `metadata.yaml`, or a single MCAP or SQLite3 file. A directory needs no
    /// `metadata.yaml`, and one that does not match the files beside it does not prevent reading them.
    ///
    /// # Errors
    /// The path cannot be read, or the directory holds no bag file.
    pub fn open(path: &Path) -> Result<Bag, BagError> {
        let file_type = std::fs::metadata(path).map_err(|cause| BagError::Io {
            path: path.to_owned(),
            cause,
        })?;
        let (directory, name) = parent_and_name(path);
        let (files, listed, losses) = if file_type.is_dir() || name == metadata::FILE_NAME {
            let directory = if file_type.is_dir() { path } else { directory };
            let Directory {
                files,
                topics,
                losses,
            } = Directory::read(directory)?;
            (files, topics, losses)
        } else if file_type.is_file() {
            (vec![path.to_owned()], Vec::new(), Vec::new())
        } else {
            let reason = "it is a pipe or device, but a bag is read several times; save it as a file first";
            return Err(BagError::not_a_bag(path, reason));
        };
        let mut hints: Vec<Topic> = listed.iter().map(|listed| listed.topic.clone()).collect();
        if file_type.is_file() && hints.is_empty() {
            // One file of a bag: the number of its messages is not that of the bag, but the types are.
            let metadata = Metadata::read(directory)
                .ok()
                .filter(|metadata| metadata.lists(&name));
            let topics = metadata.into_iter().flat_map(|metadata| metadata.topics);
            hints.extend(topics.map(|listed| listed.topic));
        }
        Ok(Bag {
            path: path.to_owned(),
            files,
            listed,
            hints,
            losses,
        })
    }

    /// Says which type the messages on a topic have, for a recording that does not say it.
    pub fn assume_type(&mut self, topic: &str, message_type: &str) {
        let hint = Topic {
            name: topic.to_owned(),
            message_type: message_type.to_owned(),
            encoding: String::new(),
        };
        self.hints.insert(0, hint);
    }

    /// Fills in what a file does not say about a topic.
    fn complete(&self, mut topic: Topic) -> Topic {
        for hint in self.hints.iter().filter(|hint| hint.name == topic.name) {
            if topic.message_type.is_empty() {
                topic.message_type.clone_from(&hint.message_type);
            }
            if topic.encoding.is_empty() {
                topic.encoding.clone_from(&hint.encoding);
            }
        }
        topic
    }

    /// The path that the bag was opened with.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files of the bag, in recording order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The topics with messages according to `metadata.yaml`.
    fn listed_topics(&self) -> Vec<Topic> {
        let listed = self.listed.iter().filter(|contents| contents.messages > 0);
        listed.map(|contents| contents.topic.clone()).collect()
    }

    /// The first selected topic that has a message. Reads only up to that message.
    fn first_topic(&self, is_selected: &dyn Fn(&Topic) -> bool) -> Result<Option<Topic>, BagError> {
        let mut first = None;
        let end = self.read(is_selected, &mut |message| {
            first = Some(message.topic.clone());
            Err("the first message was found".to_owned())
        });
        match (first, end) {
            (None, Err(error)) => Err(error),
            (first, _) => Ok(first),
        }
    }

    /// Reads the whole bag and counts its messages.
    ///
    /// # Errors
    /// Like [`Bag::read`].
    pub fn contents(&self) -> Result<Contents, BagError> {
        let mut counts: BTreeMap<Topic, u64> = BTreeMap::new();
        let mut span: Option<(i64, i64)> = None;
        let losses = self.read(&|_| true, &mut |message| {
            match counts.get_mut(message.topic) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(message.topic.clone(), 1);
                }
            }
            let (first, last) = span.unwrap_or((message.time_ns, message.time_ns));
            span = Some((first.min(message.time_ns), last.max(message.time_ns)));
            Ok(())
        })?;
        let topic_contents = |(topic, messages)| TopicContents { topic, messages };
        Ok(Contents {
            messages: counts.values().sum(),
            topics: counts.into_iter().map(topic_contents).collect(),
            start_ns: span.map(|(first, _)| first),
            duration_secs: span.map_or(0.0, |(first, last)| last.abs_diff(first) as f64 * 1e-9),
            losses,
        })
    }

    /// Calls `on_message` with each message of the selected topics and returns what could not be read.
    ///
    /// # Errors
    /// The bag's only file cannot be opened or is not a bag file, or `on_message` returned an error.
    pub fn read(
        &self,
        is_selected: &dyn Fn(&Topic) -> bool,
        on_message: &mut OnMessage,
    ) -> Result<Vec<DataLoss>, BagError> {
        let mut losses = self.losses.clone();
        let mut delivered = 0_u64;
        let mut count_and_forward = |message: Message| {
            delivered += 1;
            on_message(message)
        };
        for path in &self.files {
            let mut sink = MessageSink {
                file: path,
                complete: &|topic| self.complete(topic),
                is_selected,
                losses: &mut losses,
                on_message: &mut count_and_forward,
            };
            match file::read(&mut sink) {
                Ok(()) => {}
                Err(error @ BagError::Stopped(_)) => return Err(error),
                // A missing or empty file of a split bag does not prevent reading the others.
                Err(error) if self.files.len() > 1 => sink.record_loss(None, error.into_reason()),
                Err(error) => return Err(error),
            }
        }
        losses.extend(self.missing_messages(is_selected, delivered));
        Ok(losses)
    }

    /// The difference between the message count in `metadata.yaml` and the messages delivered. It may overlap with other losses.
    fn missing_messages(&self, is_selected: &dyn Fn(&Topic) -> bool, delivered: u64) -> Option<DataLoss> {
        let selected = self.listed.iter().filter(|contents| is_selected(&contents.topic));
        let expected = selected.fold(0_u64, |sum, contents| sum.saturating_add(contents.messages));
        // The bag may have been opened by its metadata.yaml.
        let metadata = if self.path.is_dir() {
            self.path.join(metadata::FILE_NAME)
        } else {
            self.path.clone()
        };
        (expected > delivered).then(|| DataLoss {
            file: metadata.display().to_string(),
            messages: None,
            reason: format!("lists {expected} messages, but only {delivered} were found"),
        })
    }
}

impl fmt::Display for Topic {
    /// Name, type and encoding, with control characters escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message_type = match self.message_type.as_str() {
            "" => "type not recorded",
            known => known,
        };
        let separator = if self.encoding.is_empty() { "" } else { ", " };
        let description = format!("{} ({message_type}{separator}{})", self.name, self.encoding);
        f.write_str(&escape_controls(&description))
    }
}

/// The directory that holds a file, and the file's name.
fn parent_and_name(path: &Path) -> (&Path, String) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    (disk::parent(path), name.into_owned())
}

/// The time from `from_ns` to `to_ns` (nanoseconds), in seconds.
pub fn secs_between(from_ns: i64, to_ns: i64) -> f64 {
    (i128::from(to_ns) - i128::from(from_ns)) as f64 * 1e-9
}
