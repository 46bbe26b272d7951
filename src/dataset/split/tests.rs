use std::collections::BTreeSet;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::dataset::Label;
use crate::dataset::bursts::group_frames;
use crate::dataset::fingerprint::{Fingerprint, Thumbnail};

/// A frame whose thumbnail is plain: up to two levels away from another, it is a near-duplicate of it.
pub(super) fn frame(label: &str, name: &str, level: u8) -> FrameFile {
    FrameFile {
        label: Label::new(label).expect("a label"),
        name: name.to_owned(),
        modified: None,
        fingerprint: Fingerprint {
            sha256: Sha256::digest(format!("{label}/{name}")).into(),
            thumbnail: Thumbnail { levels: [level; 256] },
        },
    }
}

/// As many takes of a label as there are counts, of so many frames; no two frames look alike while there are grey levels.
fn takes(label: &str, counts: &[usize]) -> Vec<FrameFile> {
    let mut level = 0u8;
    let mut frames = Vec::new();
    for (take, &count) in counts.iter().enumerate() {
        for number in 0..count {
            frames.push(frame(label, &format!("t{take}_{number:03}.jpg"), level));
            level = level.saturating_add(3);
        }
    }
    frames
}

fn held_out(frames: &[FrameFile], seed: u64) -> Split {
    hold_out(frames, &group_frames(frames), seed)
}

fn names<'a>(frames: &'a [FrameFile], indices: &[usize]) -> BTreeSet<(&'a str, &'a str)> {
    let name = |&index: &usize| (frames[index].label.as_str(), frames[index].name.as_str());
    indices.iter().map(name).collect()
}

#[test]
fn whole_bursts_are_held_out_and_the_note_says_so() {
    let split = held_out(&takes("none", &[5; 15]), 1);
    assert_eq!(split.folds[0].validation.len(), 15);
    assert!(split.folds[0].left_out.is_empty());
    assert_eq!(
        split.notes[0].to_string(),
        "none: 3 of 15 takes held out, 15 of 75 frames"
    );
    assert!(!split.notes[0].flatters());
}

#[test]
fn about_a_fifth_is_held_out_where_the_groups_allow_it() {
    for counts in [
        &[1; 60][..],
        &[4; 10],
        &[15, 25, 40],
        &[7, 9, 3, 11, 6],
        &[3, 2, 10, 1],
    ] {
        for seed in 0..20 {
            let frames = takes("none", counts);
            let share = held_out(&frames, seed).folds[0].validation.len() as f64 / frames.len() as f64;
            assert!((0.15..=0.25).contains(&share), "{share} of {counts:?}");
        }
    }
}

#[test]
fn a_single_burst_is_cut_and_its_borders_are_left_out() {
    let split = held_out(&takes("none", &[40]), 1);
    let fold = &split.folds[0];
    assert_eq!(fold.validation.len(), 8);
    let (first, last) = (fold.validation[0], fold.validation[7]);
    assert_eq!(last - first, 7, "neighbours are held out together");
    for train in &fold.train {
        assert!(train.abs_diff(first).min(train.abs_diff(last)) > 2);
    }
    let note = split.notes[0].to_string();
    assert_eq!(
        note,
        "none: one take (40 of 40 frames) cut in 5 runs, so the accuracy flatters: capture another burst"
    );
    assert!(split.notes[0].flatters());
}

#[test]
fn a_hand_that_hardly_moves_is_measured_and_the_note_says_what_that_is_worth() {
    let frames: Vec<FrameFile> = (0..30)
        .map(|number| frame("none", &format!("{number}.jpg"), 7))
        .collect();
    let split = held_out(&frames, 1);
    assert_eq!(split.folds[0].validation.len(), 6);
    assert_eq!(split.folds[0].left_out.len(), 8);
    let note = split.notes[0].to_string();
    assert!(note.contains("near-duplicates stand on both sides"), "{note}");
}

#[test]
fn bursts_that_all_look_alike_are_no_bursts_and_the_note_says_why() {
    let mut frames = takes("none", &[4; 6]);
    for frame in &mut frames {
        frame.fingerprint.thumbnail.levels = [90; 256];
    }
    let note = held_out(&frames, 1).notes[0].to_string();
    assert!(
        note.starts_with("none: 6 takes that look alike (24 of 24 frames) cut in 5 runs"),
        "{note}"
    );
    assert!(note.ends_with("with the hand and the camera elsewhere"), "{note}");
}

