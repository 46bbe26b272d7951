use std::collections::BTreeSet;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::summary::SplitMethod;
use super::*;
use crate::dataset::Label;
use crate::dataset::bursts::{Group, group_frames};
use crate::dataset::fingerprint::{Fingerprint, Thumbnail};

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
    matches!(summary.method, SplitMethod::CutGroup { .. })
}

fn held_out(frames: &[FrameFile], seed: u64) -> Split {
    hold_out(frames, &group_frames(frames), seed)
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
    assert_eq!(k_folds(&[], &[], 5, 1).folds, [Fold::default()]);
}

#[test]
fn number_of_folds_is_limited_by_the_groups() {
    let frames = bursts("none", &[3, 3, 3]);
    for (k, folds) in [(0, 2), (2, 2), (3, 3), (5, 3), (usize::MAX, 3)] {
        assert_eq!(k_folds(&frames, &group_frames(&frames), k, 1).folds.len(), folds);
    }
    let single = bursts("none", &[1]);
    assert_eq!(k_folds(&single, &group_frames(&single), 5, 1).folds[0].train, [0]);
}

#[test]
fn folds_have_similar_sizes() {
    let frames = bursts("none", &[9, 8, 7, 6, 5, 5, 4, 2, 2, 2]);
    let split = k_folds(&frames, &group_frames(&frames), 5, 3);
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

/// Frames of up to three labels in bursts of any size, some of which look alike, with all kinds of names.
fn any_frames() -> impl Strategy<Value = Vec<FrameFile>> {
    let any_frame = (0..3usize, 0..5usize, 0..60u8);
    prop::collection::vec(any_frame, 0..50).prop_map(|frames| {
        let named = frames
            .into_iter()
            .enumerate()
            .map(|(number, (label, kind, level))| {
                let label = ["none", "thumbs_down", "thumbs_up"][label];
                let name = match kind {
                    0 => format!("{number}-hand.jpg"),
                    1 => format!("20260304T050607.089Z_{number:04}.jpg"),
                    _ => format!("{}{kind}_{number}.jpg", "x".repeat(kind)),
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

/// Checks the invariants of every split.
fn check_folds(frames: &[FrameFile], groups: &[LabelGroups], split: &Split) -> Result<(), TestCaseError> {
    for fold in &split.folds {
        let mut all = [&fold.train[..], &fold.validation, &fold.left_out].concat();
        all.sort_unstable();
        prop_assert_eq!(
            all,
            Vec::from_iter(0..frames.len()),
            "every frame is in exactly one list"
        );
    }
    for (label, summary) in groups.iter().zip(&split.summaries) {
        prop_assert_eq!(&label.label, &summary.label);
        let max_split_groups = usize::from(is_cut(summary));
        let has_leakage = matches!(
            summary.method,
            SplitMethod::CutGroup {
                has_leakage: true,
                ..
            }
        );
        for fold in &split.folds {
            let is_split = |group: &&Group| {
                !is_whole(&fold.train, &group.frames) || !is_whole(&fold.validation, &group.frames)
            };
            prop_assert!(label.groups.iter().filter(is_split).count() <= max_split_groups);
            if !has_leakage {
                check_leakage(frames, fold, &label.label)?;
            }
            prop_assert!(
                fold.train.iter().any(|&frame| frames[frame].label == label.label),
                "every label is trained on"
            );
        }
    }
    Ok(())
}

fn check_leakage(frames: &[FrameFile], fold: &Fold, label: &Label) -> Result<(), TestCaseError> {
    for &train in fold.train.iter().filter(|&&frame| frames[frame].label == *label) {
        for &held in fold
            .validation
            .iter()
            .filter(|&&frame| frames[frame].label == *label)
        {
            let [train, held] = [train, held].map(|frame| &frames[frame].fingerprint.thumbnail);
            prop_assert!(!train.is_near_duplicate(held), "near-duplicates on both sides");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn hold_out_keeps_groups_together(frames in any_frames(), seed: u64) {
        let groups = group_frames(&frames);
        let split = hold_out(&frames, &groups, seed);
        prop_assert_eq!(split.folds.len(), 1);
        check_folds(&frames, &groups, &split)?;
        for summary in &split.summaries {
            let share = summary.validated as f64 / summary.frames as f64;
            let expected = if summary.frames < 2 { 0.0..=0.0 } else { 0.1..=0.5 };
            prop_assert!(expected.contains(&share), "{}", summary);
        }
    }

    #[test]
    fn folds_validate_each_frame_once(frames in any_frames(), k in 0..12usize, seed: u64) {
        let groups = group_frames(&frames);
        let split = k_folds(&frames, &groups, k, seed);
        check_folds(&frames, &groups, &split)?;
        let mut validated: Vec<usize> = split.folds.iter().flat_map(|fold| fold.validation.clone()).collect();
        validated.sort_unstable();
        let expected = groups.iter().filter(|label| label.frame_count() > 1);
        let mut expected: Vec<usize> =
            expected.flat_map(|label| &label.groups).flat_map(|group| group.frames.clone()).collect();
        expected.sort_unstable();
        prop_assert_eq!(validated, expected);
    }

    #[test]
    fn split_does_not_depend_on_the_order_or_on_other_labels(frames in any_frames(), seed: u64, turn in 0..50usize) {
        let folds = |frames: &[FrameFile]| {
            let groups = group_frames(frames);
            (hold_out(frames, &groups, seed), k_folds(frames, &groups, 4, seed))
        };
        let mut reordered: Vec<FrameFile> = frames.iter().rev().cloned().collect();
        reordered.rotate_left(turn % frames.len().max(1));
        let ((held, folded), (reordered_held, reordered_folded)) = (folds(&frames), folds(&reordered));
        let pairs = held.folds.iter().zip(&reordered_held.folds).chain(folded.folds.iter().zip(&reordered_folded.folds));
        for (fold, reordered_fold) in pairs {
            prop_assert_eq!(names(&frames, &fold.validation), names(&reordered, &reordered_fold.validation));
            prop_assert_eq!(names(&frames, &fold.left_out), names(&reordered, &reordered_fold.left_out));
        }
        let alone: Vec<FrameFile> = frames.iter().filter(|frame| frame.label.as_str() == "none").cloned().collect();
        let (held_alone, _) = folds(&alone);
        let all = names(&frames, &held.folds[0].validation);
        let of_label = all.into_iter().filter(|(label, _)| *label == "none").collect::<BTreeSet<_>>();
        prop_assert_eq!(names(&alone, &held_alone.folds[0].validation), of_label);
    }
}
