//! Moves frames to the trash or to another label, in a way that can be undone.
//!
//! Each edit has a numbered directory in the trash of the dataset, with a record of its moves and with the frames that it deleted. The
//! record is written before the first move, and each move is a rename: whenever a process is killed, every frame is in one of two places,
//! and the edit can be undone.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{Dataset, Label, TRASH_DIRECTORY};
use crate::disk;

/// The record of an edit, in its directory.
const RECORD_FILE: &str = "edit.json";
const MAX_RECORD_BYTES: u64 = 16 << 20;

/// Content of `edit.json`.
#[derive(Default, Serialize, Deserialize)]
struct Record {
    moves: Vec<Move>,
    /// Whether the frames were withdrawn: [`restore`] brings them back, [`undo`] does not.
    #[serde(default)]
    is_withdrawal: bool,
}

/// A move of a file. Paths are relative to the dataset.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Move {
    from: PathBuf,
    to: PathBuf,
}

/// Why frames were not moved, or not all of them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditError {
    #[error("there is no frame {0:?} in the dataset; ~/list_frames lists those there are")]
    UnknownFrame(String),
    #[error("no frames are given; pass paths from ~/list_frames")]
    NoFrames,
    #[error("there is nothing to undo")]
    NothingToUndo,
    #[error("{} cannot be moved back to {}, because there is another file", from.display(), to.display())]
    Occupied { from: PathBuf, to: PathBuf },
    #[error("{}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> EditError {
    move |cause| EditError::Io {
        path: path.to_owned(),
        cause,
    }
}

/// The path of a frame relative to the dataset, which identifies it in services; `None` if it is not Unicode.
pub(crate) fn frame_id<'a>(root: &Path, file: &'a Path) -> Option<&'a str> {
    file.strip_prefix(root).ok()?.to_str()
}

/// Moves frames to the trash. Returns how many were moved.
///
/// # Errors
/// A frame is unknown, and none is moved; or the file system reported an error, and [`undo`] moves back those that were moved.
pub(crate) fn delete(dataset: &Dataset, frames: &[String]) -> Result<usize, EditError> {
    move_to_trash(dataset, frames, false)
}

/// Moves frames that were added back out of the dataset: to the trash, as [`delete`], from where only [`restore`] brings them back.
///
/// # Errors
/// As [`delete`].
pub(crate) fn withdraw(dataset: &Dataset, frames: &[String]) -> Result<usize, EditError> {
    move_to_trash(dataset, frames, true)
}

fn move_to_trash(dataset: &Dataset, frames: &[String], is_withdrawal: bool) -> Result<usize, EditError> {
    let frames = find(dataset, frames)?;
    let edit = new_edit(&dataset.root)?;
    let moves = frames.into_iter().map(|from| Move {
        to: edit.join(&from),
        from,
    });
    let moves = moves.collect();
    perform(&dataset.root, &edit, Record { moves, is_withdrawal })
}

/// Moves frames to another label, under the same names. A name that the label has already gets the previous label as a suffix. Returns how
/// many were moved, without those that have the label already.
///
/// # Errors
/// As [`delete`].
pub(crate) fn relabel(dataset: &Dataset, frames: &[String], label: &Label) -> Result<usize, EditError> {
    let mut frames = find(dataset, frames)?;
    frames.retain(|from| !from.starts_with(label.as_str()));
    if frames.is_empty() {
        return Ok(0);
    }
    let edit = new_edit(&dataset.root)?;
    let (mut moves, mut taken) = (Vec::new(), HashSet::new());
    for from in frames {
        let to = free_path(&dataset.root, &from, label, &taken);
        taken.insert(to.clone());
        moves.push(Move { from, to });
    }
    let record = Record {
        moves,
        ..Record::default()
    };
    perform(&dataset.root, &edit, record)
}