/// A tenth that the model knows nothing of says more than a fifth out of the middle of what it was trained on.
#[test]
fn a_small_second_burst_is_held_out_rather_than_a_large_one_cut() {
    let split = held_out(&takes("none", &[40, 6]), 1);
    assert_eq!(split.folds[0].validation, Vec::from_iter(40..46));
    let split = held_out(&takes("none", &[30, 20, 4]), 1);
    assert_eq!(split.notes[0].validated, 20, "four are less than a tenth");
    let split = held_out(&takes("none", &[60, 2]), 1);
    assert_eq!(split.folds[0].validation.len(), 12);
    assert!(split.folds[0].train.contains(&60) && split.folds[0].train.contains(&61));
}

#[test]
fn one_frame_is_trained_on_two_are_enough_for_a_validation_and_none_are_no_error() {
    let one = held_out(&takes("none", &[1]), 1);
    assert_eq!(one.folds[0].train, [0]);
    assert_eq!(one.notes[0].how, How::TrainedOnly);
    for counts in [&[2][..], &[1, 1]] {
        let two = held_out(&takes("none", counts), 1);
        assert_eq!((two.folds[0].train.len(), two.folds[0].validation.len()), (1, 1));
    }
    assert_eq!(held_out(&[], 1).folds, [Fold::default()]);
    assert_eq!(k_folds(&[], &[], 5, 1).folds, [Fold::default()]);
}

#[test]
fn there_are_no_more_folds_than_groups() {
    let frames = takes("none", &[3, 3, 3]);
    for (k, folds) in [(0, 2), (2, 2), (3, 3), (5, 3), (usize::MAX, 3)] {
        assert_eq!(k_folds(&frames, &group_frames(&frames), k, 1).folds.len(), folds);
    }
    let single = takes("none", &[1]);
    assert_eq!(k_folds(&single, &group_frames(&single), 5, 1).folds[0].train, [0]);
}

#[test]
fn folds_are_of_like_size() {
    let frames = takes("none", &[9, 8, 7, 6, 5, 5, 4, 2, 2, 2]);
    let split = k_folds(&frames, &group_frames(&frames), 5, 3);
    let sizes: Vec<usize> = split.folds.iter().map(|fold| fold.validation.len()).collect();
    assert!(sizes.iter().all(|size| (9..=11).contains(size)), "{sizes:?}");
    assert_eq!(
        split.notes[0].to_string(),
        "none: 10 takes in 5 folds, each held out in one"
    );
}

#[test]
fn another_seed_gives_another_split() {
    let frames = takes("none", &[2; 30]);
    let split_of = |seed| held_out(&frames, seed).folds;
    assert_eq!(split_of(3), split_of(3));
    assert!((0..5).any(|seed| split_of(seed) != split_of(5)));
}

#[test]
fn the_same_directory_elsewhere_is_split_the_same() {
    let split_under = |root: &std::path::Path| {
        let directory = root.join("none");
        std::fs::create_dir_all(&directory).expect("creates");
        let frames: Vec<FrameFile> = takes("none", &[4; 12])
            .into_iter()
            .map(|frame| {
                let path = directory.join(&frame.name);
                std::fs::write(&path, &frame.name).expect("writes");
                FrameFile::new(&path, frame.label, frame.fingerprint)
            })
            .collect();
        held_out(&frames, 4)
    };
    let (here, there) = (tempfile::tempdir(), tempfile::tempdir());
    let (here, there) = (here.expect("a directory"), there.expect("a directory"));
    assert_eq!(
        split_under(here.path()),
        split_under(&there.path().join("deeper"))
    );
}

/// Of thirty bursts a few may change sides for a new one, to keep the share; not most of them.
#[test]
fn a_new_burst_changes_little() {
    for seed in 0..20 {
        let (before, after) = (takes("none", &[2; 30]), takes("none", &[2; 31]));
        let held = |frames: &[FrameFile]| {
            let fold = held_out(frames, seed).folds.remove(0);
            BTreeSet::from_iter(fold.validation)
        };
        let moved = held(&before).symmetric_difference(&held(&after)).count();
        assert!(moved <= 4, "{moved} of 60 frames changed sides");
    }
}

/// Frames of up to three labels: takes of all sizes, some of which look alike, and names that tell nothing.
fn any_frames() -> impl Strategy<Value = Vec<FrameFile>> {
    let any_frame = (0..3usize, 0..5usize, 0..60u8);
    prop::collection::vec(any_frame, 0..50).prop_map(|frames| {
        let named = frames
            .into_iter()
            .enumerate()
            .map(|(number, (label, take, level))| {
                let label = ["none", "thumbs_down", "thumbs_up"][label];
                let name = match take {
                    0 => format!("{number}-hand.jpg"),
                    1 => format!("20260304T050607.089Z_{number:04}.jpg"),
                    _ => format!("take{take}_{number}.jpg").replace("take", &"x".repeat(take)),
                };
                frame(label, &name, 4 * level)
            });
        named.collect()
    })
}

