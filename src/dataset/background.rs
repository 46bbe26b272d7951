//! Whether frames have the same background, whatever a person in front of it does, and at a somewhat different exposure.

use crate::dataset::fingerprint::{PIXELS, Thumbnail};

/// Maximum difference of two pixels that agree, in gray levels.
const TOLERANCE: u8 = 16;
/// Maximum difference in brightness that is taken for a difference in exposure, in gray levels.
const MAX_EXPOSURE: u8 = 32;
/// Minimum number of pixels that agree in two views of one background.
///
/// The share of the pixels that agree, measured on 100 webcam photos of one person in one room with a fixed camera, and on drawn rooms in
/// which the hand hides up to half of the image:
///
/// | share between | min | 5 % | median | 90 % |
/// |---|---|---|---|---|
/// | photos of two bursts | 0.74 | 0.77 | 0.84 | |
/// | the same, one at 75 or 130 % of the brightness | 0.45 | 0.56 | 0.65 | |
/// | the same, the camera moved by 4 % of the image | | 0.52 | 0.58 | |
/// | backgrounds of two bursts of nine frames in one drawn room | 0.63 | | 0.79 | |
/// | two drawn rooms | | | 0.22 | 0.46 |
/// | a drawn room and a photo | | | | 0.34 |
///
/// Plain walls look alike in any two rooms.
pub(super) const MIN_LIKENESS: usize = PIXELS * 55 / 100;
/// The same for bursts that were captured soon after each other, between which the camera was hardly moved.
pub(super) const MIN_LIKENESS_SOON: usize = PIXELS / 2;
/// Minimum mean likeness of the frames of a burst if the camera stood still. In drawn rooms it is at least 0.50, and of nine frames of
/// different rooms at most 0.39.
pub(super) const MIN_STILL: usize = PIXELS * 45 / 100;
/// Minimum number of consecutive frames with one background; fewer show a hand before the lens rather than another place.
pub(super) const MIN_RUN: usize = 3;

/// A thumbnail and its brightness.
pub(super) struct View {
    levels: [u8; PIXELS],
    median: u8,
}

impl View {
    pub(super) fn new(thumbnail: &Thumbnail) -> View {
        View::from_levels(thumbnail.levels)
    }

    /// What most of the views show at each pixel; an even number of views counts without the last one. There must be one at least.
    pub(super) fn background(views: &[View]) -> View {
        let odd = (views.len() - 1) / 2 * 2 + 1;
        let level = |pixel: usize| {
            let mut levels: Vec<u8> = views[..odd].iter().map(|view| view.levels[pixel]).collect();
            *levels.select_nth_unstable(odd / 2).1
        };
        View::from_levels(std::array::from_fn(level))
    }

    fn from_levels(levels: [u8; PIXELS]) -> View {
        let mut sorted = levels;
        let (_, median, _) = sorted.select_nth_unstable(PIXELS / 2);
        View {
            median: *median,
            levels,
        }
    }

    pub(super) fn is_like(&self, other: &View) -> bool {
        self.likeness(other) >= MIN_LIKENESS
    }

    /// Number of pixels that agree as they are, or after the darker view was brightened.
    pub(super) fn likeness(&self, other: &View) -> usize {
        let (dark, bright) = if self.median <= other.median {
            (self, other)
        } else {
            (other, self)
        };
        let exposure = (bright.median - dark.median).min(MAX_EXPOSURE);
        let brightened = agreeing(&dark.levels, &bright.levels, exposure);
        brightened.max(agreeing(&dark.levels, &bright.levels, 0))
    }
}

fn agreeing(dark: &[u8; PIXELS], bright: &[u8; PIXELS], exposure: u8) -> usize {
    const HALF: usize = PIXELS / 2;
    let agree =
        |(dark, bright): (&u8, &u8)| u8::from(dark.saturating_add(exposure).abs_diff(*bright) <= TOLERANCE);
    // The count of a half fits into a byte, which makes this several times as fast.
    let halves = dark.chunks_exact(HALF).zip(bright.chunks_exact(HALF));
    halves
        .map(|(dark, bright)| usize::from(dark.iter().zip(bright).map(agree).sum::<u8>()))
        .sum()
}
