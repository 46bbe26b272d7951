//! Lists the images below a directory as torchvision's `ImageFolder` does, but by the content of the files instead of their names, and
//! reports the other files.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::SkippedFile;
use crate::file_kind::FileKind;

/// Files and directories that desktop systems, archives and file systems leave behind; hidden ones are ignored as well.
const JUNK: [&str; 9] = [
    "Thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "Icon\r",
    "__MACOSX",
    "@eaDir",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
];

/// The files below a directory.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Paths of the images: those of a directory sorted by name, followed by those of its subdirectories.
    pub images: Vec<PathBuf>,
    /// Files that are no images, or cannot be read.
    pub skipped: Vec<SkippedFile>,
}

/// Lists directories, and remembers what their files are, so that the next listing opens only new and changed files.
#[derive(Default)]
pub(super) struct Lister {
    known: HashMap<FileVersion, FileKind>,
    /// Those of the current listing.
    seen: HashMap<FileVersion, FileKind>,
}

/// Identifies the content of a file without reading it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct FileVersion {
    id: FileId,
    bytes: u64,
    /// Time of the last change, which includes changes of the modification time; seconds and nanoseconds.
    changed: (i64, i64),
}

/// Device and inode.
type FileId = (u64, u64);

/// What a path leads to.
pub(super) enum Entry {
    Directory,
    File(FileKind),
    Unusable(String),
    /// It vanished.
    Nothing,
}

/// Lists the images below a directory, for one that is not a dataset.
///
/// # Errors
/// The directory does not exist or cannot be read.
pub fn list_images(directory: &Path) -> io::Result<Listing> {
    Lister::default().list(directory)
}

impl Lister {
    /// Lists the files below a directory. Follows symbolic links, but reads no directory twice.
    ///
    /// # Errors
    /// The directory does not exist or cannot be read. Subdirectories that cannot be read are skipped.
    pub(super) fn list(&mut self, directory: &Path) -> io::Result<Listing> {
        let mut listing = Listing::default();
        let mut visited = directories_above(directory);
        let mut pending = vec![directory.to_owned()];
        while let Some(path) = pending.pop() {
            match fs::metadata(&path).and_then(|metadata| Ok((id_of(&metadata), entries(&path)?))) {
                Ok((id, entries)) if visited.insert(id) => {
                    pending.extend(self.list_entries(entries, &mut listing));
                }
                Ok(_) if path == directory => {
                    let reason = "a symbolic link to a directory that contains it; delete the link";
                    listing.skipped.push(SkippedFile::new(&path, &reason));
                }
                // Its images are listed already.
                Ok(_) => {}
                Err(error) if path == directory => return Err(error),
                Err(error) => listing.skipped.push(SkippedFile::new(&path, &unreadable(&error))),
            }
        }
        Ok(listing)
    }

    /// Adds the files among some entries, and returns the directories, the last one first.
    fn list_entries(&mut self, entries: Vec<PathBuf>, listing: &mut Listing) -> Vec<PathBuf> {
        let mut directories = Vec::new();
        for path in entries {
            match self.examine(&path) {
                Entry::Directory => directories.push(path),
                Entry::File(kind) if kind.is_decodable_image() => listing.images.push(path),
                Entry::File(kind) => listing.skipped.push(SkippedFile::new(&path, &reason(kind))),
                Entry::Unusable(reason) => listing.skipped.push(SkippedFile::new(&path, &reason)),
                Entry::Nothing => {}
            }
        }
        directories.reverse();
        directories
    }

    /// Finds out what a path leads to, and for a file what it is.
    pub(super) fn examine(&mut self, path: &Path) -> Entry {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
                return Entry::Nothing;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Entry::Unusable(
                    "a symbolic link to something that does not exist; mount or restore it, or delete the link"
                        .to_owned(),
                );
            }
            Err(error) => return Entry::Unusable(unreadable(&error)),
        };
        if metadata.is_dir() {
            return Entry::Directory;
        }
        if !metadata.is_file() {
            // Opening a pipe would block.
            return Entry::Unusable("not a regular file; move it out of the dataset".to_owned());
        }
        match self.kind_of(path, &metadata) {
            Ok(kind) => Entry::File(kind),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Entry::Nothing,
            Err(error) => Entry::Unusable(unreadable(&error)),
        }
    }

    fn kind_of(&mut self, path: &Path, metadata: &Metadata) -> io::Result<FileKind> {
        let version = FileVersion {
            id: id_of(metadata),
            bytes: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        };
        let kind = match self.known.get(&version) {
            Some(kind) => *kind,
            None => FileKind::of_file(path)?,
        };
        self.seen.insert(version, kind);
        Ok(kind)
    }

    /// Forgets the files that were not seen since the last call.
    pub(super) fn forget_unseen(&mut self) {
        self.known = std::mem::take(&mut self.seen);
    }
}

/// Paths of the entries that are neither hidden nor [`JUNK`], sorted by name.
pub(super) fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !is_junk(&entry.file_name()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_junk(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".") || JUNK.iter().any(|junk| name.eq_ignore_ascii_case(junk))
}

/// The directories that contain a directory or, if it is a symbolic link, its target: a link to one of them would be a loop.
fn directories_above(directory: &Path) -> HashSet<FileId> {
    let mut above: Vec<PathBuf> = Vec::new();
    let mut add = |path: &Path, skip| {
        let path = fs::canonicalize(path).unwrap_or_default();
        above.extend(path.ancestors().skip(skip).map(Path::to_owned));
    };
    add(directory, 1);
    if directory.is_symlink() {
        let parent = directory.parent().unwrap_or(directory);
        add(&Path::new(".").join(parent), 0);
    }
    let id = |path: PathBuf| Some(id_of(&fs::metadata(path).ok()?));
    above.into_iter().filter_map(id).collect()
}

fn id_of(metadata: &Metadata) -> FileId {
    (metadata.dev(), metadata.ino())
}

fn unreadable(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}

/// Why a file of this kind is skipped, and how to fix it.
fn reason(kind: FileKind) -> String {
    const MOVE: &str = "move it out of the dataset";
    let fix = match kind {
        // Annotations, notes and tools, which no download has replaced.
        FileKind::Xml | FileKind::Json | FileKind::Utf16 | FileKind::ForeignElf => MOVE,
        FileKind::Empty | FileKind::Zeros => "delete it and capture the frame again",
        FileKind::Video => "save its frames as JPEG files",
        FileKind::Mcap | FileKind::Sqlite => "import its frames with `thumb_gesture bag import`",
        FileKind::Unknown => "convert it to JPEG if it is an image, or delete it",
        kind if kind.is_image() => "convert it to JPEG",
        kind => kind.fix().unwrap_or(MOVE),
    };
    format!("{}; {fix}", kind.name())
}

#[cfg(test)]
mod tests;
