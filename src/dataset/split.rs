//! Which frames are trained on, and which are held out to say how good the model is.
//!
//! Frames of a video are near-duplicates of their neighbours, so whole runs of neighbours are held out, never single
//! frames from the middle of a run.

use std::path::PathBuf;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// The longest run of neighbouring frames that is kept together.
const RUN_LENGTH: usize = 8;
/// One run in so many is held out.
const RUNS_PER_HELD_OUT: usize = 5;

/// The two parts of a label's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// To train on.
    pub train: Vec<PathBuf>,
    /// To validate on.
    pub validation: Vec<PathBuf>,
}

/// Splits the files of one label, which are sorted by name, in runs of neighbours: about a fifth is held out.
///
/// The same files and seed give the same split. A label of a single file is trained on.
pub fn split(files: &[PathBuf], seed: u64) -> Split {
    let run_length = files.len().div_ceil(RUNS_PER_HELD_OUT).clamp(1, RUN_LENGTH);
    let mut runs: Vec<&[PathBuf]> = files.chunks(run_length).collect();
    if runs.len() < 2 {
        return Split {
            train: files.to_vec(),
            validation: Vec::new(),
        };
    }
    runs.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let held_out = runs.len().div_ceil(RUNS_PER_HELD_OUT);
    let sorted = |runs: &[&[PathBuf]]| {
        let mut files = runs.concat();
        files.sort();
        files
    };
    Split {
        train: sorted(&runs[held_out..]),
        validation: sorted(&runs[..held_out]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(count: usize) -> Vec<PathBuf> {
        (0..count).map(|i| PathBuf::from(format!("{i:04}.jpg"))).collect()
    }

    #[test]
    fn every_file_is_in_one_part() {
        for count in 0..60 {
            let split = split(&files(count), 7);
            let mut all = [split.train, split.validation].concat();
            all.sort();
            assert_eq!(all, files(count));
        }
    }

    #[test]
    fn about_a_fifth_is_held_out() {
        for count in [5, 10, 40, 100, 228] {
            let held_out = split(&files(count), 1).validation.len() as f64 / count as f64;
            assert!((0.15..=0.26).contains(&held_out), "{held_out} of {count}");
        }
    }

    #[test]
    fn two_files_are_enough_for_a_validation_and_one_is_not() {
        assert_eq!(split(&files(2), 1).validation.len(), 1);
        assert_eq!(split(&files(1), 1).validation.len(), 0);
    }

    #[test]
    fn the_same_seed_gives_the_same_split_and_another_another() {
        assert_eq!(split(&files(100), 3), split(&files(100), 3));
        assert_ne!(split(&files(100), 3), split(&files(100), 4));
    }

    #[test]
    fn neighbours_are_held_out_together() {
        let held_out = split(&files(100), 3).validation;
        let whole = files(100);
        for run in whole.chunks(RUN_LENGTH) {
            let count = run.iter().filter(|file| held_out.contains(file)).count();
            assert!(count == 0 || count == run.len());
        }
    }
}
