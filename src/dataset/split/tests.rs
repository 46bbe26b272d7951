mod properties;

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::summary::SplitMethod;
use super::*;
use crate::dataset::Label;
use crate::dataset::bursts::{Group, group_frames};
use crate::dataset::fingerprint::{Fingerprint, Thumbnail};
use crate::dataset::scenes::find_scenes;

/// A frame with a uniform thumbnail: frames whose levels differ by at most two are near-duplicates.
pub(super) fn frame(label: &str, name: &str, level: u8) -> FrameFile {
    FrameFile {
        label: Label::new(label).expect("a label"),
        directory: label.into(),
        name: name.to_owned(),
        modified: None,
        fingerprint: Fingerprint {
            sha256: Sha256::digest(format!("{label}/{name}")).into(),
            thumbnail: Thumbnail { levels: [level; 256] },
        },
    }
}

/// Makes bursts with these numbers of frames. Frames are no near-duplicates, unless there are more of them than gray levels allow.
fn bursts(label: &str, counts: &[usize]) -> Vec<FrameFile> {
    let mut level = 0u8;
    let mut frames = Vec::new();
    for (burst, &count) in counts.iter().enumerate() {
        for number in 0..count {
            frames.push(frame(label, &format!("t{burst}_{number:03}.jpg"), level));
            level = level.saturating_add(3);
        }
    }
    frames
}

fn is_cut(summary: &SplitSummary) -> bool {
    matches!(summary.method, SplitMethod::CutGroups { .. })
}

fn held_out(frames: &[FrameFile], seed: u64) -> Split {
    let groups = group_frames(frames);
    hold_out(frames, &groups, &find_scenes(frames, &groups), seed)
}

fn folded(frames: &[FrameFile], k: usize, seed: u64) -> Split {
    let groups = group_frames(frames);
    k_folds(frames, &groups, &find_scenes(frames, &groups), k, seed)
}

fn names<'a>(frames: &'a [FrameFile], indices: &[usize]) -> BTreeSet<(&'a str, &'a str)> {
    let name = |&index: &usize| (frames[index].label.as_str(), frames[index].name.as_str());
    indices.iter().map(name).collect()
}

#[test]
fn whole_bursts_are_held_out_and_summarized() {
    let split = held_out(&bursts("none", &[5; 15]), 1);
    assert_eq!(split.folds[0].validation.len(), 15);
    assert!(split.folds[0].left_out.is_empty());
    assert_eq!(
        split.summaries[0].to_string(),
        "none: 3 of 15 bursts held out, 15 of 75 frames"
    );
    assert!(!is_cut(&split.summaries[0]));
}

#[test]
fn about_a_fifth_is_held_out_if_the_groups_allow_it() {
    for counts in [
        &[1; 60][..],
        &[4; 10],
        &[15, 25, 40],
        &[7, 9, 3, 11, 6],
        &[3, 2, 10, 1],
    ] {
        for seed in 0..20 {
            let frames = bursts("none", counts);
            let share = held_out(&frames, seed).folds[0].validation.len() as f64 / frames.len() as f64;
            assert!((0.15..=0.25).contains(&share), "{share} of {counts:?}");
        }
    }
}

#[test]
fn single_burst_is_cut_and_frames_near_the_cut_are_left_out() {
    let split = held_out(&bursts("none", &[40]), 1);
    let fold = &split.folds[0];
    assert_eq!(fold.validation.len(), 8);
    let (first, last) = (fold.validation[0], fold.validation[7]);
    assert_eq!(last - first, 7, "consecutive frames are held out together");
    for train in &fold.train {
        assert!(train.abs_diff(first).min(train.abs_diff(last)) > 2);
    }
    assert_eq!(
        split.summaries[0].to_string(),
        "none: one burst (40 of 40 frames) cut into 5 segments, so the measured accuracy is too high: capture another burst"
    );
    assert!(is_cut(&split.summaries[0]));
}

#[test]
fn leakage_of_a_nearly_still_hand_is_reported() {
    let frames: Vec<FrameFile> = (0..30)
        .map(|number| frame("none", &format!("{number}.jpg"), 7))
        .collect();
    let split = held_out(&frames, 1);
    assert_eq!(split.folds[0].validation.len(), 6);
    assert_eq!(split.folds[0].left_out.len(), 8);
    let summary = split.summaries[0].to_string();
    assert!(summary.contains("near-duplicates on both sides"), "{summary}");
}

