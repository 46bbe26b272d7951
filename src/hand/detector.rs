//! Palms from the outputs of the palm detector.

use std::cmp::Ordering;

use super::geometry::{Similarity, intersection_over_union};

/// Width and height of the detector's input, in pixels.
pub(super) const PALM_SIDE: usize = 192;
/// Number of anchors.
pub(super) const ANCHORS: usize = 2016;
/// Values of an anchor in the output `boxes`: center and size of the box, then seven points.
pub(super) const BOX_VALUES: usize = 18;
/// Width of a cell of a grid of anchors in pixels, and anchors per cell, in the order of the outputs.
const GRIDS: [(usize, usize); 2] = [(8, 2), (16, 6)];
/// Palms that overlap more than this are one palm.
const MAX_OVERLAP: f32 = 0.3;

/// A palm in a frame; coordinates are in pixels of the frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Palm {
    /// Probability.
    pub(super) score: f32,
    /// The upper left corner of the palm's box.
    pub(super) min: [f32; 2],
    /// The lower right corner.
    pub(super) max: [f32; 2],
    pub(super) wrist: [f32; 2],
    pub(super) middle_knuckle: [f32; 2],
}

/// The centers of the anchors in the detector's input, in pixels.
pub(super) fn anchors() -> Vec<[f32; 2]> {
    let grid = |(stride, per_cell): (usize, usize)| {
        let cells = PALM_SIDE / stride;
        (0..cells * cells).flat_map(move |cell| {
            let center = |index: usize| (index as f32 + 0.5) * stride as f32;
            std::iter::repeat_n([center(cell % cells), center(cell / cells)], per_cell)
        })
    };
    GRIDS.into_iter().flat_map(grid).collect()
}

/// The palms with a score of at least `min_score`; the same palm may occur several times.
///
/// `scores` are logits; the values of `boxes` are relative to the anchors, in pixels of the input that `to_frame` maps to the frame.
pub(super) fn decode(
    anchors: &[[f32; 2]],
    boxes: &[f32],
    scores: &[f32],
    to_frame: &Similarity,
    min_score: f32,
) -> Vec<Palm> {
    let candidates = anchors.iter().zip(boxes.chunks_exact(BOX_VALUES)).zip(scores);
    candidates
        .filter_map(|((anchor, values), logit)| {
            let score = 1.0 / (1.0 + (-logit).exp());
            let point = |index: usize, offset: [f32; 2]| {
                let [x, y] = [values[2 * index], values[2 * index + 1]];
                to_frame.apply([anchor[0] + x + offset[0], anchor[1] + y + offset[1]])
            };
            let half = [values[2] / 2.0, values[3] / 2.0];
            (score >= min_score).then(|| Palm {
                score,
                min: point(0, [-half[0], -half[1]]),
                max: point(0, half),
                wrist: point(2, [0.0; 2]),
                middle_knuckle: point(4, [0.0; 2]),
            })
        })
        .collect()
}

/// Joins palms that overlap into one, the average weighted by their scores, with the highest score. The surest palm is the first.
pub(super) fn join_overlapping(mut palms: Vec<Palm>) -> Vec<Palm> {
    palms.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal));
    let mut joined = Vec::new();
    while !palms.is_empty() {
        let best = palms.remove(0);
        let is_same =
            |palm: &Palm| intersection_over_union([palm.min, palm.max], [best.min, best.max]) > MAX_OVERLAP;
        let (mut same, others): (Vec<Palm>, Vec<Palm>) = palms.into_iter().partition(is_same);
        same.push(best);
        joined.push(average(&same, best.score));
        palms = others;
    }
    joined
}

fn average(palms: &[Palm], score: f32) -> Palm {
    let total: f32 = palms.iter().map(|palm| palm.score).sum();
    let mean = |point: fn(&Palm) -> [f32; 2]| {
        let weighted = |axis: usize| {
            palms
                .iter()
                .map(|palm| palm.score * point(palm)[axis])
                .sum::<f32>()
        };
        [weighted(0) / total, weighted(1) / total]
    };
    Palm {
        score,
        min: mean(|palm| palm.min),
        max: mean(|palm| palm.max),
        wrist: mean(|palm| palm.wrist),
        middle_knuckle: mean(|palm| palm.middle_knuckle),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn palm(score: f32, x: f32) -> Palm {
        Palm {
            score,
            min: [x, 0.0],
            max: [x + 10.0, 10.0],
            wrist: [x + 5.0, 10.0],
            middle_knuckle: [x + 5.0, 0.0],
        }
    }

    #[test]
    fn anchors_are_those_of_mediapipe() {
        let anchors = anchors();
        assert_eq!(anchors.len(), ANCHORS);
        assert_eq!(anchors[..3], [[4.0, 4.0], [4.0, 4.0], [12.0, 4.0]]);
        assert_eq!(anchors[1151], [188.0, 188.0]);
        assert_eq!(
            anchors[1152..1159],
            [[8.0; 2]; 6].into_iter().chain([[24.0, 8.0]]).collect::<Vec<_>>()
        );
        assert_eq!(anchors[2015], [184.0, 184.0]);
    }

    #[test]
    fn boxes_are_relative_to_their_anchors() {
        let mut boxes = vec![0.0; 2 * BOX_VALUES];
        // Center, size, wrist (the first point), middle knuckle (the third).
        boxes[BOX_VALUES..BOX_VALUES + 10]
            .copy_from_slice(&[1.0, 2.0, 8.0, 4.0, 0.0, 5.0, 9.0, 9.0, 0.0, -5.0]);
        let to_frame = Similarity {
            x_axis: [2.0, 0.0],
            origin: [100.0, 0.0],
        };
        let found = decode(&[[4.0, 4.0], [12.0, 4.0]], &boxes, &[-3.0, 3.0], &to_frame, 0.5);
        let expected = Palm {
            score: 1.0 / (1.0 + (-3.0f32).exp()),
            min: [118.0, 8.0],
            max: [134.0, 16.0],
            wrist: [124.0, 18.0],
            middle_knuckle: [124.0, -2.0],
        };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn overlapping_palms_are_averaged_by_their_scores() {
        let joined = join_overlapping(vec![palm(0.25, 4.0), palm(0.5, 50.0), palm(0.75, 0.0)]);
        assert_eq!(joined.len(), 2);
        assert_eq!(joined[0].score, 0.75);
        assert_eq!(joined[0].min, [1.0, 0.0]);
        assert_eq!(joined[1], palm(0.5, 50.0));
    }

    #[test]
    fn empty_box_is_kept_as_it_is() {
        let empty = Palm {
            max: [0.0; 2],
            min: [0.0; 2],
            ..palm(0.9, 0.0)
        };
        assert_eq!(join_overlapping(vec![empty]), [empty]);
    }
}
