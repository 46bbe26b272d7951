//! Which parts of a frame are searched for hands, and how hands are followed from frame to frame.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::f32::consts::{FRAC_PI_2, PI};
use std::time::Duration;

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
/// Maximum number of palms of one search in a stream for which landmarks are computed.
const MAX_STREAM_PALMS: usize = 2;
/// While unsure hands are followed, at most one of this number of frames is searched for others.
const FRAMES_PER_UNSURE_SEARCH: usize = 2;

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
    /// Where there may be other hands; landmarks are computed in one of these regions per frame.
    candidates: VecDeque<Candidate>,
    /// Number of tiles that were searched so far; the next one follows in turn.
    searched_tiles: usize,
    /// Number of frames so far.
    frames: usize,
}

/// A region that may contain a hand.
#[derive(Debug)]
struct Candidate {
    region: Region,
    /// How often landmarks may still be computed, each time in the region of the previous landmarks.
    passes: usize,
    /// The same palm in other directions, which are tried if it is an unsure hand in this one.
    turned: Vec<Region>,
}

impl HandFinder {
    /// A finder of at most `max_hands` hands in a frame.
    pub fn new(networks: HandNetworks, max_hands: usize) -> HandFinder {
        HandFinder { networks, max_hands }
    }

    /// What runs the landmark network, as `<runtime>/<device>/<precision>`.
    pub fn backend(&self) -> &str {
        &self.networks.backend
    }

    /// The hands in a frame, whatever the previous one was. The surest hand is the first.
    ///
    /// Searches the whole frame, also at half the size, then smaller and smaller tiles until there is a sure hand: up to 25 parts of a
    /// frame of 640x480.
    ///
    /// # Errors
    /// ONNX Runtime failed.
    pub fn search(&mut self, frame: &Frame) -> Result<Vec<Hand>, ClassifierError> {
        self.search_tiles(frame, &DIVISORS)
    }

    /// Like [`HandFinder::search`], but without the smallest tiles, which [`HandFinder::follow`] does not search either.
    ///
    /// # Errors
    /// ONNX Runtime failed.
    pub fn search_as_in_streams(&mut self, frame: &Frame) -> Result<Vec<Hand>, ClassifierError> {
        self.search_tiles(frame, &STREAM_DIVISORS)
    }

    fn search_tiles(&mut self, frame: &Frame, divisors: &[f32]) -> Result<Vec<Hand>, ClassifierError> {
        let (width, height) = (frame.width(), frame.height());
        let mut hands = Vec::new();
        let whole = [Tile::whole, Tile::zoomed_out].map(|tile| vec![tile(width, height)]);
        let tiles = divisors
            .iter()
            .map(|divisor| tiles(width, height, *divisor).collect());
        for parts in whole.into_iter().chain(tiles) {
            self.add_hands(frame, parts, &mut hands)?;
            if !is_unsure(&hands) {
                break;
            }
        }
        Ok(self.surest(hands))
    }

    /// The hands in the next frame of a camera. The surest hand is the first.
    ///
    /// Landmarks are computed in the regions of the followed hands and, while none of them is sure, one network runs in another part of the
    /// frame, a different one in each frame. So the cost of a frame is bounded: a search that [`HandFinder::search`] would finish at once is
    /// distributed over several frames. One of `frames_per_search` frames is searched.
    ///
    /// # Errors
    /// ONNX Runtime failed.
    pub fn follow(
        &mut self,
        frame: &Frame,
        followed: &mut Followed,
        frames_per_search: usize,
    ) -> Result<Vec<Hand>, ClassifierError> {
        let mut hands = Vec::new();
        for region in std::mem::take(&mut followed.regions) {
            merge(self.networks.hand(frame, region)?, &mut hands);
        }
        let frames_per_search = if hands.is_empty() {
            frames_per_search
        } else {
            frames_per_search.max(FRAMES_PER_UNSURE_SEARCH)
        };
        let is_search_due = followed.frames.is_multiple_of(frames_per_search);
        followed.frames += 1;
        if !is_unsure(&hands) {
            followed.candidates.clear();
        } else if is_search_due {
            match followed.candidates.pop_front() {
                Some(candidate) => {
                    let hand = self.networks.hand(frame, candidate.region)?;
                    followed.candidates.extend(candidate.after(&hand));
                    merge(hand, &mut hands);
                }
                None => {
                    let tile = followed.next_tile(frame);
                    let palms = join_overlapping(self.networks.palms(frame, tile)?);
                    let candidates = palms.iter().take(MAX_STREAM_PALMS).map(Candidate::new);
                    followed.candidates.extend(candidates);
                }
            }
        }
        let hands = self.surest(hands);
        let expected = hands.iter().map(|hand| Region::from_landmarks(&hand.landmarks));
        followed.regions = expected.collect();
        Ok(hands)
    }

