//! The times of a bag's frames, on one clock.

use super::image::{BagImage, is_image_topic};
use super::{Bag, BagError, Topic};

/// The clock of the stamps. Frames without a stamp have the time of recording on that clock.
pub(super) struct FrameClock {
    /// Stamp minus time of recording of the last frame with a stamp, at the start of the first one; 0 without stamps.
    offset_ns: i64,
}

impl FrameClock {
    /// Reads the topic up to its first stamp.
    ///
    /// # Errors
    /// As [`Bag::read`].
    pub(super) fn of_topic(bag: &Bag, topic: &Topic) -> Result<FrameClock, BagError> {
        let mut clock = FrameClock { offset_ns: 0 };
        let read = bag.read(&|found| is_image_topic(found, topic), &mut |message| {
            match BagImage::read_stamp(message.data) {
                // Damaged messages are reported when the frames are read.
                Ok(0) | Err(_) => Ok(()),
                Ok(stamp_ns) => {
                    clock.time_ns(stamp_ns, message.time_ns);
                    Err("the first stamp was found".to_owned())
                }
            }
        });
        match read {
            Ok(_) | Err(BagError::Stopped(_)) => Ok(clock),
            Err(error) => Err(error),
        }
    }

    /// The time of the next frame, nanoseconds since the epoch of the stamps.
    pub(super) fn time_ns(&mut self, stamp_ns: i64, recorded_ns: i64) -> i64 {
        if stamp_ns != 0 {
            self.offset_ns = stamp_ns.saturating_sub(recorded_ns);
            return stamp_ns;
        }
        recorded_ns.saturating_add(self.offset_ns)
    }
}