#[test]
fn bursts_that_all_look_alike_are_cut_as_one_group() {
    let mut frames = bursts("none", &[4; 6]);
    for frame in &mut frames {
        frame.fingerprint.thumbnail.levels = [90; 256];
    }
    let summary = held_out(&frames, 1).summaries[0].to_string();
    assert!(
        summary.starts_with("none: 6 bursts that look alike (24 of 24 frames) cut into 5 segments"),
        "{summary}"
    );
    assert!(
        summary.ends_with("with the hand and the camera in other positions"),
        "{summary}"
    );
}

/// A tenth of the frames from another burst is a better measure than a fifth from the burst that was trained on.
#[test]
fn small_second_burst_is_held_out_instead_of_cutting_a_large_one() {
    let split = held_out(&bursts("none", &[40, 6]), 1);
    assert_eq!(split.folds[0].validation, Vec::from_iter(40..46));
    let split = held_out(&bursts("none", &[30, 20, 4]), 1);
    assert_eq!(
        split.summaries[0].validated, 20,
        "four frames are less than a tenth"
    );
    let split = held_out(&bursts("none", &[60, 2]), 1);
    assert_eq!(split.folds[0].validation.len(), 12);
    assert!(split.folds[0].train.contains(&60) && split.folds[0].train.contains(&61));
}

#[test]
fn splits_of_zero_one_and_two_frames() {
    let one = held_out(&bursts("none", &[1]), 1);
    assert_eq!(one.folds[0].train, [0]);
    assert_eq!(one.summaries[0].method, SplitMethod::TrainingOnly);
    for counts in [&[2][..], &[1, 1]] {
        let two = held_out(&bursts("none", counts), 1);
        assert_eq!((two.folds[0].train.len(), two.folds[0].validation.len()), (1, 1));
    }
    assert_eq!(held_out(&[], 1).folds, [Fold::default()]);
    assert_eq!(k_folds(&[], &[], &[], 5, 1).folds, [Fold::default()]);
}

#[test]
fn number_of_folds_is_limited_by_the_groups() {
    let frames = bursts("none", &[3, 3, 3]);
    for (k, folds) in [(0, 2), (2, 2), (3, 3), (5, 3), (usize::MAX, 3)] {
        assert_eq!(folded(&frames, k, 1).folds.len(), folds);
    }
    let single = bursts("none", &[1]);
    assert_eq!(folded(&single, 5, 1).folds[0].train, [0]);
}

#[test]
fn folds_have_similar_sizes() {
    let frames = bursts("none", &[9, 8, 7, 6, 5, 5, 4, 2, 2, 2]);
    let split = folded(&frames, 5, 3);
    let sizes: Vec<usize> = split.folds.iter().map(|fold| fold.validation.len()).collect();
    assert!(sizes.iter().all(|size| (9..=11).contains(size)), "{sizes:?}");
    assert_eq!(
        split.summaries[0].to_string(),
        "none: 10 bursts in 5 folds, each held out once"
    );
}

#[test]
fn seed_determines_the_split() {
    let frames = bursts("none", &[2; 30]);
    let split_of = |seed| held_out(&frames, seed).folds;
    assert_eq!(split_of(3), split_of(3));
    assert!((0..5).any(|seed| split_of(seed) != split_of(5)));
}

#[test]
fn split_does_not_depend_on_the_location_of_the_dataset() {
    let split_under = |root: &std::path::Path| {
        let directory = root.join("none");
        std::fs::create_dir_all(&directory).expect("creates");
        let frames: Vec<FrameFile> = bursts("none", &[4; 12])
            .into_iter()
            .map(|frame| {
                let path = directory.join(&frame.name);
                std::fs::write(&path, &frame.name).expect("writes");
                FrameFile::new(&path, frame.label, frame.fingerprint)
            })
            .collect();
        held_out(&frames, 4)
    };
    let root = tempfile::tempdir().expect("a directory");
    assert_eq!(
        split_under(&root.path().join("here")),
        split_under(&root.path().join("elsewhere/deeper"))
    );
}

/// A few of thirty bursts may change sides to keep the share.
#[test]
fn new_burst_changes_the_split_of_few_frames() {
    for seed in 0..20 {
        let (before, after) = (bursts("none", &[2; 30]), bursts("none", &[2; 31]));
        let held = |frames: &[FrameFile]| {
            let fold = held_out(frames, seed).folds.remove(0);
            BTreeSet::from_iter(fold.validation)
        };
        let moved = held(&before).symmetric_difference(&held(&after)).count();
        assert!(moved <= 4, "{moved} of 60 frames changed sides");
    }
}

