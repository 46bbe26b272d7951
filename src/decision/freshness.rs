//! Whether a frame shows what is before the camera now.

use std::time::Duration;

use super::{DecisionSettings, FrameInfo};

/// Why a frame is stale, with the measured time, and how to fix it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StaleCause {
    /// The images repeat the last ones.
    #[error(
        "no new image for {}, only repetitions of the last ones, bit for bit; restart the driver, uncover the lens, or set detect_frozen_camera: false for a camera without noise, such as a simulator",
        secs(.0)
    )]
    FrozenPixels(Duration),
    /// The stamp has not changed.
    #[error("the stamp has not changed for {}; restart the driver, and check that it stamps each frame", secs(.0))]
    FrozenStamp(Duration),
    /// The frame was classified long after it was received.
    #[error(
        "frames wait {} until they are classified; use fewer cameras, a lower rate or a faster runtime",
        secs(.0)
    )]
    Waited(Duration),
    /// The stamp is behind ROS time.
    #[error(
        "the stamp is {} behind ROS time; for a bag, set use_sim_time: true and play it with --clock; for a camera, synchronize the clocks of both machines, for example with chrony, and check that the driver stamps with ROS time; if the network takes that long, raise stale_timeout",
        secs(.0)
    )]
    Old(Duration),
    /// The stamp is ahead of ROS time.
    #[error(
        "the stamp is {} ahead of ROS time; synchronize the clocks of both machines, for example with chrony, and with use_sim_time check that /clock advances",
        secs(.0)
    )]
    Future(Duration),
}

/// Since when stamps and pixels repeat.
#[derive(Clone, Debug, Default)]
pub(super) struct Freshness {
    /// The first frame with the last stamp.
    stamp_since: Option<FrameInfo>,
    /// The last frame with new pixels.
    pixels_since: Option<FrameInfo>,
}

impl Freshness {
    /// Why the next frame is stale; `None` if it is fresh.
    pub(super) fn check(&mut self, frame: &FrameInfo, settings: &DecisionSettings) -> Option<StaleCause> {
        let stamp_secs = still_secs(&mut self.stamp_since, frame, |since| {
            frame.has_stamp() && frame.stamp_ns == since.stamp_ns
        });
        let pixel_secs = still_secs(&mut self.pixels_since, frame, |_| {
            frame.repeats_pixels && settings.detect_frozen_camera
        });
        let age_secs = frame.age_secs().unwrap_or_default();
        let waited_secs = frame.waited_secs();
        let limit = settings.stale_secs;
        if [stamp_secs, pixel_secs, waited_secs, age_secs.abs()]
            .iter()
            .all(|secs| *secs <= limit)
        {
            return None;
        }
        // The age of a repeated frame reaches the limit a little earlier than the time since its first arrival.
        let is_cause = |secs: f64| secs > limit / 2.0;
        Some(if is_cause(pixel_secs) {
            StaleCause::FrozenPixels(duration(pixel_secs))
        } else if is_cause(stamp_secs) {
            StaleCause::FrozenStamp(duration(stamp_secs))
        } else if is_cause(waited_secs) {
            StaleCause::Waited(duration(waited_secs))
        } else if age_secs > 0.0 {
            StaleCause::Old(duration(age_secs))
        } else {
            StaleCause::Future(duration(-age_secs))
        })
    }
}

/// Seconds since the first frame that `frame` repeats; `since` is that frame, or else the new one.
fn still_secs(since: &mut Option<FrameInfo>, frame: &FrameInfo, repeats: impl Fn(&FrameInfo) -> bool) -> f64 {
    // A recorder's clock that was set back does not say for how long.
    let first = since.filter(|first| repeats(first) && frame.steady_secs(first) >= 0.0);
    let first = *since.insert(first.unwrap_or(*frame));
    frame.steady_secs(&first)
}

fn duration(secs: f64) -> Duration {
    Duration::try_from_secs_f64(secs).unwrap_or(Duration::MAX)
}

fn secs(duration: &Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
