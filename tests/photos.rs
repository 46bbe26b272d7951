//! Groups and splits real photos: a fixed camera, one person, and bursts that are short videos.

mod support;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use image::imageops::thumbnail;
use sha2::{Digest, Sha256};
use thumb_gesture::dataset::bursts::{FrameFile, GroupedBy, conflicts, group_frames};
use thumb_gesture::dataset::fingerprint::{Fingerprint, Thumbnail};
use thumb_gesture::dataset::scenes::find_scenes;
use thumb_gesture::dataset::split::{SplitSummary, hold_out};
use thumb_gesture::dataset::{Dataset, Label};
use thumb_gesture::frame::Frame;

/// The frames of the photos. Shared by the tests, because decoding takes most of their time.
fn photos() -> Vec<FrameFile> {
    static DECODED: OnceLock<Vec<FrameFile>> = OnceLock::new();
    DECODED
        .get_or_init(|| frames_of(&support::runner::reference_photos()))
        .clone()
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

fn groups_are_the_bursts_and_no_bursts_are_merged() {
    let frames = photos();
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

fn most_consecutive_frames_are_near_duplicates_but_no_frames_of_different_bursts() {
    let frames = photos();
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
fn bursts_are_separated_by_appearance_alone() {
    let mut frames = photos();
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

fn bursts_of_one_room_are_one_scene() {
    let mut frames = photos();
    let scenes = |frames: &[FrameFile]| find_scenes(frames, &group_frames(frames)).len();
    assert_eq!(scenes(&frames), 1);
    for (number, frame) in frames.iter_mut().enumerate() {
        frame.name = format!("{number}-hand.jpg");
        frame.modified = None;
    }
    assert_eq!(scenes(&frames), 1, "by appearance alone");
}

fn labels_with_two_bursts_are_split_by_burst_and_those_with_one_are_cut() {
    let frames = photos();
    let groups = group_frames(&frames);
    let scenes = find_scenes(&frames, &groups);
    let split = hold_out(&frames, &groups, &scenes, 7);
    let fold = &split.folds[0];
    let validated: Vec<usize> = split.summaries.iter().map(|label| label.validated).collect();
    assert_eq!(validated, [25, 5, 5]);
    let cut: Vec<bool> = split.summaries.iter().map(is_cut).collect();
    assert_eq!(cut, [false, true, true]);
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

/// A model that was taught the first half of each burst.
fn second_halves_are_familiar_and_changed_photos_are_not() {
    let photos = support::runner::reference_photos();
    let directory = tempfile::tempdir().expect("a directory");
    let [store, taught, rest, mirrored] =
        ["store", "taught", "rest", "mirrored"].map(|name| directory.path().join(name));
    for label in ["none", "thumbs_down", "thumbs_up"] {
        for part in [&taught, &rest, &mirrored] {
            std::fs::create_dir_all(part.join(label)).expect("creates");
        }
        for file in support::files_in(&photos.join(label)) {
            let name = file.file_name().expect("a name").to_owned();
            let number = name.to_string_lossy();
            let number: usize = number[number.len() - 6..number.len() - 4]
                .parse()
                .expect("a number");
            let part = if number < 13 { &taught } else { &rest };
            std::fs::copy(&file, part.join(label).join(&name)).expect("copies");
            let image = image::open(&file).expect("an image").fliph();
            image.save(mirrored.join(label).join(&name)).expect("writes");
        }
    }
    let trained = support::train(&taught, &store, &["--copies", "1"]);
    assert!(
        trained.status.success(),
        "{}",
        String::from_utf8_lossy(&trained.stderr)
    );
    let unfamiliar = |dataset: &Path, more: &[&str]| {
        let mut command = support::program();
        command
            .args(["evaluate", "--json", "--recognizer", "image", "--dataset"])
            .arg(dataset);
        command.arg("--store").arg(&store).args(more);
        let report = support::json(&command.output().expect("starts"));
        let count = |name: &str| report[name].as_u64().expect(name);
        (count("unfamiliar"), count("frames"))
    };
    assert_eq!(unfamiliar(&taught, &[]), (0, 52));
    let (of_rest, frames) = unfamiliar(&rest, &[]);
    assert!(of_rest <= 2 && frames == 48, "{of_rest} of {frames}");
    let (of_mirrored, frames) = unfamiliar(&mirrored, &[]);
    assert!(of_mirrored >= 95 && frames == 100, "{of_mirrored} of {frames}");
    assert_eq!(unfamiliar(&mirrored, &["--familiarity-threshold", "0"]), (0, 100));
    let covered = directory.path().join("covered");
    std::fs::create_dir_all(covered.join("none")).expect("creates");
    let black = image::RgbImage::new(640, 480);
    black.save(covered.join("none/black.png")).expect("writes");
    assert_eq!(unfamiliar(&covered, &[]), (1, 1), "a covered camera");
}

fn is_cut(summary: &SplitSummary) -> bool {
    summary.to_string().contains("cut into")
}

support::runner::tests! {
    groups_are_the_bursts_and_no_bursts_are_merged needs ReferencePhotos,
    most_consecutive_frames_are_near_duplicates_but_no_frames_of_different_bursts needs ReferencePhotos,
    bursts_are_separated_by_appearance_alone needs ReferencePhotos,
    bursts_of_one_room_are_one_scene needs ReferencePhotos,
    labels_with_two_bursts_are_split_by_burst_and_those_with_one_are_cut needs ReferencePhotos,
    second_halves_are_familiar_and_changed_photos_are_not needs ReferencePhotos,
}
