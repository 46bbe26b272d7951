//! Invariants of every split.

use proptest::prelude::*;

use super::*;

/// Frames of up to three labels in up to four rooms, in bursts of any size, some of which look alike, with all kinds of names.
fn any_frames() -> impl Strategy<Value = Vec<FrameFile>> {
    let any_frame = (0..3usize, 0..5usize, 0..4u8);
    prop::collection::vec(any_frame, 0..50).prop_map(|frames| {
        let named = frames
            .into_iter()
            .enumerate()
            .map(|(number, (label, kind, room))| {
                let name = match kind {
                    0 => format!("{number}-hand.jpg"),
                    1 => format!("2026030{room}T050607.089Z_{number:04}.jpg"),
                    _ => format!("{}{kind}_{number}.jpg", "x".repeat(kind)),
                };
                frame_in(room, LABELS[label], &name)
            });
        named.collect()
    })
}

/// Checks the invariants of every split.
fn check_folds(frames: &[FrameFile], split: &Split) -> Result<(), TestCaseError> {
    let groups = group_frames(frames);
    let scenes = find_scenes(frames, &groups);
    for fold in &split.folds {
        let mut all = [&fold.train[..], &fold.validation, &fold.left_out].concat();
        all.sort_unstable();
        prop_assert_eq!(
            all,
            Vec::from_iter(0..frames.len()),
            "every frame is in exactly one list"
        );
        for scene in &scenes {
            let labels_in = |part: &[usize]| -> BTreeSet<&str> {
                let here = part.iter().filter(|frame| scene.frames.contains(frame));
                here.map(|&frame| frames[frame].label.as_str()).collect()
            };
            let (trained, held_out) = (labels_in(&fold.train), labels_in(&fold.validation));
            prop_assert!(
                trained.is_empty() || labels_in(&scene.frames).len() == 1 || held_out.is_subset(&trained),
                "{:?} held out, only {:?} of the scene trained on",
                held_out,
                trained
            );
        }
    }
    for fold in &split.folds {
        let is_trained =
            |label: &LabelGroups| fold.train.iter().any(|&frame| frames[frame].label == label.label);
        prop_assert!(groups.iter().all(is_trained), "every label is trained on");
    }
    for (label, summary) in groups.iter().zip(&split.summaries) {
        prop_assert_eq!(&label.label, &summary.label);
        let (max_split_groups, has_leakage) = match summary.method {
            SplitMethod::CutGroups {
                groups, has_leakage, ..
            } => (groups, has_leakage),
            _ => (0, false),
        };
        for fold in &split.folds {
            let is_split = |group: &&Group| {
                !is_whole(&fold.train, &group.frames) || !is_whole(&fold.validation, &group.frames)
            };
            prop_assert!(label.groups.iter().filter(is_split).count() <= max_split_groups);
            if !has_leakage {
                check_leakage(frames, fold, &label.label)?;
            }
        }
    }
    Ok(())
}

fn check_leakage(frames: &[FrameFile], fold: &Fold, label: &Label) -> Result<(), TestCaseError> {
    let of_label = |part: &[usize]| -> Vec<usize> {
        let frames = part.iter().filter(|&&frame| frames[frame].label == *label);
        frames.copied().collect()
    };
    for train in of_label(&fold.train) {
        for held in of_label(&fold.validation) {
            let [train, held] = [train, held].map(|frame| &frames[frame].fingerprint.thumbnail);
            prop_assert!(!train.is_near_duplicate(held), "near-duplicates on both sides");
        }
    }
    Ok(())
}

/// The frames that a split validates on, each as often as it does.
fn validated(split: &Split) -> Vec<usize> {
    let mut validated: Vec<usize> = split
        .folds
        .iter()
        .flat_map(|fold| fold.validation.clone())
        .collect();
    validated.sort_unstable();
    validated
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn hold_out_keeps_groups_together(frames in any_frames(), seed: u64) {
        let split = held_out(&frames, seed);
        prop_assert_eq!(split.folds.len(), 1);
        check_folds(&frames, &split)?;
        for summary in &split.summaries {
            let share = summary.validated as f64 / summary.frames as f64;
            prop_assert!(share < 1.0, "{}", summary);
        }
    }

    #[test]
    fn folds_validate_no_frame_twice(frames in any_frames(), k in 0..12usize, seed: u64) {
        let split = folded(&frames, k, seed);
        check_folds(&frames, &split)?;
        let validated = validated(&split);
        prop_assert!(validated.windows(2).all(|pair| pair[0] != pair[1]));
        // Only frames that are the single ones of their label in a scene are trained on in every fold.
        let groups = group_frames(&frames);
        let scenes = find_scenes(&frames, &groups);
        for frame in (0..frames.len()).filter(|frame| validated.binary_search(frame).is_err()) {
            let scene = scenes.iter().find(|scene| scene.frames.contains(&frame)).expect("a scene");
            let same_label = |other: &&usize| frames[**other].label == frames[frame].label;
            let in_scene = scene.frames.iter().filter(same_label).count();
            prop_assert_eq!(in_scene, 1, "{} of its label in the scene", in_scene);
        }
    }

    #[test]
    fn split_does_not_depend_on_the_order(frames in any_frames(), seed: u64, turn in 0..50usize) {
        let folds = |frames: &[FrameFile]| {
            let groups = group_frames(frames);
            let scenes = find_scenes(frames, &groups);
            let folds = [held_out(frames, seed).folds, folded(frames, 4, seed).folds, hold_out_scenes(frames, &scenes)];
            folds.concat()
        };
        let mut reordered: Vec<FrameFile> = frames.iter().rev().cloned().collect();
        reordered.rotate_left(turn % frames.len().max(1));
        let (found, found_reordered) = (folds(&frames), folds(&reordered));
        prop_assert_eq!(found.len(), found_reordered.len());
        for (fold, other) in found.iter().zip(&found_reordered) {
            prop_assert_eq!(names(&frames, &fold.validation), names(&reordered, &other.validation));
            prop_assert_eq!(names(&frames, &fold.left_out), names(&reordered, &other.left_out));
        }
    }
}
