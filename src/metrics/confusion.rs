//! The confusion matrix: how often frames of each true label got each predicted label.

use serde::{Deserialize, Serialize};

/// Counts of frames, `rows()[truth][prediction]`, both in the order of the model's labels.
///
/// [`ConfusionMatrix::with_unknown`] adds a last column for frames without a gesture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfusionMatrix(Vec<Vec<usize>>);

impl ConfusionMatrix {
    /// A square matrix of zeros.
    pub fn new(labels: usize) -> ConfusionMatrix {
        ConfusionMatrix(vec![vec![0; labels]; labels])
    }

    /// A matrix of zeros whose last column counts the frames without a gesture.
    pub fn with_unknown(labels: usize) -> ConfusionMatrix {
        ConfusionMatrix(vec![vec![0; labels + 1]; labels])
    }

    /// Counts one frame by the indices of its true and its predicted label. In a matrix made by [`ConfusionMatrix::with_unknown`] the index
    /// after the last label stands for no gesture.
    ///
    /// # Panics
    /// An index is out of range.
    pub fn count(&mut self, truth: usize, prediction: usize) {
        self.0[truth][prediction] += 1;
    }

    /// Adds the counts of a matrix of the same size.
    pub(crate) fn add(&mut self, other: &ConfusionMatrix) {
        for (row, others) in self.0.iter_mut().zip(&other.0) {
            for (count, other) in row.iter_mut().zip(others) {
                *count += other;
            }
        }
    }

    /// Number of frames counted.
    pub fn frames(&self) -> usize {
        self.0.iter().flatten().sum()
    }

    /// Number of frames whose predicted label is the true one.
    pub fn correct(&self) -> usize {
        (0..self.0.len()).map(|label| self.0[label][label]).sum()
    }

    /// [`ConfusionMatrix::correct`] / [`ConfusionMatrix::frames`], 0 to 1; `None` without frames.
    pub fn accuracy(&self) -> Option<f64> {
        (self.frames() > 0).then(|| self.correct() as f64 / self.frames() as f64)
    }

    /// One row for each true label, with a count for each prediction.
    pub fn rows(&self) -> &[Vec<usize>] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_without_a_gesture_count_as_not_correct() {
        let mut confusion = ConfusionMatrix::with_unknown(2);
        confusion.count(0, 0);
        confusion.count(1, 0);
        confusion.count(1, 2);
        assert_eq!(confusion.rows(), [vec![1, 0, 0], vec![1, 0, 1]]);
        assert_eq!((confusion.frames(), confusion.correct()), (3, 1));
        assert_eq!(confusion.accuracy(), Some(1.0 / 3.0));
        assert_eq!(ConfusionMatrix::with_unknown(2).accuracy(), None);
    }
}
