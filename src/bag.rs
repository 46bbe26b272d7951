//! Reads rosbag2 recordings (MCAP and SQLite3) without ROS.
//!
//! [`Bag::read`] passes the messages of selected topics to a callback. The files of a bag are read one after the other; the messages of
//! a SQLite3 file and of each MCAP chunk are ordered by time. What cannot be read of a damaged bag is returned as a list of
//! [`DataLoss`]; everything else is read.

pub mod agreement;
mod cdr;
mod error;
pub mod expected;
mod file;
mod frame_clock;
pub mod image;
pub mod import;
mod mcap;
mod metadata;
pub mod predictions;
mod sink;
mod sqlite;
pub mod timeline;
pub mod write;
mod zstd;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use error::BagError;
use metadata::Metadata;
use sink::MessageSink;

/// A recording, in one file or several.
#[derive(Debug)]
pub struct Bag {
    path: PathBuf,
    files: Vec<PathBuf>,
    /// The topics that `metadata.yaml` lists; empty without the file.
    topics: Vec<TopicContents>,
    /// Losses found while opening the bag.
    losses: Vec<DataLoss>,
}

/// A recorded topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Topic {
    /// The fully qualified name.
    pub name: String,
    /// The message type, such as `sensor_msgs/msg/Image`.
    #[serde(rename = "type")]
    pub message_type: String,
    /// The serialization format; `cdr` for ROS 2 messages.
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

/// A part of a bag that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataLoss {
    /// The affected file.
    pub file: String,
    /// How many messages are lost; `None` if unknown.
    pub messages: Option<u64>,
    /// Why the part could not be read.
    pub reason: String,
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
    /// Opens a bag: a directory as rosbag2 writes it, with or without `metadata.yaml`, or a single MCAP or SQLite3 file.
    ///
    /// # Errors
    /// The path cannot be read, its `metadata.yaml` is not valid, or the directory holds no bag file.
    pub fn open(path: &Path) -> Result<Bag, BagError> {
        let io_error = |cause| BagError::Io {
            path: path.to_owned(),
            cause,
        };
        let mut bag = Bag {
            path: path.to_owned(),
            files: Vec::new(),
            topics: Vec::new(),
            losses: Vec::new(),
        };
        if !std::fs::metadata(path).map_err(io_error)?.is_dir() {
            bag.files.push(path.to_owned());
            return Ok(bag);
        }
        match Metadata::read(path)? {
            Some(metadata) => {
                bag.files = metadata.files;
                bag.topics = metadata.topics;
            }
            None => {
                bag.files = metadata::list_bag_files(path).map_err(io_error)?;
                bag.losses.push(DataLoss {
                    file: path.join(metadata::FILE_NAME).display().to_string(),
                    messages: None,
                    reason:
                        "not found; the bag files in the directory are read in the order of their numbers"
                            .to_owned(),
                });
            }
        }
        if bag.files.is_empty() {
            return Err(BagError::NotABag(path.to_owned()));
        }
        Ok(bag)
    }

    /// The path that the bag was opened with.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files of the bag, in recording order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The topics that have messages. Without `metadata.yaml` this reads the whole bag.
    ///
    /// # Errors
    /// Like [`Bag::read`].
    pub fn topics(&self) -> Result<Vec<Topic>, BagError> {
        let topics = if self.topics.is_empty() {
            self.contents()?.topics
        } else {
            self.topics.clone()
        };
        Ok(topics.into_iter().map(|contents| contents.topic).collect())
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
                is_selected,
                losses: &mut losses,
                on_message: &mut count_and_forward,
            };
            match file::read(&mut sink) {
                Ok(()) => {}
                Err(error @ BagError::Stopped(_)) => return Err(error),
                // A missing or empty file of a split bag does not prevent reading the others.
                Err(error) if self.files.len() > 1 => sink.record_loss(None, error.to_string()),
                Err(error) => return Err(error),
            }
        }
        losses.extend(self.missing_messages(is_selected, delivered));
        Ok(losses)
    }

    /// The difference between the message count in `metadata.yaml` and the messages delivered. It may overlap with other losses.
    fn missing_messages(&self, is_selected: &dyn Fn(&Topic) -> bool, delivered: u64) -> Option<DataLoss> {
        let selected = self.topics.iter().filter(|contents| is_selected(&contents.topic));
        let expected = selected.fold(0_u64, |sum, contents| sum.saturating_add(contents.messages));
        (expected > delivered).then(|| DataLoss {
            file: self.path.join(metadata::FILE_NAME).display().to_string(),
            messages: None,
            reason: format!("lists {expected} messages, but only {delivered} were found"),
        })
    }
}

impl fmt::Display for DataLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = match self.messages {
            None => String::new(),
            Some(1) => " (1 message lost)".to_owned(),
            Some(messages) => format!(" ({messages} messages lost)"),
        };
        write!(f, "{}: {}{count}", self.file, self.reason)
    }
}

/// The time from `from_ns` to `to_ns` (nanoseconds), in seconds.
pub fn secs_between(from_ns: i64, to_ns: i64) -> f64 {
    (i128::from(to_ns) - i128::from(from_ns)) as f64 * 1e-9
}
