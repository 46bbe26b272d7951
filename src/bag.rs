//! rosbag2 files read in code: what a robot has seen, without ROS, the same every time.
//!
//! [`Bag::read`] hands over the messages of the topics that are asked for, in the order of their time, file after file. What cannot be
//! read of a damaged bag is told as a [`Loss`]; the rest is read.

pub mod cdr;
pub mod expected;
pub mod image;
pub mod import;
mod mcap;
mod metadata;
pub mod predictions;
mod sqlite;
pub mod timeline;
pub mod write;
mod zstd;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::frame::MAX_SIDE_PX;
use metadata::Metadata;

/// No record and no message of a bag may be longer, bytes: an image of the greatest sides in 16-bit colours with alpha, and its header.
pub const LONGEST_MESSAGE: u64 = 8 * (MAX_SIDE_PX as u64) * (MAX_SIDE_PX as u64) + (1 << 20);
/// A file shrinks to a thousandth at most, or claims what is not so.
const MOST_FILE_EXPANSION: u64 = 1000;
/// Different losses that are told of each by itself.
const LOSSES_KEPT: usize = 1000;
/// Beginning of a SQLite file.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";
/// As long as the longest of such beginnings, bytes.
const HEAD_LENGTH: u64 = 16;
/// Beginning of an MCAP file.
const MCAP_MAGIC: &[u8] = b"\x89MCAP0\r\n";

/// A bag, which may be of several files.
#[derive(Debug)]
pub struct Bag {
    path: PathBuf,
    files: Vec<PathBuf>,
    /// As `metadata.yaml` has them.
    topics: Vec<TopicContents>,
    losses: Vec<Loss>,
}

/// A topic of a bag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Topic {
    /// Its full name.
    pub name: String,
    /// Its type, such as `sensor_msgs/msg/Image`.
    #[serde(rename = "type")]
    pub message: String,
    /// How its messages are written; ROS 2's own is `cdr`.
    pub encoding: String,
}

/// A message as it was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Where it was published.
    pub topic: &'a Topic,
    /// When the recorder received it, nanoseconds since the epoch.
    pub time_ns: i64,
    /// The message itself.
    pub data: &'a [u8],
}

/// Something of a bag that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The file.
    pub file: String,
    /// Messages that went with it; none where nobody can tell.
    pub messages: Option<u64>,
    /// Why.
    pub reason: String,
}

/// What is in a bag.
#[derive(Clone, Debug, Serialize)]
pub struct Contents {
    /// The messages of each topic.
    pub topics: Vec<TopicContents>,
    /// Messages in all.
    pub messages: u64,
    /// The first message's time, nanoseconds since the epoch; none in an empty bag.
    pub start_ns: Option<i64>,
    /// From the first message to the last, seconds.
    pub duration_secs: f64,
    /// What could not be read.
    pub losses: Vec<Loss>,
}

/// What is in a bag of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopicContents {
    /// The topic.
    #[serde(flatten)]
    pub topic: Topic,
    /// Its messages.
    pub messages: u64,
}

/// Why a bag cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum BagError {
    /// The system's word.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's word.
        cause: std::io::Error,
    },
    /// There is no bag.
    #[error("{}: no bag: neither an .mcap or .db3 file, nor a directory that holds one", .0.display())]
    NoBag(PathBuf),
    /// `metadata.yaml` is not what rosbag2 writes.
    #[error("{}: {reason}", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The topic is not in the bag.
    #[error("there is no topic {topic}; the bag has {known}")]
    NoTopic {
        /// What was asked for.
        topic: String,
        /// What there is.
        known: String,
    },
    /// Whoever takes the messages can take no more.
    #[error("{0}")]
    Stopped(String),
}

/// Who takes the messages that are read; an error ends the reading.
pub type Visit<'a> = dyn FnMut(Message) -> Result<(), String> + 'a;

/// What a file of a bag is.
enum Kind {
    Mcap,
    Sqlite,
    /// One of these, compressed as a whole.
    Zstd,
    Other,
}

/// What reads one file: the messages of the topics that are wanted, and what could not be read.
struct Reading<'a, 'b> {
    file: &'a Path,
    is_wanted: &'a dyn Fn(&Topic) -> bool,
    losses: &'a mut Vec<Loss>,
    visit: &'a mut Visit<'b>,
}

