//! The parts of a frame that are searched for hands.

use super::geometry::Similarity;

/// A square part of a frame, in pixels; it may extend beyond the frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tile {
    pub(super) origin: [f32; 2],
    pub(super) side_px: f32,
}

impl Tile {
    /// The smallest square with the whole frame in its center.
    pub(super) fn whole(width: u32, height: u32) -> Tile {
        let (width, height) = (width as f32, height as f32);
        let side_px = width.max(height);
        Tile {
            origin: [(width - side_px) / 2.0, (height - side_px) / 2.0],
            side_px,
        }
    }

    /// The whole frame at half the size, for hands that almost fill it.
    pub(super) fn zoomed_out(width: u32, height: u32) -> Tile {
        let Tile { origin, side_px } = Tile::whole(width, height);
        Tile {
            origin: origin.map(|start| start - side_px / 2.0),
            side_px: 2.0 * side_px,
        }
    }

    /// Maps the pixels of an image of this tile, `side` wide and high, to the frame.
    pub(super) fn to_frame(self, side: usize) -> Similarity {
        Similarity {
            x_axis: [self.side_px / side as f32, 0.0],
            origin: self.origin,
        }
    }
}

/// Squares that cover a frame, with a side of the frame's shorter side divided by `divisor`. Neighbors overlap by at least half, so that a
/// hand of up to half a tile is whole in one of them.
pub(super) fn tiles(width: u32, height: u32, divisor: f32) -> impl Iterator<Item = Tile> {
    let side_px = (width.min(height) as f32 / divisor).round();
    let columns = starts(width as f32, side_px);
    starts(height as f32, side_px).flat_map(move |y| {
        columns.clone().map(move |x| Tile {
            origin: [x, y],
            side_px,
        })
    })
}

/// Where tiles start along an axis of that length.
fn starts(length: f32, side_px: f32) -> impl Iterator<Item = f32> + Clone {
    let room = length - side_px;
    let steps = (room / (side_px / 2.0)).ceil().max(0.0);
    (0..=steps as usize).map(move |step| (room * step as f32 / steps.max(1.0)).round())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_frame_is_centered_in_its_tile() {
        let tile = Tile::whole(640, 480);
        assert_eq!((tile.origin, tile.side_px), ([0.0, -80.0], 640.0));
        let tile = Tile::zoomed_out(640, 480);
        assert_eq!((tile.origin, tile.side_px), ([-320.0, -400.0], 1280.0));
    }

    #[test]
    fn tiles_cover_the_frame_and_overlap_by_half() {
        let origins =
            |divisor| -> Vec<[f32; 2]> { tiles(640, 480, divisor).map(|tile| tile.origin).collect() };
        assert_eq!(origins(1.0), [[0.0, 0.0], [160.0, 0.0]]);
        assert_eq!(origins(1.5).len(), 6);
        assert_eq!(origins(2.0).len(), 15);
        assert_eq!(origins(2.0).last(), Some(&[400.0, 240.0]));
        assert_eq!(tiles(480, 480, 1.0).count(), 1);
        assert_eq!(tiles(1, 1, 2.0).count(), 1);
    }
}
