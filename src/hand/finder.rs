//! Which parts of a frame are searched for hands, and how hands are followed from frame to frame.

use std::cmp::Ordering;
use std::f32::consts::{FRAC_PI_2, PI};

use super::detector::{Palm, join_overlapping};
use super::networks::HandNetworks;
use super::tiles::{Tile, tiles};
use super::{Hand, Region};
use crate::classifier::ClassifierError;
use crate::frame::Frame;

/// A region with a lower presence contains no hand.
const MIN_PRESENCE: f32 = 0.5;
/// A hand of at least this presence ends a search.
const SURE_PRESENCE: f32 = 0.85;
/// A hand that is less certain than another one by more than this is usually something in the background.
const MAX_PRESENCE_DIFFERENCE: f32 = 0.1;
/// A palm with a lower presence at first is no hand; landmarks of a better region would not change that.
const HOPELESS_PRESENCE: f32 = 0.02;
/// A hand of at least this presence is not turned differently than its palm.
const UNTURNED_PRESENCE: f32 = 0.95;
/// How often landmarks are computed for a new palm, each time in the region of the previous landmarks. MediaPipe computes them once.
const PASSES: usize = 3;
/// Maximum number of palms of one search for which landmarks are computed.
const MAX_PALMS: usize = 4;
/// Hands whose regions overlap more than this are one hand.
const MAX_OVERLAP: f32 = 0.3;
/// The sides of the tiles in which hands are searched that are too small for the whole frame: its shorter side divided by these numbers.
/// The palm detector finds hands of about 20 % of its input's height or more.
const DIVISORS: [f32; 3] = [1.0, 1.5, 2.0];
/// Tiles with these divisors are searched in streams.
const STREAM_DIVISORS: [f32; 2] = [1.0, 1.5];

/// Finds the hands in frames. It belongs to one thread.
pub struct HandFinder {
    networks: HandNetworks,
    /// Maximum number of hands in a frame.
    max_hands: usize,
}

/// What is known of the hands of a camera before its next frame.
#[derive(Debug, Default)]
pub struct Followed {
    /// Where the hands of the last frame are expected.
    regions: Vec<Region>,
    /// Number of tiles that were searched so far; the next ones follow in turn.
    searched_tiles: usize,
}

impl HandFinder {
    /// A finder of at most `max_hands` hands in a frame.
    pub fn new(networks: HandNetworks, max_hands: usize) -> HandFinder {
        HandFinder { networks, max_hands }
    }

    /// The hands in a frame, whatever the previous one was. The surest hand is the first.
    ///
    /// Searches the whole frame, then smaller and smaller tiles until there is a sure hand: up to 24 tiles of a frame of 640x480.
    ///
    /// # Errors
    /// ONNX Runtime failed.
    pub fn search(&mut self, frame: &Frame) -> Result<Vec<Hand>, ClassifierError> {
        let (width, height) = (frame.width(), frame.height());
        let mut hands = Vec::new();
        self.add_hands(frame, [Tile::whole(width, height)], &mut hands)?;
        for divisor in DIVISORS {
            if !is_unsure(&hands) {
                break;
            }
            self.add_hands(frame, tiles(width, height, divisor), &mut hands)?;
        }
        Ok(self.surest(hands))
    }

    /// The hands in the next frame of a camera. The surest hand is the first.
    ///
    /// While a sure hand is followed, only the regions of the followed hands are searched. Otherwise the whole frame is searched too and, if
    /// it shows no sure hand, `max_tiles` tiles, others in each frame.
    ///
    /// # Errors
    /// ONNX Runtime failed.
    pub fn follow(
        &mut self,
        frame: &Frame,
        followed: &mut Followed,
        max_tiles: usize,
    ) -> Result<Vec<Hand>, ClassifierError> {
        let mut hands = Vec::new();
        for region in std::mem::take(&mut followed.regions) {
            merge(self.networks.hand(frame, region)?, &mut hands);
        }
        let (width, height) = (frame.width(), frame.height());
        if is_unsure(&hands) {
            self.add_hands(frame, [Tile::whole(width, height)], &mut hands)?;
        }
        if is_unsure(&hands) {
            let divisors = STREAM_DIVISORS.into_iter();
            let tiles: Vec<Tile> = divisors
                .flat_map(|divisor| tiles(width, height, divisor))
                .collect();
            let first = followed.searched_tiles % tiles.len();
            let count = max_tiles.min(tiles.len());
            followed.searched_tiles += count;
            self.add_hands(
                frame,
                tiles.into_iter().cycle().skip(first).take(count),
                &mut hands,
            )?;
        }
        let hands = self.surest(hands);
        let expected = hands.iter().map(|hand| Region::from_landmarks(&hand.landmarks));
        followed.regions = expected.collect();
        Ok(hands)
    }

