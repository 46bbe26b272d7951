use std::time::Duration;

use super::*;
use crate::dataset::fingerprint::Thumbnail;

/// A frame that looks like no other of another `look`.
fn frame(label: &str, name: &str, look: u64) -> FrameFile {
    let mut bits = look.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let levels = std::array::from_fn(|_| {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (bits >> 56) as u8
    });
    let mut sha256 = [0; 32];
    sha256[..8].copy_from_slice(&look.to_be_bytes());
    FrameFile {
        label: Label::new(label).expect("a label"),
        name: name.to_owned(),
        modified: None,
        fingerprint: Fingerprint {
            sha256,
            thumbnail: Thumbnail { levels },
        },
    }
}

fn frames_named(names: &[&str]) -> Vec<FrameFile> {
    let frame_of = |(look, name): (usize, &&str)| frame("none", name, look as u64);
    names.iter().enumerate().map(frame_of).collect()
}

/// The indices in each group of a single label.
fn grouped(frames: &[FrameFile]) -> Vec<Vec<usize>> {
    let labels = group_frames(frames);
    assert_eq!(labels.len(), 1);
    let groups = labels.into_iter().flat_map(|label| label.groups);
    groups.map(|group| group.frames).collect()
}

#[test]
fn our_own_bursts_are_groups() {
    let frames = frames_named(&[
        "20260304T050607.089Z_0000.jpg",
        "20260304T050609.000Z_0001.jpg",
        "20260304T050607.089Z_0001.jpg",
        "20260304T050609.000Z_0000.jpg",
    ]);
    assert_eq!(grouped(&frames), [vec![0, 2], vec![3, 1]]);
}

#[test]
fn bursts_of_a_single_frame_are_grouped_like_clicks() {
    let frames = frames_named(&[
        "20260304T050600.000Z_0000.jpg",
        "20260304T050603.000Z_0000.jpg",
        "20260304T050605.000Z_0000.jpg",
        "20260304T050650.000Z_0000.jpg",
    ]);
    assert_eq!(grouped(&frames), [vec![0, 1, 2], vec![3]]);
}

/// The least significant part of the time stands first in a UUID: their order is not that of their names.
#[test]
fn jetbot_s_frames_are_grouped_by_the_time_in_their_names() {
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
fn a_take_is_what_stands_before_the_number_in_the_order_of_the_numbers() {
    let frames = frames_named(&["a_10.jpg", "a_9.jpg", "b1.png", "b2.jpg", "a_1.jpg"]);
    assert_eq!(grouped(&frames), [vec![4, 1, 0], vec![2, 3]]);
    let origins: Vec<Origin> = group_frames(&frames)[0].groups.iter().map(|g| g.origin).collect();
    assert_eq!(origins, [Origin::Take, Origin::Take]);
}

fn with_times(mut frames: Vec<FrameFile>, seconds: &[f64]) -> Vec<FrameFile> {
    for (frame, &seconds) in frames.iter_mut().zip(seconds) {
        frame.modified = Some(UNIX_EPOCH + Duration::from_secs_f64(seconds));
    }
    frames
}

#[test]
fn times_of_files_tell_where_names_do_not() {
    let frames = with_times(
        frames_named(&["hand.jpg", "left.jpg", "mine.jpg", "you.jpg"]),
        &[1e9, 1e9 + 2.0, 2e9, 2e9 + 1.0],
    );
    assert_eq!(grouped(&frames), [[0, 1], [2, 3]]);
}

#[test]
fn times_of_a_copy_tell_nothing() {
    let frames = with_times(
        frames_named(&["hand.jpg", "left.jpg", "mine.jpg", "you.jpg", "zoe.jpg"]),
        &[1e9, 1e9 + 0.1, 1e9 + 0.2, 1e9 + 0.9, 1e9 + 1.1],
    );
    assert_eq!(grouped(&frames).len(), 5);
}

#[test]
fn near_duplicates_join_their_groups_within_a_label_only() {
    let mut frames = frames_named(&["a_1.jpg", "a_2.jpg", "b_1.jpg", "b_2.jpg", "c_1.jpg", "c_2.jpg"]);
    let mut like = frames[0].fingerprint.clone();
    like.thumbnail.levels = like.thumbnail.levels.map(|level| level.saturating_add(2));
    frames[5].fingerprint = like.clone();
    assert_eq!(grouped(&frames), [vec![0, 1, 4, 5], vec![2, 3]]);
    assert_eq!(group_frames(&frames)[0].groups[0].joined, 2);

    frames[5].label = Label::new("thumbs_up").expect("a label");
    let labels = group_frames(&frames);
    assert_eq!(
        labels.iter().map(|label| label.frames()).collect::<Vec<_>>(),
        [5, 1]
    );
}

#[test]
fn the_order_of_the_frames_makes_no_difference() {
    let names = ["a_2.jpg", "b.jpg", "a_1.jpg", "20260304T050607.089Z_0000.jpg"];
    let frames = frames_named(&names);
    let reversed: Vec<FrameFile> = frames.iter().rev().cloned().collect();
    let turned = grouped(&reversed)
        .into_iter()
        .map(|group| group.into_iter().map(|index| 3 - index).collect());
    assert_eq!(turned.collect::<Vec<Vec<usize>>>(), grouped(&frames));
}

#[test]
fn one_file_under_two_labels_is_a_conflict() {
    let frames = [
        frame("none", "a.jpg", 1),
        frame("none", "b.jpg", 1),
        frame("thumbs_up", "c.jpg", 2),
        frame("thumbs_up", "d.jpg", 1),
    ];
    assert_eq!(conflicts(&frames), [Conflict { frames: [0, 3] }]);
}

#[test]
fn no_frames_are_no_groups() {
    assert!(group_frames(&[]).is_empty());
    assert!(conflicts(&[]).is_empty());
}
