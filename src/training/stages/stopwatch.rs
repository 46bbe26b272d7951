//! The wall-clock time of each stage of a training.

use std::time::Instant;

use crate::training::report::Timing;

pub(super) struct Stopwatch {
    start: Instant,
    lap_start: Instant,
    laps: Vec<Timing>,
}

impl Stopwatch {
    pub(super) fn start() -> Stopwatch {
        let start = Instant::now();
        Stopwatch {
            start,
            lap_start: start,
            laps: Vec::new(),
        }
    }

    /// Adds the time since the last lap to a stage.
    pub(super) fn lap(&mut self, stage: &str) {
        let seconds = self.lap_start.elapsed().as_secs_f64();
        self.lap_start = Instant::now();
        match self.laps.iter_mut().find(|lap| lap.stage == stage) {
            Some(lap) => lap.seconds += seconds,
            None => self.laps.push(Timing {
                stage: stage.to_owned(),
                seconds,
            }),
        }
    }

    /// The stages so far, in the order in which they first ended.
    pub(super) fn laps(&self) -> &[Timing] {
        &self.laps
    }

    pub(super) fn total_seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}
