//! Groups and splits real photos: a fixed camera, one person, and bursts that are short videos.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use image::imageops::thumbnail;
use sha2::{Digest, Sha256};

use super::*;
use crate::dataset::bursts::{GroupedBy, conflicts, group_frames};
use crate::dataset::fingerprint::{Fingerprint, Thumbnail};
use crate::dataset::{Dataset, Label};
use crate::frame::Frame;

/// Returns the photos next to the repository; `None` with a message if they do not exist.
fn photos() -> Option<Vec<FrameFile>> {
    /// Shared by the tests, because decoding takes most of their time.
    static DECODED: OnceLock<Vec<FrameFile>> = OnceLock::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/photos");
    if !root.is_dir() {
        eprintln!("SKIPPED: no photos in {}", root.display());
        return None;
    }
    Some(DECODED.get_or_init(|| frames_of(&root)).clone())
}

fn frames_of(root: &Path) -> Vec<FrameFile> {
    let dataset = Dataset::read(root).expect("reads");
    let labeled = dataset.labels.iter().flat_map(|labeled| {
        let files = labeled.files.iter();
        files.map(|file| (file, &labeled.label))
    });
    let frame_of = |(file, label): (&PathBuf, &Label)| {
        let content = std::fs::read(file).expect("reads");
        let image = Frame::from_compressed("jpeg", &content)
            .expect("decodes")
            .to_rgb_image();
        let square = thumbnail(&image, 224, 224);
        let fingerprint = Fingerprint {
            sha256: Sha256::digest(&content).into(),
            thumbnail: Thumbnail::from_square(square.as_raw()),
        };
        FrameFile::new(file, label.clone(), fingerprint)
    };
    labeled.map(frame_of).collect()
}

/// The burst that a photo belongs to: the prefix of its name.
fn burst(frame: &FrameFile) -> &str {
    frame.name.split('_').next().expect("a prefix")
}

fn thumbnail_of(frame: &FrameFile) -> &Thumbnail {
    &frame.fingerprint.thumbnail
}

#[test]
fn groups_are_the_bursts_and_no_bursts_are_merged() {
    let Some(frames) = photos() else { return };
    let labels = group_frames(&frames);
    let mut groups = Vec::new();
    for label in &labels {
        for group in &label.groups {
            let name = burst(&frames[group.frames[0]]);
            assert!(group.frames.iter().all(|&frame| burst(&frames[frame]) == name));
            groups.push((label.label.as_str(), name, group.frames.len(), group.merged_count));
            assert_eq!(group.grouped_by, GroupedBy::NumberedName);
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
fn most_consecutive_frames_are_near_duplicates_but_no_frames_of_different_bursts() {
    let Some(frames) = photos() else { return };
    let (mut near_duplicates, mut pairs) = (0, 0);
    for pair in frames
        .windows(2)
        .filter(|pair| burst(&pair[0]) == burst(&pair[1]))
    {
        pairs += 1;
        near_duplicates += usize::from(thumbnail_of(&pair[0]).is_near_duplicate(thumbnail_of(&pair[1])));
    }
    assert_eq!(pairs, 96);
    assert!(
        near_duplicates >= 72,
        "{near_duplicates} of {pairs} pairs of consecutive frames are near-duplicates"
    );
    for (index, frame) in frames.iter().enumerate() {
        for other in frames[index + 1..]
            .iter()
            .filter(|other| burst(other) != burst(frame))
        {
            let distance = thumbnail_of(frame).distance(thumbnail_of(other));
            assert!(distance > 3.5, "{} and {}: {distance}", frame.name, other.name);
        }
    }
}

/// Without known names, the appearance never merges frames of different bursts and keeps most of a burst together.
#[test]
fn bursts_are_separated_by_appearance_alone() {
    let Some(mut frames) = photos() else { return };
    let bursts: Vec<String> = frames.iter().map(|frame| burst(frame).to_owned()).collect();
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
                .all(|&frame| bursts[frame] == bursts[group.frames[0]])
        );
    }
    assert!(groups.len() <= 30, "{} groups of 100 frames", groups.len());
}

#[test]
fn labels_with_two_bursts_are_split_by_burst_and_those_with_one_are_cut() {
    let Some(frames) = photos() else { return };
    let split = hold_out(&frames, &group_frames(&frames), 7);
    let fold = &split.folds[0];
    let validated: Vec<usize> = split.summaries.iter().map(|label| label.validated).collect();
    assert_eq!(validated, [25, 5, 5]);
    let is_cut: Vec<bool> = split.summaries.iter().map(tests::is_cut).collect();
    assert_eq!(is_cut, [false, true, true]);
    for &validation in &fold.validation {
        let same_burst = fold
            .train
            .iter()
            .filter(|&&train| burst(&frames[train]) == burst(&frames[validation]));
        for &train in same_burst {
            assert!(!thumbnail_of(&frames[train]).is_near_duplicate(thumbnail_of(&frames[validation])));
        }
    }
}
