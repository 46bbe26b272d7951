use std::time::{Duration, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::*;
use crate::dataset::Label;
use crate::dataset::bursts::group_frames;
use crate::dataset::fingerprint::{Fingerprint, PIXELS, Thumbnail};

/// A frame with the pattern of a room, of which the first `hidden` pixels show something else.
fn frame(label: &str, name: &str, room: u64, hidden: usize) -> FrameFile {
    let noise = |seed: u64, pixel: usize| {
        let mixed = (seed << 32 | pixel as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed.wrapping_mul(mixed >> 29 | 1) >> 56) as u8
    };
    let sha256: [u8; 32] = Sha256::digest(format!("{label}/{name}")).into();
    let person = u64::from(sha256[0]) + 1000;
    let level = |pixel: usize| {
        if pixel < hidden {
            noise(person, pixel)
        } else {
            noise(room, pixel)
        }
    };
    FrameFile {
        label: Label::new(label).expect("a label"),
        directory: label.into(),
        name: name.to_owned(),
        modified: None,
        fingerprint: Fingerprint {
            sha256,
            thumbnail: Thumbnail {
                levels: std::array::from_fn(level),
            },
        },
    }
}

fn burst(label: &str, prefix: &str, rooms: impl IntoIterator<Item = u64>) -> Vec<FrameFile> {
    let frame_of = |(number, room)| frame(label, &format!("{prefix}_{number:04}.jpg"), room, PIXELS / 4);
    rooms.into_iter().enumerate().map(frame_of).collect()
}

/// The scenes as lists of frame indices, each sorted, and the lists too.
fn found(frames: &[FrameFile]) -> Vec<Vec<usize>> {
    let scenes = find_scenes(frames, &group_frames(frames)).into_iter();
    let mut scenes: Vec<Vec<usize>> = scenes
        .map(|mut scene| {
            scene.frames.sort_unstable();
            scene.frames
        })
        .collect();
    scenes.sort();
    scenes
}

#[test]
fn bursts_of_all_labels_before_one_background_are_one_scene() {
    let frames = [
        burst("none", "a", [1; 5]),
        burst("none", "b", [2; 5]),
        burst("thumbs_up", "c", [2; 5]),
        burst("thumbs_up", "d", [1; 5]),
    ]
    .concat();
    let both = |first: usize, second: usize| Vec::from_iter((first..first + 5).chain(second..second + 5));
    assert_eq!(found(&frames), [both(0, 15), both(5, 10)]);
}

#[test]
fn scene_is_found_again_at_another_exposure() {
    let mut frames = [burst("none", "a", [1; 4]), burst("thumbs_up", "b", [1; 4])].concat();
    for frame in &mut frames {
        let levels = &mut frame.fingerprint.thumbnail.levels;
        *levels = levels.map(|level| 40 + level / 2);
    }
    for frame in &mut frames[4..] {
        let levels = &mut frame.fingerprint.thumbnail.levels;
        *levels = levels.map(|level| level + 30);
    }
    assert_eq!(found(&frames).len(), 1);
}

/// The numbers of a series may go on from one room to the next.
#[test]
fn series_of_numbered_frames_is_cut_where_the_room_changes() {
    let rooms = [[1; 6], [2; 6], [3; 6]].concat();
    let frames = [
        burst("none", "frame", rooms.clone()),
        burst("thumbs_up", "frame", rooms),
    ]
    .concat();
    let scenes = found(&frames);
    assert_eq!(scenes.len(), 3);
    assert_eq!(scenes[0], Vec::from_iter((0..6).chain(18..24)));
}

#[test]
fn hand_before_the_lens_does_not_cut_a_series() {
    let mut frames = burst("none", "frame", [1; 12]);
    frames[5] = frame("none", "frame_0005.jpg", 1, PIXELS);
    frames[6] = frame("none", "frame_0006.jpg", 1, PIXELS);
    assert_eq!(found(&frames), [Vec::from_iter(0..12)]);
}

#[test]
fn frames_of_a_moving_camera_are_one_scene() {
    let frames = [burst("none", "drive", 0..40), burst("thumbs_up", "drive", 40..80)].concat();
    assert_eq!(found(&frames).len(), 1);
}

#[test]
fn drives_at_different_times_are_different_scenes() {
    let drive = |label: &str, minute: u64, views: std::ops::Range<u64>| {
        burst(label, &format!("20260304T05{minute:02}00.000Z"), views)
    };
    let frames = [
        drive("none", 1, 0..8),
        drive("thumbs_up", 5, 10..18),
        drive("none", 40, 20..28),
        drive("thumbs_up", 45, 30..38),
    ]
    .concat();
    assert_eq!(found(&frames).len(), 2);
}

/// A clock without battery starts at zero: such times do not connect the drives, nor separate them.
#[test]
fn times_of_a_clock_that_was_never_set_are_ignored() {
    let mut frames = Vec::new();
    for (number, seconds) in [0, 3, 5, 100_000, 100_002, 100_007].into_iter().enumerate() {
        let mut frame = frame("none", &format!("{number}-hand.jpg"), number as u64 / 3, 0);
        frame.modified = Some(UNIX_EPOCH + Duration::from_secs(seconds));
        frames.push(frame);
    }
    let scenes = find_scenes(&frames, &group_frames(&frames));
    assert_eq!(scenes.len(), 2);
    assert!(
        scenes.iter().all(|scene| scene.captured_ms.is_none()),
        "{scenes:?}"
    );
}

#[test]
fn few_frames_that_show_something_else_belong_to_the_nearest_scene() {
    let mut frames = [burst("none", "a", [1; 8]), burst("thumbs_up", "b", [1; 8])].concat();
    frames.push(frame("none", "left.jpg", 7, 0));
    assert_eq!(found(&frames), [Vec::from_iter(0..17)]);
}

#[test]
fn frames_that_all_differ_are_scenes_of_their_own() {
    let single = |room: u64| {
        frame(
            ["none", "thumbs_up"][room as usize % 2],
            &format!("{room}-x.jpg"),
            room,
            0,
        )
    };
    let frames: Vec<FrameFile> = (0..20).map(single).collect();
    assert_eq!(found(&frames).len(), 20);
    assert_eq!(found(&frames[..1]), [[0]]);
    assert!(found(&[]).is_empty());
}