impl Bag {
    /// Opens a bag: a directory with `metadata.yaml`, or without it one with files that are of a bag, or such a file alone.
    ///
    /// # Errors
    /// No bag, or one whose `metadata.yaml` is not what rosbag2 writes.
    pub fn open(path: &Path) -> Result<Bag, BagError> {
        let io = |cause| BagError::Io {
            path: path.to_owned(),
            cause,
        };
        let mut bag = Bag {
            path: path.to_owned(),
            files: Vec::new(),
            topics: Vec::new(),
            losses: Vec::new(),
        };
        if !std::fs::metadata(path).map_err(io)?.is_dir() {
            bag.files.push(path.to_owned());
            return Ok(bag);
        }
        match Metadata::read(path)? {
            Some(metadata) => {
                bag.files = metadata.files;
                bag.topics = metadata.topics;
            }
            None => {
                bag.files = metadata::files_of(path).map_err(io)?;
                bag.losses.push(Loss {
                    file: path.join(metadata::FILE).display().to_string(),
                    messages: None,
                    reason: "is missing; the files of the directory are read by their numbers".to_owned(),
                });
            }
        }
        match bag.files.is_empty() {
            true => Err(BagError::NoBag(path.to_owned())),
            false => Ok(bag),
        }
    }

    /// Where the bag is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its files, in the order of their time.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The topics that there are: those that `metadata.yaml` names, or else those of all messages, which takes longer.
    ///
    /// # Errors
    /// A file that is not of a bag.
    pub fn topics(&self) -> Result<Vec<Topic>, BagError> {
        let topics = match self.topics.is_empty() {
            true => self.contents()?.topics,
            false => self.topics.clone(),
        };
        Ok(topics.into_iter().map(|found| found.topic).collect())
    }

    /// Reads all that there is, to say what it is.
    ///
    /// # Errors
    /// A file that is not of a bag.
    pub fn contents(&self) -> Result<Contents, BagError> {
        let mut counts: BTreeMap<Topic, u64> = BTreeMap::new();
        let mut span: Option<(i64, i64)> = None;
        let losses = self.read(&|_| true, &mut |message| {
            match counts.get_mut(message.topic) {
                Some(count) => *count += 1,
                None => drop(counts.insert(message.topic.clone(), 1)),
            }
            let (first, last) = span.unwrap_or((message.time_ns, message.time_ns));
            span = Some((first.min(message.time_ns), last.max(message.time_ns)));
            Ok(())
        })?;
        let topic = |(topic, messages)| TopicContents { topic, messages };
        Ok(Contents {
            messages: counts.values().sum(),
            topics: counts.into_iter().map(topic).collect(),
            start_ns: span.map(|(first, _)| first),
            duration_secs: span.map_or(0.0, |(first, last)| last.abs_diff(first) as f64 * 1e-9),
            losses,
        })
    }

    /// Hands over the messages of the topics that are wanted; tells what could not be read.
    ///
    /// # Errors
    /// A file that is not of a bag, and whatever the one who takes them says.
    pub fn read(&self, is_wanted: &dyn Fn(&Topic) -> bool, visit: &mut Visit) -> Result<Vec<Loss>, BagError> {
        let mut losses = self.losses.clone();
        let mut delivered = 0_u64;
        let mut visit = |message: Message| {
            delivered += 1;
            visit(message)
        };
        for file in &self.files {
            let mut reading = Reading {
                file,
                is_wanted,
                losses: &mut losses,
                visit: &mut visit,
            };
            match reading.read() {
                Ok(()) => {}
                Err(error @ BagError::Stopped(_)) => return Err(error),
                // Of one of several that is not there, or nothing, the others are read.
                Err(error) if self.files.len() > 1 => reading.lose(None, error.to_string()),
                Err(error) => return Err(error),
            }
        }
        losses.extend(self.missing(is_wanted, delivered));
        Ok(losses)
    }

    /// What `metadata.yaml` counts and was not found; some of it may be among the other losses.
    fn missing(&self, is_wanted: &dyn Fn(&Topic) -> bool, delivered: u64) -> Option<Loss> {
        let wanted = self.topics.iter().filter(|found| is_wanted(&found.topic));
        let counted = wanted.fold(0_u64, |sum, found| sum.saturating_add(found.messages));
        (counted > delivered).then(|| Loss {
            file: self.path.join(metadata::FILE).display().to_string(),
            messages: None,
            reason: format!("counts {counted} messages, of which {delivered} were found"),
        })
    }
}