/// Performs the moves again that [`undo`] has taken back. Returns how many frames were moved.
///
/// # Errors
/// The file system reported an error; [`undo`] moves back what was moved.
pub(crate) fn redo(root: &Path, undone: &[Move]) -> Result<usize, EditError> {
    let edit = new_edit(root)?;
    let moves = undone.iter().map(|Move { from, to }| Move {
        from: from.clone(),
        // The directory of the edit that was undone is gone.
        to: match to.starts_with(TRASH_DIRECTORY) {
            true => edit.join(from),
            false => to.clone(),
        },
    });
    let record = Record {
        moves: moves.collect(),
        ..Record::default()
    };
    perform(root, &edit, record)
}

/// The number of the last edit in the trash, withdrawals included.
pub(crate) fn last(root: &Path) -> Option<u64> {
    edit_numbers(&root.join(TRASH_DIRECTORY)).into_iter().max()
}

/// Moves the frames of the last edit back, and forgets the edit. Returns the moves of the edit that were taken back.
///
/// # Errors
/// There is no edit, there is another file in the place of a frame, or the file system reported an error. The remaining frames stay where
/// they are, and the edit can be undone again.
pub(crate) fn undo(root: &Path) -> Result<Vec<Move>, EditError> {
    take_back(root, false)
}

/// Moves the frames of the last [`withdraw`] back, and forgets it. Returns how many were moved.
///
/// # Errors
/// As [`undo`].
pub(crate) fn restore(root: &Path) -> Result<usize, EditError> {
    take_back(root, true).map(|moves| moves.len())
}

/// Takes the last edit or withdrawal back of which there are frames.
fn take_back(root: &Path, is_withdrawal: bool) -> Result<Vec<Move>, EditError> {
    let trash = root.join(TRASH_DIRECTORY);
    let mut numbers = edit_numbers(&trash);
    numbers.sort_unstable();
    for number in numbers.into_iter().rev() {
        let edit = trash.join(directory_name(number));
        let record = read_record(&edit)?;
        if record.is_withdrawal != is_withdrawal {
            continue;
        }
        let mut taken_back = Vec::new();
        for each in record.moves.into_iter().rev() {
            let is_moved = move_back(&root.join(&each.to), &root.join(&each.from))?;
            remove_empty_parents(root, &each.to);
            taken_back.extend(is_moved.then_some(each));
        }
        fs::remove_dir_all(&edit).map_err(io_error(&edit))?;
        if !taken_back.is_empty() {
            drop(fs::remove_dir(&trash));
            return Ok(taken_back);
        }
    }
    Err(EditError::NothingToUndo)
}

fn read_record(edit: &Path) -> Result<Record, EditError> {
    let record = edit.join(RECORD_FILE);
    match disk::read_file(&record, MAX_RECORD_BYTES) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| io_error(&record)(error.into())),
        // A process was killed before its first move.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Record::default()),
        Err(error) => Err(io_error(&record)(error)),
    }
}

/// Deletes all frames in the trash permanently, and what killed trainings have kept of them, and forgets all edits. Returns the number of
/// frames.
///
/// # Errors
/// The file system reported an error.
pub(crate) fn clear_trash(root: &Path) -> Result<usize, EditError> {
    super::sweep(root);
    let trash = root.join(TRASH_DIRECTORY);
    let frames = super::list_images(&trash).map_or(0, |listing| listing.images.len());
    match fs::remove_dir_all(&trash) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(&trash)(error)),
        _ => Ok(frames),
    }
}

/// The paths of frames relative to the dataset, each once.
fn find(dataset: &Dataset, frames: &[String]) -> Result<Vec<PathBuf>, EditError> {
    let files = dataset.labels.iter().flat_map(|frames| &frames.files);
    let known: HashSet<&str> = files.filter_map(|file| frame_id(&dataset.root, file)).collect();
    let mut found = Vec::new();
    for frame in frames {
        if !known.contains(frame.as_str()) {
            return Err(EditError::UnknownFrame(crate::text::shorten(frame)));
        }
        found.push(PathBuf::from(frame));
    }
    found.sort();
    found.dedup();
    if found.is_empty() {
        return Err(EditError::NoFrames);
    }
    Ok(found)
}

