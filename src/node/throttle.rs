//! Rate limit for log messages.

use std::time::{Duration, Instant};

/// Limits the rate of a log message, so that an error in every frame does not flood the log.
#[derive(Default)]
pub(crate) struct Throttle {
    last: Option<Instant>,
    suppressed: u64,
}

impl Throttle {
    const PERIOD: Duration = Duration::from_secs(5);

    /// `None` to suppress the message; otherwise the number of messages suppressed since the last one.
    pub(crate) fn pass(&mut self) -> Option<u64> {
        if self.last.is_some_and(|last| last.elapsed() < Throttle::PERIOD) {
            self.suppressed += 1;
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttle_passes_one_message_per_period() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.pass(), Some(0));
        assert!((0..100).all(|_| throttle.pass().is_none()));
        assert_eq!(throttle.suppressed, 100);
    }
}
