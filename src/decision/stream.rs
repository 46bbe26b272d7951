//! Whether a frame continues the stream of the previous ones.

use super::FrameInfo;

/// How far the steps of the stamps and of the arrivals from one frame to the next may differ, seconds: scheduling and networks delay
/// single frames. A smaller step of a clock cannot make a gesture stable too early, because the hold time must pass on both clocks.
const MAX_STEP_DIFFERENCE_SECS: f64 = 0.25;

/// The last frames of a camera's stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    last: Option<FrameInfo>,
    /// The last frame with a stamp of its own; `None` if the stream has no stamps.
    last_stamped: Option<FrameInfo>,
}

/// A frame in its stream.
pub(super) struct StreamFrame {
    /// With the stamp to use for it.
    pub(super) info: FrameInfo,
    /// Whether it continues the stream of the previous frames.
    pub(super) is_continuous: bool,
    /// Whether a hold may begin with it: not with a zero stamp among others, which says nothing about the time of capture.
    pub(super) can_begin_hold: bool,
}

impl Stream {
    /// Adds the next frame.
    ///
    /// A zero stamp among others is taken for a repetition of the last one: no time has passed by the stamps. After `stale_secs` without
    /// a stamp, a stream without stamps begins.
    pub(super) fn advance(&mut self, frame: &FrameInfo, stale_secs: f64) -> StreamFrame {
        let (has_own_stamp, mut frame) = (frame.has_stamp(), *frame);
        if frame.has_stamp() {
            self.last_stamped = Some(frame);
        } else {
            let last = self.last_stamped;
            self.last_stamped = last.filter(|last| frame.steady_secs(last) <= stale_secs);
            frame.stamp_ns = self.last_stamped.map_or(0, |last| last.stamp_ns);
        }
        let last = self.last.replace(frame);
        StreamFrame {
            info: frame,
            is_continuous: last.is_some_and(|last| continues(&frame, &last, stale_secs)),
            can_begin_hold: has_own_stamp || !frame.has_stamp(),
        }
    }
}

fn continues(frame: &FrameInfo, last: &FrameInfo, stale_secs: f64) -> bool {
    let steps = [frame.captured_secs(last), frame.arrival_secs(last)];
    let [captured, arrival] = steps;
    frame.has_stamp() == last.has_stamp()
        && (0.0..=stale_secs).contains(&captured)
        && arrival.max(frame.steady_secs(last)) <= stale_secs
        && (captured - arrival).abs() <= MAX_STEP_DIFFERENCE_SECS
}