/// Where a frame goes below another label: to a path that no file has, and that is not `taken` by another frame.
fn free_path(root: &Path, from: &Path, label: &Label, taken: &HashSet<PathBuf>) -> PathBuf {
    let is_free = |to: &PathBuf| !taken.contains(to) && fs::symlink_metadata(root.join(to)).is_err();
    let below_label: PathBuf = from.components().skip(1).collect();
    let to = Path::new(label.as_str()).join(&below_label);
    if is_free(&to) {
        return to;
    }
    let part = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let previous = part(from.components().next().map(|first| first.as_os_str()));
    let (stem, extension) = (part(to.file_stem()), part(to.extension()));
    (1..)
        .map(|number| to.with_file_name(format!("{stem}-{previous}-{number}.{extension}")))
        .find(is_free)
        .unwrap_or(to)
}

/// Creates the directory of the next edit; returns its path relative to the dataset.
fn new_edit(root: &Path) -> Result<PathBuf, EditError> {
    let trash = root.join(TRASH_DIRECTORY);
    disk::create_directory_inside(&trash).map_err(io_error(&trash))?;
    loop {
        let number = edit_numbers(&trash).into_iter().max().unwrap_or(0) + 1;
        let edit = Path::new(TRASH_DIRECTORY).join(directory_name(number));
        match fs::create_dir(root.join(&edit)) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => {
                created.map_err(io_error(&root.join(&edit)))?;
                return Ok(edit);
            }
        }
    }
}

fn directory_name(number: u64) -> String {
    format!("{number:08}")
}

fn edit_numbers(trash: &Path) -> Vec<u64> {
    let entries = fs::read_dir(trash).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Writes the record of an edit and performs its moves.
fn perform(root: &Path, edit: &Path, mut record: Record) -> Result<usize, EditError> {
    let path = root.join(edit).join(RECORD_FILE);
    write_record(&path, &record)?;
    for index in 0..record.moves.len() {
        let Move { from, to } = &record.moves[index];
        if let Err(error) = rename_below(root, from, to) {
            // What was not moved must not be moved back.
            record.moves.truncate(index);
            if record.moves.is_empty() {
                drop(fs::remove_dir_all(root.join(edit)));
            } else {
                write_record(&path, &record)?;
            }
            return Err(error);
        }
    }
    Ok(record.moves.len())
}

fn write_record(path: &Path, record: &Record) -> Result<(), EditError> {
    disk::write_atomic(path, |writer| Ok(serde_json::to_writer(writer, record)?)).map_err(io_error(path))
}

fn rename_below(root: &Path, from: &Path, to: &Path) -> Result<(), EditError> {
    let (source, target) = (root.join(from), root.join(to));
    disk::create_directory_inside(disk::parent(&target))
        .and_then(|()| rename(&source, &target))
        .map_err(io_error(&source))?;
    remove_empty_parents(root, from);
    Ok(())
}

/// Moves a frame back if it is there. Returns whether it was.
fn move_back(from: &Path, to: &Path) -> Result<bool, EditError> {
    if fs::symlink_metadata(from).is_err() {
        return Ok(false);
    }
    disk::create_directory_inside(disk::parent(to)).map_err(io_error(to))?;
    match rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(EditError::Occupied {
            from: from.to_owned(),
            to: to.to_owned(),
        }),
        renamed => renamed.map(|()| true).map_err(io_error(from)),
    }
}

/// Renames a file, and never replaces one. Where the file system cannot rename so, two processes that edit at once are not protected from
/// each other.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL) if fs::symlink_metadata(to).is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(Errno::INVAL) => fs::rename(from, to),
        Err(Errno::XDEV) => Err(io::Error::new(
            io::ErrorKind::CrossesDevices,
            "the directory of a label is on another file system, between which frames are not moved",
        )),
        renamed => Ok(renamed?),
    }
}