fn is_whole(part: &[usize], group: &[usize]) -> bool {
    let inside = group.iter().filter(|frame| part.contains(frame)).count();
    inside == 0 || inside == group.len()
}

/// What holds of every fold of every split.
fn check_folds(frames: &[FrameFile], groups: &[LabelGroups], split: &Split) -> Result<(), TestCaseError> {
    for fold in &split.folds {
        let mut all = [&fold.train[..], &fold.validation, &fold.left_out].concat();
        all.sort_unstable();
        prop_assert_eq!(all, Vec::from_iter(0..frames.len()), "every frame in one part");
    }
    for (label, note) in groups.iter().zip(&split.notes) {
        prop_assert_eq!(&label.label, &note.label);
        let cut = matches!(note.how, How::Cut { .. }) as usize;
        for fold in &split.folds {
            let is_split = |group: &&crate::dataset::bursts::Group| {
                !is_whole(&fold.train, &group.frames) || !is_whole(&fold.validation, &group.frames)
            };
            prop_assert!(label.groups.iter().filter(is_split).count() <= cut);
            if !matches!(
                note.how,
                How::Cut {
                    is_guarded: false,
                    ..
                }
            ) {
                check_sides(frames, fold, &label.label)?;
            }
            let trained = |&&frame: &&usize| frames[frame].label == label.label;
            prop_assert!(
                fold.train.iter().any(|frame| trained(&frame)),
                "no label is forgotten"
            );
        }
    }
    Ok(())
}

fn check_sides(frames: &[FrameFile], fold: &Fold, label: &Label) -> Result<(), TestCaseError> {
    for &train in fold.train.iter().filter(|&&frame| frames[frame].label == *label) {
        for &held in fold
            .validation
            .iter()
            .filter(|&&frame| frames[frame].label == *label)
        {
            let is_near = frames[train]
                .fingerprint
                .thumbnail
                .is_near(&frames[held].fingerprint.thumbnail);
            prop_assert!(!is_near, "near-duplicates stand on both sides");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn a_hold_out_keeps_groups_together(frames in any_frames(), seed: u64) {
        let groups = group_frames(&frames);
        let split = hold_out(&frames, &groups, seed);
        prop_assert_eq!(split.folds.len(), 1);
        check_folds(&frames, &groups, &split)?;
        for note in &split.notes {
            let share = note.validated as f64 / note.frames as f64;
            let expected = if note.frames < 2 { 0.0..=0.0 } else { 0.1..=0.5 };
            prop_assert!(expected.contains(&share), "{}", note);
        }
    }

    #[test]
    fn folds_validate_each_frame_once(frames in any_frames(), k in 0..12usize, seed: u64) {
        let groups = group_frames(&frames);
        let split = k_folds(&frames, &groups, k, seed);
        check_folds(&frames, &groups, &split)?;
        let mut validated: Vec<usize> = split.folds.iter().flat_map(|fold| fold.validation.clone()).collect();
        validated.sort_unstable();
        let expected = groups.iter().filter(|label| label.frames() > 1);
        let mut expected: Vec<usize> =
            expected.flat_map(|label| &label.groups).flat_map(|group| group.frames.clone()).collect();
        expected.sort_unstable();
        prop_assert_eq!(validated, expected);
    }

    #[test]
    fn neither_order_nor_other_labels_have_a_say(frames in any_frames(), seed: u64, turn in 0..50usize) {
        let folds = |frames: &[FrameFile]| {
            let groups = group_frames(frames);
            (hold_out(frames, &groups, seed), k_folds(frames, &groups, 4, seed))
        };
        let mut turned: Vec<FrameFile> = frames.iter().rev().cloned().collect();
        turned.rotate_left(turn % frames.len().max(1));
        let ((held, folded), (turned_held, turned_folded)) = (folds(&frames), folds(&turned));
        let pairs = held.folds.iter().zip(&turned_held.folds).chain(folded.folds.iter().zip(&turned_folded.folds));
        for (fold, turned_fold) in pairs {
            prop_assert_eq!(names(&frames, &fold.validation), names(&turned, &turned_fold.validation));
            prop_assert_eq!(names(&frames, &fold.left_out), names(&turned, &turned_fold.left_out));
        }
        let alone: Vec<FrameFile> = frames.iter().filter(|frame| frame.label.as_str() == "none").cloned().collect();
        let (held_alone, _) = folds(&alone);
        let all = names(&frames, &held.folds[0].validation);
        let of_label = all.into_iter().filter(|(label, _)| *label == "none").collect::<BTreeSet<_>>();
        prop_assert_eq!(names(&alone, &held_alone.folds[0].validation), of_label);
    }
}
