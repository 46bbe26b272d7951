//! How many frames a camera has sent that did not arrive, by the stamps of those that did.
//!
//! A camera stamps its frames at a steady rate: where frames are lost, the intervals between the stamps of the others are multiples of its
//! period.

use std::collections::VecDeque;
use std::sync::Mutex;

use r2r::builtin_interfaces::msg::Time;

use crate::node::ros::messages::nanos_of;
use crate::sync::lock;

/// Number of intervals between successive frames that are considered: the last second of a usual camera.
const MAX_INTERVALS: usize = 30;
/// Number of intervals below which nothing can be said.
const MIN_INTERVALS: usize = 15;
/// An interval of more periods is a pause of the camera.
const MAX_PERIODS: f64 = 10.0;
/// Maximum difference of an interval from a multiple of the period, in periods, of the share `MIN_STEADY` of the intervals. Else the
/// stamps do not show the camera's period.
const TOLERANCE: f64 = 0.25;
const MIN_STEADY: f64 = 0.9;

/// The stamps of a camera's last frames.
#[derive(Default)]
pub(crate) struct StampGaps(Mutex<Stamps>);

#[derive(Default)]
struct Stamps {
    last_ns: Option<i64>,
    /// Nanoseconds between successive stamps.
    intervals: VecDeque<i64>,
}

impl StampGaps {
    /// Adds the stamp of a message that was received.
    pub(super) fn add(&self, stamp: &Time) {
        let stamp_ns = nanos_of(stamp);
        let mut stamps = lock(&self.0);
        let interval = stamps.last_ns.replace(stamp_ns).map(|last_ns| stamp_ns - last_ns);
        match interval {
            Some(interval @ 1..) => {
                if stamps.intervals.len() == MAX_INTERVALS {
                    stamps.intervals.pop_front();
                }
                stamps.intervals.push_back(interval);
            }
            // Another stream, such as a bag that begins anew.
            Some(..0) => stamps.intervals.clear(),
            Some(0) | None => {}
        }
    }

    /// The share of the camera's last frames that did not arrive, 0 to 1; `None` if the stamps do not show it.
    pub(crate) fn lost_share(&self) -> Option<f64> {
        let intervals: Vec<f64> = lock(&self.0).intervals.iter().map(|&ns| ns as f64).collect();
        lost_share(intervals)
    }
}

fn lost_share(mut intervals: Vec<f64>) -> Option<f64> {
    intervals.sort_by(f64::total_cmp);
    // Not the shortest one, which may be an outlier.
    let short = *intervals.get(intervals.len() / 10)?;
    let single = intervals.partition_point(|&interval| interval < 1.5 * short);
    let period = intervals[single / 2];
    let periods: Vec<f64> = intervals
        .iter()
        .map(|interval| interval / period)
        .filter(|periods| (0.5..MAX_PERIODS).contains(periods))
        .collect();
    let is_steady = |periods: &&f64| (**periods - periods.round()).abs() <= TOLERANCE;
    let steady = periods.iter().filter(is_steady).count();
    if periods.len() < MIN_INTERVALS || (steady as f64) < MIN_STEADY * periods.len() as f64 {
        return None;
    }
    let sent: f64 = periods.iter().map(|periods| periods.round()).sum();
    Some(1.0 - periods.len() as f64 / sent)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const PERIOD_NS: i64 = 33_333_333;

    /// The share that is found after these stamps, in nanoseconds.
    fn found(stamps: impl IntoIterator<Item = i64>) -> Option<f64> {
        let gaps = StampGaps::default();
        for stamp_ns in stamps {
            gaps.add(&Time {
                sec: i32::try_from(stamp_ns / 1_000_000_000).expect("a short time"),
                nanosec: u32::try_from(stamp_ns % 1_000_000_000).expect("below a second"),
            });
        }
        gaps.lost_share()
    }

    /// Stamps with a jitter of at most this, of frames of which this share is lost.
    fn stamps(jitter_ns: i64, lost: f64, seed: u64) -> Vec<i64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        (1..300)
            .filter_map(|frame| {
                let stamp_ns = frame * PERIOD_NS + random.random_range(-jitter_ns..=jitter_ns);
                (!random.random_bool(lost)).then_some(stamp_ns)
            })
            .collect()
    }

    #[test]
    fn lost_frames_are_found_in_the_stamps_of_the_others() {
        for seed in 0..20 {
            for lost in [0.0, 0.3, 0.6] {
                let found = found(stamps(1_000_000, lost, seed)).expect("a steady camera");
                assert!((found - lost).abs() < 0.3, "{found} instead of {lost}");
            }
        }
    }

    #[test]
    fn cameras_that_send_every_frame_have_lost_none() {
        let few = 0.0..0.1;
        for seed in 0..20 {
            for jitter_ns in [0, 3_000_000, 10_000_000, 16_000_000] {
                let found = found(stamps(jitter_ns, 0.0, seed));
                assert!(
                    found.is_none_or(|share| few.contains(&share)),
                    "{found:?} with {jitter_ns}"
                );
            }
        }
        let slower = (1..50).map(|frame| frame * PERIOD_NS);
        let slower = slower
            .clone()
            .chain(slower.map(|stamp| 50 * PERIOD_NS + 2 * stamp));
        assert_eq!(found(slower), Some(0.0), "a longer exposure");
        let with_pause = (1..40).map(|frame| frame * PERIOD_NS + if frame > 30 { 60_000_000_000 } else { 0 });
        assert_eq!(found(with_pause), Some(0.0));
        let bag_in_a_loop = (1..40).chain(1..20).map(|frame| frame * PERIOD_NS);
        assert_eq!(found(bag_in_a_loop), Some(0.0));
    }

    #[test]
    fn stamps_without_a_rate_say_nothing() {
        assert_eq!(found([]), None);
        assert_eq!(found([0; 50]), None, "no stamps");
        assert_eq!(found((1..10).map(|frame| frame * PERIOD_NS)), None, "too few");
        let random = found(stamps(30_000_000, 0.0, 1));
        assert_eq!(random, None);
    }
}