/// Removes the directories above a file up to that of its label, as far as they are empty: a label without frames would stop a training.
fn remove_empty_parents(root: &Path, file: &Path) {
    for directory in file
        .ancestors()
        .skip(1)
        .filter(|path| path.components().count() > 0)
    {
        if fs::remove_dir(root.join(directory)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dataset with one-pixel images at these paths.
    fn dataset(root: &Path, frames: &[&str]) -> Dataset {
        for frame in frames {
            let path = root.join(frame);
            fs::create_dir_all(disk::parent(&path)).expect("creates");
            image::RgbImage::new(1, 1).save(&path).expect("writes");
        }
        Dataset::read(root).expect("reads")
    }

    /// The paths of all frames, and of the labels without any.
    fn paths(root: &Path) -> Vec<String> {
        let dataset = Dataset::read(root).expect("reads");
        let mut paths = Vec::new();
        for frames in &dataset.labels {
            if frames.files.is_empty() {
                paths.push(frames.label.to_string());
            }
            let ids = frames.files.iter().filter_map(|file| frame_id(root, file));
            paths.extend(ids.map(str::to_owned));
        }
        paths
    }

    fn owned(frames: &[&str]) -> Vec<String> {
        frames.iter().map(ToString::to_string).collect()
    }

    fn label(name: &str) -> Label {
        Label::new(name).expect("a label")
    }

    #[test]
    fn deleted_and_relabeled_frames_come_back_one_edit_after_the_other() {
        let root = tempfile::tempdir().expect("a directory");
        let root = root.path();
        let all = [
            "none/a.png",
            "none/b.png",
            "thumbs_up/a.png",
            "thumbs_up/sub/c.png",
        ];
        delete(
            &dataset(root, &all),
            &owned(&["none/a.png", "none/b.png", "none/a.png"]),
        )
        .expect("deletes");
        assert_eq!(
            paths(root),
            ["thumbs_up/a.png", "thumbs_up/sub/c.png"],
            "no empty label is left"
        );
        relabel(
            &Dataset::read(root).expect("reads"),
            &owned(&["thumbs_up/sub/c.png"]),
            &label("none"),
        )
        .expect("relabels");
        assert_eq!(paths(root), ["none/sub/c.png", "thumbs_up/a.png"]);
        assert_eq!(undo(root).expect("undoes").len(), 1);
        assert_eq!(paths(root), ["thumbs_up/a.png", "thumbs_up/sub/c.png"]);
        assert_eq!(undo(root).expect("undoes").len(), 2);
        assert_eq!(paths(root), all);
        assert!(matches!(undo(root), Err(EditError::NothingToUndo)));
        assert!(!root.join(TRASH_DIRECTORY).exists());
    }

    #[test]
    fn undone_edits_are_performed_again() {
        let root = tempfile::tempdir().expect("a directory");
        let root = root.path();
        let all = ["none/a.png", "thumbs_up/b.png"];
        delete(&dataset(root, &all), &owned(&["none/a.png"])).expect("deletes");
        relabel(
            &Dataset::read(root).expect("reads"),
            &owned(&["thumbs_up/b.png"]),
            &label("fist"),
        )
        .expect("relabels");
        let relabeled = undo(root).expect("undoes");
        let deleted = undo(root).expect("undoes");
        assert_eq!(paths(root), all);
        assert_eq!(redo(root, &deleted).expect("deletes again"), 1);
        assert_eq!(redo(root, &relabeled).expect("relabels again"), 1);
        assert_eq!(paths(root), ["fist/b.png"]);
        undo(root).expect("undoes");
        undo(root).expect("undoes");
        assert_eq!(paths(root), all);
    }

    #[test]
    fn withdrawn_frames_do_not_come_back_with_an_undo() {
        let root = tempfile::tempdir().expect("a directory");
        let root = root.path();
        let all = ["none/a.png", "thumbs_up/b.png"];
        delete(&dataset(root, &all), &owned(&["none/a.png"])).expect("deletes");
        withdraw(&Dataset::read(root).expect("reads"), &owned(&["thumbs_up/b.png"])).expect("withdraws");
        assert!(paths(root).is_empty());
        undo(root).expect("undoes the deletion");
        assert_eq!(paths(root), ["none/a.png"]);
        assert!(matches!(undo(root), Err(EditError::NothingToUndo)));
        assert_eq!(restore(root).expect("restores"), 1);
        assert_eq!(paths(root), all);
        assert!(matches!(restore(root), Err(EditError::NothingToUndo)));
    }

    #[test]
    fn no_frame_replaces_another() {
        let root = tempfile::tempdir().expect("a directory");
        let root = root.path();
        let all = ["none/1.png", "thumbs_up/1.png"];
        relabel(&dataset(root, &all), &owned(&all), &label("none")).expect("relabels");
        assert_eq!(paths(root), ["none/1-thumbs_up-1.png", "none/1.png"]);
        undo(root).expect("undoes");
        assert_eq!(paths(root), all);
        relabel(&Dataset::read(root).expect("reads"), &owned(&all), &label("fist")).expect("relabels");
        assert_eq!(paths(root), ["fist/1-thumbs_up-1.png", "fist/1.png"]);
        undo(root).expect("undoes");
        assert_eq!(paths(root), all);

        delete(&dataset(root, &all), &owned(&["none/1.png"])).expect("deletes");
        dataset(root, &["none/1.png"]);
        assert!(matches!(undo(root), Err(EditError::Occupied { .. })));
        fs::remove_file(root.join("none/1.png")).expect("deletes");
        assert_eq!(
            undo(root).expect("undoes what could not be undone before").len(),
            1
        );
    }

    #[test]
    fn unknown_frames_move_nothing() {
        let root = tempfile::tempdir().expect("a directory");
        let dataset = dataset(root.path(), &["none/a.png"]);
        fs::write(root.path().join("none/notes.txt"), "text").expect("writes");
        for other in [
            "none/b.png",
            "../none/a.png",
            "/none/a.png",
            "none/notes.txt",
            ".trash/edit.json",
            "",
        ] {
            let frames = owned(&["none/a.png", other]);
            assert!(
                matches!(delete(&dataset, &frames), Err(EditError::UnknownFrame(_))),
                "{other}"
            );
        }
        assert!(matches!(delete(&dataset, &[]), Err(EditError::NoFrames)));
        assert_eq!(paths(root.path()), ["none/a.png"]);
    }

    #[test]
    fn edit_that_was_killed_can_be_undone() {
        let root = tempfile::tempdir().expect("a directory");
        let root = root.path();
        let all = ["none/a.png", "none/b.png"];
        delete(&dataset(root, &all), &owned(&all)).expect("deletes");
        // Killed between the two moves; and another process before its first.
        let trash = root.join(TRASH_DIRECTORY);
        fs::create_dir_all(root.join("none")).expect("creates");
        rename(&trash.join("00000001/none/b.png"), &root.join("none/b.png")).expect("renames");
        fs::create_dir(trash.join("00000002")).expect("creates");
        assert_eq!(undo(root).expect("undoes").len(), 1);
        assert_eq!(paths(root), all);
    }

    #[test]
    fn edit_that_failed_is_undone_as_far_as_it_went() {
        let root = tempfile::tempdir().expect("a directory");
        let root = root.path();
        let all = ["none/a.png", "thumbs_up/b.png"];
        let dataset = dataset(root, &all);
        // It was removed after the dataset was read.
        fs::remove_file(root.join("thumbs_up/b.png")).expect("deletes");
        assert!(matches!(
            delete(&dataset, &owned(&all)),
            Err(EditError::Io { .. })
        ));
        assert!(matches!(
            delete(&dataset, &owned(&["thumbs_up/b.png"])),
            Err(EditError::Io { .. })
        ));
        assert_eq!(undo(root).expect("undoes").len(), 1);
        assert!(root.join("none/a.png").exists());
        assert!(matches!(undo(root), Err(EditError::NothingToUndo)));
    }

    #[test]
    fn cleared_trash_is_gone() {
        let root = tempfile::tempdir().expect("a directory");
        let root = root.path();
        assert_eq!(clear_trash(root).expect("is empty"), 0);
        delete(
            &dataset(root, &["none/a.png", "none/b.png"]),
            &owned(&["none/a.png"]),
        )
        .expect("deletes");
        assert_eq!(clear_trash(root).expect("clears"), 1);
        assert!(matches!(undo(root), Err(EditError::NothingToUndo)));
        assert_eq!(paths(root), ["none/b.png"]);
    }
}
