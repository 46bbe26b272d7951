//! Whether two frames have the same background, whatever a person in front of it does, and at a somewhat different exposure.

use crate::dataset::fingerprint::{PIXELS, Thumbnail};

/// Maximum difference of two pixels that agree, in gray levels.
const TOLERANCE: u8 = 16;
/// Maximum difference in brightness that is taken for a difference in exposure, in gray levels.
const MAX_EXPOSURE: u8 = 48;
/// Minimum number of pixels that agree in two frames with the same background.
///
/// The share of the pixels that agree, measured on 100 webcam photos of one person in one room with a fixed camera, and on 400 drawn scenes:
///
/// | share between | min | 5 % | median | 99 % |
/// |---|---|---|---|---|
/// | two bursts in one room | 0.74 | 0.77 | 0.84 | |
/// | the same, one at 75 or 130 % of the brightness | 0.52 | 0.58 | 0.68 | |
/// | the same, the camera moved by 4 % of the image | | 0.46 | 0.55 | |
/// | two drawn scenes | | | 0.24 | 0.67 |
/// | a drawn scene and a photo | | | | 0.34 |
///
/// The drawn scenes above 0.6 are plain walls, which look alike.
pub(super) const MIN_LIKENESS: usize = PIXELS * 60 / 100;
/// The same for frames that were captured soon after each other, between which the camera was hardly moved.
pub(super) const MIN_LIKENESS_SOON: usize = PIXELS / 2;

/// Minimum number of consecutive frames with one background; fewer show a hand before the lens rather than another place.
pub(super) const MIN_RUN: usize = 3;

/// A frame's thumbnail and its brightness.
pub(super) struct View<'a> {
    thumbnail: &'a Thumbnail,
    median: u8,
}

impl<'a> View<'a> {
    pub(super) fn new(thumbnail: &'a Thumbnail) -> View<'a> {
        let mut levels = thumbnail.levels;
        let (_, median, _) = levels.select_nth_unstable(PIXELS / 2);
        View {
            median: *median,
            thumbnail,
        }
    }

    pub(super) fn is_like(&self, other: &View) -> bool {
        self.likeness(other) >= MIN_LIKENESS
    }

    /// Number of pixels that agree after an adjustment of the exposure: the darker frame is brightened.
    pub(super) fn likeness(&self, other: &View) -> usize {
        const HALF: usize = PIXELS / 2;
        let (dark, bright) = if self.median <= other.median {
            (self, other)
        } else {
            (other, self)
        };
        let exposure = (bright.median - dark.median).min(MAX_EXPOSURE);
        let agree = |(dark, bright): (&u8, &u8)| {
            u8::from(dark.saturating_add(exposure).abs_diff(*bright) <= TOLERANCE)
        };
        let [dark, bright] = [dark, bright].map(|view| view.thumbnail.levels.chunks_exact(HALF));
        // A half fits into a byte, which makes this several times as fast.
        let halves = dark.zip(bright);
        halves
            .map(|(dark, bright)| usize::from(dark.iter().zip(bright).map(agree).sum::<u8>()))
            .sum()
    }
}