impl Reading<'_, '_> {
    fn read(&mut self) -> Result<(), BagError> {
        let file = self.file;
        let io = |cause| BagError::Io {
            path: file.to_owned(),
            cause,
        };
        match kind_of(file).map_err(io)? {
            Kind::Zstd => {
                let whole = self.decompressed().map_err(io)?;
                let kind = kind_of(whole.path()).map_err(io)?;
                self.read_as(kind, whole.path())
            }
            kind => self.read_as(kind, file),
        }
    }

    /// Reads a file that is not compressed as a whole.
    fn read_as(&mut self, kind: Kind, file: &Path) -> Result<(), BagError> {
        match kind {
            Kind::Mcap => mcap::read(self, file),
            Kind::Sqlite => sqlite::read(self, file),
            Kind::Zstd | Kind::Other => Err(BagError::NoBag(self.file.to_owned())),
        }
    }

    /// The file as it was before it was compressed as a whole; as much of it as can be had.
    fn decompressed(&mut self) -> std::io::Result<tempfile::NamedTempFile> {
        let mut whole = tempfile::NamedTempFile::new()?;
        let file = File::open(self.file)?;
        let mut left = file.metadata()?.len().saturating_mul(MOST_FILE_EXPANSION);
        let mut decoder = zstd::decoder(file)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match decoder.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) if length as u64 > left => {
                    self.lose(
                        None,
                        "the compressed file becomes a thousand times as long".to_owned(),
                    );
                    break;
                }
                Ok(length) => {
                    whole.write_all(&buffer[..length])?;
                    left -= length as u64;
                }
                Err(error) => {
                    self.lose(None, format!("the compressed file breaks off: {error}"));
                    break;
                }
            }
        }
        whole.flush()?;
        Ok(whole)
    }

    /// Hands a message over, if it is wanted.
    fn deliver(&mut self, topic: &Topic, time_ns: i64, data: &[u8]) -> Result<(), BagError> {
        if !(self.is_wanted)(topic) {
            return Ok(());
        }
        let whole;
        let mut data = data;
        // rosbag2 compresses each message by itself where it is asked to. What it compresses begins with a zero.
        if data.starts_with(&zstd::MAGIC) {
            match zstd::decompress(data, LONGEST_MESSAGE) {
                Ok(decompressed) => {
                    whole = decompressed;
                    data = &whole;
                }
                Err(error) => {
                    self.lose(
                        Some(1),
                        format!("messages on {} are not zstd: {error}", topic.name),
                    );
                    return Ok(());
                }
            }
        }
        (self.visit)(Message { topic, time_ns, data }).map_err(BagError::Stopped)
    }

    /// Notes a loss; those of one file for one reason are told as one.
    fn lose(&mut self, messages: Option<u64>, reason: String) {
        let file = self.file.display().to_string();
        let same = self.losses.iter_mut().rev().take(8);
        let mut same = same.filter(|loss| loss.reason == reason && loss.file == file);
        if let Some(loss) = same.next() {
            loss.messages = loss.messages.zip(messages).map(|(before, more)| before + more);
        } else if self.losses.len() < LOSSES_KEPT {
            self.losses.push(Loss {
                file,
                messages,
                reason,
            });
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = match self.messages {
            None => String::new(),
            Some(1) => " (1 message lost)".to_owned(),
            Some(messages) => format!(" ({messages} messages lost)"),
        };
        write!(f, "{}: {}{count}", self.file, self.reason)
    }
}

/// From one time to another in nanoseconds, seconds.
pub fn secs_between(from_ns: i64, to_ns: i64) -> f64 {
    (i128::from(to_ns) - i128::from(from_ns)) as f64 * 1e-9
}

/// What a file is, by its first bytes.
fn kind_of(file: &Path) -> std::io::Result<Kind> {
    let mut head = Vec::new();
    File::open(file)?.take(HEAD_LENGTH).read_to_end(&mut head)?;
    Ok(match head {
        head if head.starts_with(MCAP_MAGIC) => Kind::Mcap,
        head if head.starts_with(SQLITE_MAGIC) => Kind::Sqlite,
        head if head.starts_with(&zstd::MAGIC) => Kind::Zstd,
        _ => Kind::Other,
    })
}
