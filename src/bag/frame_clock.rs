//! The times of a bag's frames, on one clock.

use super::image::{BagImage, is_image_topic};
use super::{Bag, BagError, Topic};

/// The clock of the stamps. Frames without a stamp have the time of recording on that clock.
pub(super) struct FrameClock<'a> {
    bag: &'a Bag,
    topic: &'a Topic,
    /// Stamp minus time of recording of the last frame with a stamp; `None` before the first frame.
    offset_ns: Option<i64>,
}

impl<'a> FrameClock<'a> {
    pub(super) fn new(bag: &'a Bag, topic: &'a Topic) -> FrameClock<'a> {
        FrameClock {
            bag,
            topic,
            offset_ns: None,
        }
    }

    /// The time of the next frame, nanoseconds since the epoch of the stamps. If the first frame has no stamp, this reads the topic up to
    /// its first stamp.
    ///
    /// # Errors
    /// As [`Bag::read`].
    pub(super) fn time_ns(&mut self, stamp_ns: i64, recorded_ns: i64) -> Result<i64, BagError> {
        let offset_ns = match self.offset_ns {
            _ if stamp_ns != 0 => stamp_ns.saturating_sub(recorded_ns),
            Some(offset_ns) => offset_ns,
            None => self.first_offset_ns()?,
        };
        self.offset_ns = Some(offset_ns);
        Ok(if stamp_ns == 0 {
            recorded_ns.saturating_add(offset_ns)
        } else {
            stamp_ns
        })
    }

    /// The offset of the first frame with a stamp; 0 without stamps.
    fn first_offset_ns(&self) -> Result<i64, BagError> {
        let mut offset_ns = 0;
        let is_selected = |found: &Topic| is_image_topic(found, self.topic);
        let read = self.bag.read(&is_selected, &mut |message| {
            match BagImage::read_stamp(message.data) {
                // Damaged messages are reported when the frames are read.
                Ok(0) | Err(_) => Ok(()),
                Ok(stamp_ns) => {
                    offset_ns = stamp_ns.saturating_sub(message.time_ns);
                    Err("the first stamp was found".to_owned())
                }
            }
        });
        match read {
            Ok(_) | Err(BagError::Stopped(_)) => Ok(offset_ns),
            Err(error) => Err(error),
        }
    }
}