    /// The time to compute the inputs of the networks since the last call.
    pub fn take_sampling_time(&mut self) -> Duration {
        std::mem::take(&mut self.networks.sampling_time)
    }

    /// Adds the hands in some parts of a frame.
    fn add_hands(
        &mut self,
        frame: &Frame,
        parts: Vec<Tile>,
        hands: &mut Vec<Hand>,
    ) -> Result<(), ClassifierError> {
        let mut palms = Vec::new();
        for tile in parts {
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
            for region in turned(palm) {
                let hand = self.hand_near(frame, region)?;
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

impl Followed {
    /// The part of the frame to search next: the whole frame, the same at half the size, its tiles, and again from the start.
    fn next_tile(&mut self, frame: &Frame) -> Tile {
        let (width, height) = (frame.width(), frame.height());
        let divisors = STREAM_DIVISORS.into_iter();
        let tiles = divisors.flat_map(|divisor| tiles(width, height, divisor));
        let whole = [Tile::whole(width, height), Tile::zoomed_out(width, height)];
        let parts: Vec<Tile> = whole.into_iter().chain(tiles).collect();
        let tile = parts[self.searched_tiles % parts.len()];
        self.searched_tiles += 1;
        tile
    }
}

impl Candidate {
    fn new(palm: &Palm) -> Candidate {
        Candidate {
            region: Region::from_palm(palm, 0.0),
            passes: PASSES,
            turned: turned(palm).to_vec(),
        }
    }

    /// Where to look in the next frames, after this hand was found in the region. A hand of at least [`MIN_PRESENCE`] is followed anyway.
    fn after(self, hand: &Hand) -> Vec<Candidate> {
        if !(HOPELESS_PRESENCE..UNTURNED_PRESENCE).contains(&hand.presence) {
            return Vec::new();
        }
        if hand.presence < MIN_PRESENCE && self.passes > 1 {
            return vec![Candidate {
                region: Region::from_landmarks(&hand.landmarks),
                passes: self.passes - 1,
                turned: self.turned,
            }];
        }
        let turned = self.turned.into_iter().map(|region| Candidate {
            region,
            passes: 1,
            turned: Vec::new(),
        });
        turned.collect()
    }
}

/// The regions of a palm whose fingers point in another direction than the detector found.
fn turned(palm: &Palm) -> [Region; 3] {
    [FRAC_PI_2, PI, -FRAC_PI_2].map(|turn| Region::from_palm(palm, turn))
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
            visible: 1.0,
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

    fn palm() -> Palm {
        Palm {
            score: 1.0,
            min: [90.0, 80.0],
            max: [130.0, 120.0],
            wrist: [90.0, 100.0],
            middle_knuckle: [130.0, 100.0],
        }
    }

    /// Number of runs until nothing is left to try, if every region shows a hand of this presence.
    fn runs(presence: f32) -> usize {
        let mut candidates = VecDeque::from([Candidate::new(&palm())]);
        let mut runs = 0;
        while let Some(candidate) = candidates.pop_front() {
            candidates.extend(candidate.after(&hand(presence, 0.0)));
            runs += 1;
        }
        runs
    }

    #[test]
    fn unsure_palm_of_a_stream_is_tried_in_all_directions_and_a_hopeless_one_once() {
        assert_eq!(runs(0.01), 1);
        assert_eq!(runs(0.3), PASSES + 3);
        assert_eq!(runs(0.7), 1 + 3);
        assert_eq!(runs(0.99), 1);
    }

    #[test]
    fn parts_of_a_stream_s_frames_are_searched_in_turn() {
        let frame = Frame::from_raw("mono8", 640, 480, 640, vec![0; 640 * 480]).expect("a valid frame");
        let mut followed = Followed::default();
        let sides: Vec<f32> = (0..11).map(|_| followed.next_tile(&frame).side_px).collect();
        assert_eq!(
            sides,
            [
                640.0, 1280.0, 480.0, 480.0, 320.0, 320.0, 320.0, 320.0, 320.0, 320.0, 640.0
            ]
        );
    }
}
