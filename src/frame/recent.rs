//! The last frames of a camera, to detect one that repeats them.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use super::Frame;

/// Number of frames that a camera may repeat in turn: a driver that is frozen repeats all of its buffers, usually 2 to 8.
pub const RECENT_FRAMES: usize = 8;
/// Maximum number of rows that are compared. What the camera shows is far higher than the rows between two of them.
const MAX_ROWS: usize = 64;

/// Digests of the last [`RECENT_FRAMES`] frames.
#[derive(Clone, Debug, Default)]
pub struct RecentFrames {
    digests: [Option<u64>; RECENT_FRAMES],
    next: usize,
}

impl RecentFrames {
    /// Adds a frame, and returns whether it has the pixels of one of the last frames: of up to 64 rows at equal distances, from the top
    /// row on, bit for bit.
    pub fn repeats(&mut self, frame: &Frame) -> bool {
        let digest = Some(digest(frame));
        let repeats = self.digests.contains(&digest);
        self.digests[self.next] = digest;
        self.next = (self.next + 1) % RECENT_FRAMES;
        repeats
    }
}

/// The same seed each time, so that a bag always gives the same predictions.
fn digest(frame: &Frame) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    for number in [frame.width, frame.height, u32::from(frame.format as u8)] {
        hasher.write_u32(number);
    }
    let distance = (frame.height as usize).div_ceil(MAX_ROWS);
    frame.rows().step_by(distance).for_each(|row| hasher.write(row));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A gray image of `width` by `height` pixels.
    fn gray(width: u32, height: u32, level: u8) -> Frame {
        let pixels = vec![level; (width * height) as usize];
        Frame::from_raw("mono8", width, height, width, pixels).expect("a valid frame")
    }

    fn is_same(first: &Frame, second: &Frame) -> bool {
        let mut recent = RecentFrames::default();
        assert!(!recent.repeats(first));
        recent.repeats(second)
    }

    #[test]
    fn padding_and_step_are_no_part_of_the_pixels() {
        let frame = |step: u32, padding: u8, last: u8| {
            let mut data = vec![padding; step as usize * 2];
            for row in data.chunks_mut(step as usize) {
                row[..3].copy_from_slice(&[1, 2, last]);
            }
            Frame::from_raw("mono8", 3, 2, step, data).expect("a valid frame")
        };
        assert!(is_same(&frame(3, 0, 7), &frame(5, 9, 7)));
        assert!(!is_same(&frame(3, 0, 7), &frame(3, 0, 6)));
        let other = Frame::from_raw("rgb8", 1, 2, 3, vec![1, 2, 7, 1, 2, 7]).expect("a valid frame");
        assert!(
            !is_same(&frame(3, 0, 7), &other),
            "the same bytes in another layout"
        );
        assert!(!is_same(&gray(4, 6, 0), &gray(6, 4, 0)));
    }

    #[test]
    fn frame_before_the_last_eight_is_forgotten() {
        for (others, expected) in [(RECENT_FRAMES - 1, true), (RECENT_FRAMES, false)] {
            let mut recent = RecentFrames::default();
            recent.repeats(&gray(4, 4, 0));
            for level in 1..=others {
                assert!(!recent.repeats(&gray(4, 4, level as u8)));
            }
            assert_eq!(recent.repeats(&gray(4, 4, 0)), expected);
        }
    }

    proptest! {
        /// One bit of one pixel, in images of any height, where the row is one of those that are compared.
        #[test]
        fn one_bit_makes_another_image(
            (height, row) in (1..300_u32).prop_flat_map(|height| (Just(height), 0..height)),
            column in 0..70_u32,
            bit in 0..8_u32,
        ) {
            let distance = height.div_ceil(MAX_ROWS as u32);
            let mut pixels = vec![17; 70 * height as usize];
            pixels[((row - row % distance) * 70 + column) as usize] ^= 1 << bit;
            let changed = Frame::from_raw("mono8", 70, height, 70, pixels).expect("a valid frame");
            prop_assert!(!is_same(&gray(70, height, 17), &changed));
        }

        /// A driver freezes after any number of frames, and then repeats its last 1 to 8 buffers in turn. The node receives all frames,
        /// or some of them while it is busy.
        #[test]
        fn frozen_driver_repeats_from_the_second_turn_on_and_a_live_one_never(
            live in RECENT_FRAMES..60,
            buffers in 1..=RECENT_FRAMES,
            period in 1..=RECENT_FRAMES,
        ) {
            let mut recent = RecentFrames::default();
            let shown = |index: usize| if index < live { index } else { live - buffers + (index - live) % buffers };
            for index in (0..live + 5 * RECENT_FRAMES * period).step_by(period) {
                let repeats = recent.repeats(&gray(20, 20, shown(index) as u8));
                let is_second_turn = index >= live + buffers * period;
                if index < live {
                    prop_assert!(!repeats);
                } else if period == 1 || is_second_turn {
                    prop_assert!(repeats, "frame {} of {} live ones", index, live);
                }
            }
        }
    }
}
