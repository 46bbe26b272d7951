//! The split of real photographs: a fixed camera, one person, frames of a take are a small video.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use image::imageops::thumbnail;

use super::*;
use crate::dataset::bursts::{Origin, conflicts, group_frames};
use crate::dataset::fingerprint::{Fingerprint, Thumbnail};
use crate::dataset::{Dataset, Label};
use crate::frame::Frame;

/// The frames of the photographs; none, with a message, where they are not beside the project.
fn photos() -> Option<Vec<FrameFile>> {
    /// Decoding takes most of the time of these tests.
    static DECODED: OnceLock<Vec<FrameFile>> = OnceLock::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/photos");
    if !root.is_dir() {
        eprintln!("SKIPPED: there are no photographs in {}", root.display());
        return None;
    }
    Some(DECODED.get_or_init(|| frames_of(&root)).clone())
}

fn frames_of(root: &Path) -> Vec<FrameFile> {
    let dataset = Dataset::read(root).expect("an image directory");
    let labelled = dataset.labels.iter().flat_map(|labelled| {
        let files = labelled.files.iter();
        files.map(|file| (file, &labelled.label))
    });
    let frame_of = |(file, label): (&PathBuf, &Label)| {
        let content = std::fs::read(file).expect("reads");
        let image = Frame::from_compressed("jpeg", &content)
            .expect("an image")
            .to_rgb_image();
        let square = thumbnail(&image, 224, 224);
        FrameFile::new(file, label.clone(), Fingerprint::new(&content, square.as_raw()))
    };
    labelled.map(frame_of).collect()
}

fn take(frame: &FrameFile) -> &str {
    frame.name.split('_').next().expect("a prefix")
}

fn look(frame: &FrameFile) -> &Thumbnail {
    &frame.fingerprint.thumbnail
}

#[test]
fn the_groups_are_the_takes_and_takes_do_not_join() {
    let Some(frames) = photos() else { return };
    let labels = group_frames(&frames);
    let mut groups = Vec::new();
    for label in &labels {
        for group in &label.groups {
            let name = take(&frames[group.frames[0]]);
            assert!(group.frames.iter().all(|&frame| take(&frames[frame]) == name));
            groups.push((label.label.as_str(), name, group.frames.len(), group.joined));
            assert_eq!(group.origin, Origin::Take);
        }
    }
    let expected = [
        ("none", "livelong", 25, 1),
        ("none", "thankyou", 25, 1),
        ("thumbs_down", "thumbsdown", 25, 1),
        ("thumbs_up", "thumbsup", 25, 1),
    ];
    assert_eq!(groups, expected);
    assert!(conflicts(&frames).is_empty());
}

#[test]
fn most_neighbours_are_near_duplicates_and_frames_of_different_takes_never() {
    let Some(frames) = photos() else { return };
    let (mut near, mut neighbours) = (0, 0);
    for pair in frames.windows(2).filter(|pair| take(&pair[0]) == take(&pair[1])) {
        neighbours += 1;
        near += usize::from(look(&pair[0]).is_near(look(&pair[1])));
    }
    assert_eq!(neighbours, 96);
    assert!(
        near >= 72,
        "{near} of {neighbours} neighbours are near-duplicates"
    );
    for (index, frame) in frames.iter().enumerate() {
        for other in frames[index + 1..]
            .iter()
            .filter(|other| take(other) != take(frame))
        {
            let distance = look(frame).distance(look(other));
            assert!(distance > 3.5, "{} and {}: {distance}", frame.name, other.name);
        }
    }
}

/// Without names to go by, looks alone never join frames of different takes, and keep most of a take together.
#[test]
fn without_names_takes_stay_apart() {
    let Some(mut frames) = photos() else { return };
    let takes: Vec<String> = frames.iter().map(|frame| take(frame).to_owned()).collect();
    for (number, frame) in frames.iter_mut().enumerate() {
        frame.name = format!("{number}-hand.jpg");
        frame.modified = None;
    }
    let groups: Vec<_> = group_frames(&frames)
        .into_iter()
        .flat_map(|label| label.groups)
        .collect();
    for group in &groups {
        assert!(
            group
                .frames
                .iter()
                .all(|&frame| takes[frame] == takes[group.frames[0]])
        );
    }
    assert!(groups.len() <= 30, "{} groups of 100 frames", groups.len());
}

#[test]
fn labels_with_two_takes_are_split_by_take_and_those_with_one_are_cut() {
    let Some(frames) = photos() else { return };
    let split = hold_out(&frames, &group_frames(&frames), 7);
    let fold = &split.folds[0];
    let held: Vec<usize> = split.notes.iter().map(|note| note.validated).collect();
    assert_eq!(held, [25, 5, 5]);
    let flatters: Vec<bool> = split.notes.iter().map(SplitNote::flatters).collect();
    assert_eq!(flatters, [false, true, true]);
    for &held in &fold.validation {
        let beside = fold
            .train
            .iter()
            .filter(|&&train| take(&frames[train]) == take(&frames[held]));
        for &train in beside {
            assert!(!look(&frames[train]).is_near(look(&frames[held])));
        }
    }
}