    /// Adds the hands in some parts of a frame.
    fn add_hands(
        &mut self,
        frame: &Frame,
        tiles: impl IntoIterator<Item = Tile>,
        hands: &mut Vec<Hand>,
    ) -> Result<(), ClassifierError> {
        let mut palms = Vec::new();
        for tile in tiles {
            palms.extend(self.networks.palms(frame, tile)?);
        }
        for palm in join_overlapping(palms).iter().take(MAX_PALMS) {
            merge(self.hand_of(frame, palm)?, hands);
        }
        Ok(())
    }

    /// The hand of a palm. The detector often mistakes the direction of the fingers of a thumb down: if the hand is unsure, the other
    /// directions are tried.
    fn hand_of(&mut self, frame: &Frame, palm: &Palm) -> Result<Hand, ClassifierError> {
        let mut best = self.hand_near(frame, Region::from_palm(palm, 0.0))?;
        if (HOPELESS_PRESENCE..UNTURNED_PRESENCE).contains(&best.presence) {
            for turn in [FRAC_PI_2, PI, -FRAC_PI_2] {
                let hand = self.hand_near(frame, Region::from_palm(palm, turn))?;
                if hand.presence > best.presence {
                    best = hand;
                }
            }
        }
        Ok(best)
    }

    /// The hand in a region that is approximately right: the region of its landmarks fits it better, and so on.
    fn hand_near(&mut self, frame: &Frame, region: Region) -> Result<Hand, ClassifierError> {
        let mut last = self.networks.hand(frame, region)?;
        let mut best = last.clone();
        for _ in 1..PASSES {
            if best.presence < HOPELESS_PRESENCE {
                break;
            }
            last = self
                .networks
                .hand(frame, Region::from_landmarks(&last.landmarks))?;
            // Of two that are about as certain, the later one is more accurate.
            if last.presence >= best.presence - 0.05 {
                best = last.clone();
            }
        }
        Ok(best)
    }

    fn surest(&self, mut hands: Vec<Hand>) -> Vec<Hand> {
        hands.sort_by(|a, b| b.presence.partial_cmp(&a.presence).unwrap_or(Ordering::Equal));
        if let Some(surest) = hands.first().map(|hand| hand.presence) {
            hands.retain(|hand| hand.presence >= surest - MAX_PRESENCE_DIFFERENCE);
        }
        hands.truncate(self.max_hands);
        hands
    }
}

fn is_unsure(hands: &[Hand]) -> bool {
    hands.iter().all(|hand| hand.presence < SURE_PRESENCE)
}

/// Adds a hand if it is one, in place of the same hand with a lower presence.
fn merge(hand: Hand, hands: &mut Vec<Hand>) {
    let is_same = |other: &Hand| other.region.overlap(&hand.region) > MAX_OVERLAP;
    let is_known = hands
        .iter()
        .any(|other| is_same(other) && other.presence >= hand.presence);
    if hand.presence >= MIN_PRESENCE && !is_known {
        hands.retain(|other| !is_same(other));
        hands.push(hand);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand::LANDMARKS;

    fn hand(presence: f32, x: f32) -> Hand {
        Hand {
            landmarks: [[0.0; 3]; LANDMARKS],
            world: [[0.0; 3]; LANDMARKS],
            presence,
            right: 0.5,
            region: Region {
                center: [x, 0.0],
                side_px: 100.0,
                rotation: 0.0,
            },
        }
    }

    fn merged(hands: impl IntoIterator<Item = Hand>) -> Vec<(f32, f32)> {
        let mut merged = Vec::new();
        hands.into_iter().for_each(|hand| merge(hand, &mut merged));
        let place = |hand: &Hand| (hand.presence, hand.region.center[0]);
        merged.iter().map(place).collect()
    }

    #[test]
    fn one_hand_is_found_once_with_its_highest_presence() {
        assert_eq!(merged([hand(0.7, 0.0), hand(0.9, 10.0)]), [(0.9, 10.0)]);
        assert_eq!(merged([hand(0.9, 10.0), hand(0.7, 0.0)]), [(0.9, 10.0)]);
        assert_eq!(
            merged([hand(0.9, 0.0), hand(0.7, 90.0)]),
            [(0.9, 0.0), (0.7, 90.0)]
        );
        assert_eq!(merged([hand(0.4, 0.0)]), []);
    }
}