const LABELS: [&str; 3] = ["none", "thumbs_down", "thumbs_up"];

/// A frame in one of several rooms, whose backgrounds differ.
fn frame_in(room: u8, label: &str, name: &str) -> FrameFile {
    let mut frame = frame(label, name, 0);
    let shown = Sha256::digest(format!("{label}/{name}"));
    for (pixel, level) in frame.fingerprint.thumbnail.levels.iter_mut().enumerate() {
        // A pattern for each room; the upper half of the image differs from frame to frame by a few levels.
        let [row, column] = [pixel / 16, pixel % 16 / 4].map(|part| part as u8);
        let wall = Sha256::digest([room, row, column])[0];
        *level = (wall / 2).saturating_add(if pixel < 128 { shown[pixel % 32] % 28 } else { 0 });
    }
    frame
}

/// One burst per room and label, with this number of frames.
fn rooms(rooms: u8, per_label: usize) -> Vec<FrameFile> {
    let labels = (0..rooms).flat_map(|room| LABELS.map(|label| (room, label)));
    let frames = labels.flat_map(|(room, label)| {
        (0..per_label).map(move |number| frame_in(room, label, &format!("room{room}_{number:03}.jpg")))
    });
    frames.collect()
}

/// A training that lacks a label of a scene, but has others of it, learns that the scene excludes the label.
#[test]
fn every_training_has_seen_all_labels_of_a_scene() {
    let frames = rooms(3, 10);
    for split in [held_out(&frames, 1), folded(&frames, 5, 1)] {
        for fold in &split.folds {
            let shown: BTreeSet<(&str, &str)> = names(&frames, &fold.train)
                .into_iter()
                .map(|(label, name)| (label, &name[..5]))
                .collect();
            assert_eq!(shown.len(), 9, "{shown:?}");
            assert_eq!(fold.validation.len(), 18);
        }
        let summary = split.summaries[2].to_string();
        assert_eq!(
            summary,
            "thumbs_up: 3 bursts, each of which has most frames of its scene, (30 of 30 frames) cut into 5 segments, \
             so the measured accuracy is too high: capture another burst in each scene"
        );
    }
}

#[test]
fn scenes_with_one_frame_of_each_label_are_held_out_whole() {
    let frames = rooms(11, 1);
    let folds = folded(&frames, 5, 1).folds;
    assert_eq!(folds.len(), 5);
    for fold in folds.iter().chain(&held_out(&frames, 1).folds) {
        assert_eq!(
            fold.validation.len(),
            6,
            "two of ten rooms, and one is always trained on"
        );
        let rooms = |indices: &[usize]| -> BTreeSet<&str> {
            let names = names(&frames, indices).into_iter();
            names.map(|(_, name)| name).collect()
        };
        assert!(rooms(&fold.validation).is_disjoint(&rooms(&fold.train)));
    }
}

#[test]
fn whole_scenes_are_held_out_in_at_most_five_folds() {
    for (count, folds) in [(1, 0), (2, 2), (3, 3), (5, 5), (12, 5)] {
        let frames = rooms(count, 4);
        let scenes = find_scenes(&frames, &group_frames(&frames));
        assert_eq!(scenes.len(), usize::from(count));
        let new_scenes = hold_out_scenes(&frames, &scenes);
        assert_eq!(new_scenes.len(), folds);
        for fold in &new_scenes {
            assert_eq!(fold.train.len() + fold.validation.len(), frames.len());
            let is_split = |scene: &&Scene| !is_whole(&fold.validation, &scene.frames);
            assert_eq!(scenes.iter().find(is_split), None);
        }
    }
}

#[test]
fn label_in_a_single_scene_prevents_the_measurement_in_other_scenes() {
    let mut frames = rooms(3, 4);
    frames.retain(|frame| frame.label.as_str() != "none" || frame.name.starts_with("room1"));
    let scenes = find_scenes(&frames, &group_frames(&frames));
    assert_eq!(scenes.len(), 3);
    assert!(hold_out_scenes(&frames, &scenes).is_empty());
}

fn is_whole(part: &[usize], group: &[usize]) -> bool {
    let inside = group.iter().filter(|frame| part.contains(frame)).count();
    inside == 0 || inside == group.len()
}
