use std::time::Duration;

use super::*;
use crate::dataset::fingerprint::Thumbnail;

/// A frame whose content and appearance are determined by `seed`.
fn frame(label: &str, name: &str, seed: u64) -> FrameFile {
    let mut bits = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let levels = std::array::from_fn(|_| {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (bits >> 56) as u8
    });
    let mut sha256 = [0; 32];
    sha256[..8].copy_from_slice(&seed.to_be_bytes());
    FrameFile {
        label: Label::new(label).expect("a label"),
        directory: label.into(),
        name: name.to_owned(),
        modified: None,
        fingerprint: Fingerprint {
            sha256,
            thumbnail: Thumbnail { levels },
        },
    }
}

fn frames_named(names: &[&str]) -> Vec<FrameFile> {
    let frame_of = |(index, name): (usize, &&str)| frame("none", name, index as u64);
    names.iter().enumerate().map(frame_of).collect()
}

/// Returns the frame indices of each group; `frames` must have a single label.
fn grouped(frames: &[FrameFile]) -> Vec<Vec<usize>> {
    let labels = group_frames(frames);
    assert_eq!(labels.len(), 1);
    let groups = labels.into_iter().flat_map(|label| label.groups);
    groups.map(|group| group.frames).collect()
}

#[test]
fn captured_bursts_are_groups() {
    let frames = frames_named(&[
        "20260304T050607.089Z_0000.jpg",
        "20260304T050609.000Z_0001.jpg",
        "20260304T050607.089Z_0001.jpg",
        "20260304T050609.000Z_0000.jpg",
    ]);
    assert_eq!(grouped(&frames), [vec![0, 2], vec![3, 1]]);
}

#[test]
fn bursts_of_a_single_frame_are_grouped_at_pauses() {
    let frames = frames_named(&[
        "20260304T050600.000Z_0000.jpg",
        "20260304T050603.000Z_0000.jpg",
        "20260304T050605.000Z_0000.jpg",
        "20260304T050650.000Z_0000.jpg",
    ]);
    assert_eq!(grouped(&frames), [vec![0, 1, 2], vec![3]]);
}

#[test]
fn frames_of_different_directories_are_of_different_bursts() {
    let mut frames = frames_named(&["a_1.jpg", "a_2.jpg", "a_3.jpg", "a_4.jpg"]);
    for frame in &mut frames[2..] {
        frame.directory = "none/session2".into();
    }
    assert_eq!(grouped(&frames), [vec![0, 1], vec![2, 3]]);
    // Frames that look alike are held out together, wherever they are.
    frames[3].fingerprint = frames[0].fingerprint.clone();
    assert_eq!(grouped(&frames), [vec![0, 1, 2, 3]]);
}

/// The least significant part of the time comes first in a UUID, so names do not sort by time.
#[test]
fn jetbot_frames_are_grouped_by_the_time_in_their_names() {
    let uuid = |second: u64| {
        let ticks = 0x1EA_0B1E_9A1C_0F3E + second * 10_000_000;
        let (low, middle, high) = (ticks as u32, (ticks >> 32) as u16, ticks >> 48);
        format!("{low:08x}-{middle:04x}-1{high:03x}-8f4c-16f63a1aa8c9.jpg")
    };
    let names = [0, 1, 2, 300, 301, 310, 321].map(uuid);
    let frames = frames_named(&names.each_ref().map(|name| name.as_str()));
    assert_eq!(grouped(&frames), [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
}

#[test]
fn numbered_files_are_grouped_by_prefix_in_the_order_of_their_numbers() {
    let frames = frames_named(&["a_10.jpg", "a_9.jpg", "b1.png", "b2.jpg", "a_1.jpg"]);
    assert_eq!(grouped(&frames), [vec![4, 1, 0], vec![2, 3]]);
    let labels = group_frames(&frames);
    let reasons: Vec<GroupedBy> = labels[0].groups.iter().map(|group| group.grouped_by).collect();
    assert_eq!(reasons, [GroupedBy::NumberedName, GroupedBy::NumberedName]);
}

fn with_modification_times(mut frames: Vec<FrameFile>, seconds: &[f64]) -> Vec<FrameFile> {
    for (frame, &seconds) in frames.iter_mut().zip(seconds) {
        frame.modified = Some(UNIX_EPOCH + Duration::from_secs_f64(seconds));
    }
    frames
}

#[test]
fn files_with_other_names_are_grouped_by_modification_time() {
    let frames = with_modification_times(
        frames_named(&["hand.jpg", "left.jpg", "mine.jpg", "you.jpg"]),
        &[1e9, 1e9 + 2.0, 2e9, 2e9 + 1.0],
    );
    assert_eq!(grouped(&frames), [[0, 1], [2, 3]]);
}

#[test]
fn modification_times_of_copied_files_are_ignored() {
    let frames = with_modification_times(
        frames_named(&["hand.jpg", "left.jpg", "mine.jpg", "you.jpg", "zoe.jpg"]),
        &[1e9, 1e9 + 0.1, 1e9 + 0.2, 1e9 + 0.9, 1e9 + 1.1],
    );
    assert_eq!(grouped(&frames).len(), 5);
}

#[test]
fn near_duplicates_merge_groups_of_the_same_label_only() {
    let mut frames = frames_named(&["a_1.jpg", "a_2.jpg", "b_1.jpg", "b_2.jpg", "c_1.jpg", "c_2.jpg"]);
    let mut similar = frames[0].fingerprint.clone();
    similar.thumbnail.levels = similar.thumbnail.levels.map(|level| level.saturating_add(2));
    frames[5].fingerprint = similar;
    assert_eq!(grouped(&frames), [vec![0, 1, 4, 5], vec![2, 3]]);
    assert_eq!(group_frames(&frames)[0].groups[0].merged_count, 2);

    frames[5].label = Label::new("thumbs_up").expect("a label");
    let labels = group_frames(&frames);
    assert_eq!(
        labels.iter().map(|label| label.frame_count()).collect::<Vec<_>>(),
        [5, 1]
    );
}

#[test]
fn groups_do_not_depend_on_the_order_of_the_frames() {
    let names = ["a_2.jpg", "b.jpg", "a_1.jpg", "20260304T050607.089Z_0000.jpg"];
    let frames = frames_named(&names);
    let reversed: Vec<FrameFile> = frames.iter().rev().cloned().collect();
    let regrouped = grouped(&reversed)
        .into_iter()
        .map(|group| group.into_iter().map(|index| 3 - index).collect());
    assert_eq!(regrouped.collect::<Vec<Vec<usize>>>(), grouped(&frames));
}

#[test]
fn same_file_under_two_labels_is_a_conflict() {
    let frames = [
        frame("none", "a.jpg", 1),
        frame("none", "b.jpg", 1),
        frame("thumbs_up", "c.jpg", 2),
        frame("thumbs_up", "d.jpg", 1),
    ];
    assert_eq!(conflicts(&frames), [Conflict { frames: [0, 3] }]);
}

#[test]
fn without_frames_there_are_no_groups_and_no_conflicts() {
    assert!(group_frames(&[]).is_empty());
    assert!(conflicts(&[]).is_empty());
}
