//! When a frame was captured and received.

/// What is known of a frame besides its probabilities. Times are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameInfo {
    /// `header.stamp`, since the epoch of ROS time; 0 if the camera does not stamp its frames.
    pub stamp_ns: i64,
    /// When the frame was received, on a clock that the camera cannot set: the steady clock, with `use_sim_time` ROS time, in a bag the
    /// recorder's clock.
    pub arrival_ns: i64,
    /// When the frame was received, on a clock that never stands still: the steady clock, in a bag the recorder's clock.
    pub steady_ns: i64,
    /// Time since then until the decision, on the steady clock; 0 in a bag.
    pub waited_ns: i64,
    /// ROS time of the decision; `None` if it is not known, as in a bag.
    pub ros_now_ns: Option<i64>,
    /// Whether the pixels are those of one of the last frames, as [`crate::frame::RecentFrames`] compares them.
    pub repeats_pixels: bool,
    /// Whether the probabilities mean something, as [`crate::recognizer::Prediction::is_familiar`].
    pub is_familiar: bool,
}

impl FrameInfo {
    /// A familiar frame of a bag: the recorder's clock is the only one besides the stamps.
    pub fn recorded(stamp_ns: i64, recorded_ns: i64, repeats_pixels: bool) -> FrameInfo {
        FrameInfo {
            stamp_ns,
            arrival_ns: recorded_ns,
            steady_ns: recorded_ns,
            waited_ns: 0,
            ros_now_ns: None,
            repeats_pixels,
            is_familiar: true,
        }
    }

    pub(super) fn has_stamp(&self) -> bool {
        self.stamp_ns != 0
    }

    /// Seconds since an earlier frame of the same stream by the stamps, without stamps by the arrivals.
    pub(super) fn captured_secs(&self, earlier: &FrameInfo) -> f64 {
        if self.has_stamp() {
            secs_between(earlier.stamp_ns, self.stamp_ns)
        } else {
            self.arrival_secs(earlier)
        }
    }

    /// Seconds since an earlier frame of the same stream by the arrivals; negative if their clock was set back.
    pub(super) fn arrival_secs(&self, earlier: &FrameInfo) -> f64 {
        secs_between(earlier.arrival_ns, self.arrival_ns)
    }

    /// Seconds since an earlier frame of the same stream that have passed on both clocks.
    pub(super) fn held_secs(&self, earlier: &FrameInfo) -> f64 {
        let both = self.captured_secs(earlier).min(self.arrival_secs(earlier));
        both.max(0.0)
    }

    /// Seconds since an earlier frame was received, by the steady clock; negative if a recorder's clock was set back.
    pub(super) fn steady_secs(&self, earlier: &FrameInfo) -> f64 {
        secs_between(earlier.steady_ns, self.steady_ns)
    }

    /// Seconds from the arrival to the decision.
    pub(super) fn waited_secs(&self) -> f64 {
        secs_between(0, self.waited_ns)
    }

    /// Seconds from the stamp to the decision, negative for a stamp in the future; `None` without a stamp or ROS time.
    pub(super) fn age_secs(&self) -> Option<f64> {
        let now_ns = self.ros_now_ns.filter(|_| self.has_stamp())?;
        Some(secs_between(self.stamp_ns, now_ns))
    }
}

/// The division gives the number that the same time has as a parameter: 300 000 000 ns are 0.3 s.
fn secs_between(from_ns: i64, to_ns: i64) -> f64 {
    to_ns.saturating_sub(from_ns) as f64 / 1e9
}
