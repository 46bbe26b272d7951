//! Charts of loss and accuracy over the epochs: a thin line per fold, a thick one for their mean.

use std::collections::BTreeMap;

use super::chart::{Line, LineChart, line_chart};
use super::{Curve, Point};

pub(super) struct Curves {
    /// The loss chart as SVG; `None` without epochs.
    pub(super) loss: Option<String>,
    /// The accuracy chart as SVG; `None` without held-out frames.
    pub(super) accuracy: Option<String>,
    /// `None` without held-out frames.
    pub(super) best: Option<BestEpoch>,
}

/// The epoch with the lowest mean loss on held-out frames.
pub(super) struct BestEpoch {
    pub(super) epoch: u32,
    /// Its loss, in nats.
    pub(super) loss: f64,
}

impl Curves {
    pub(super) fn new(curves: &[Curve]) -> Curves {
        let train_loss = |point: &Point| Some(point.train_loss);
        let validation = mean(curves, |point| point.validation_loss);
        let best = validation
            .iter()
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(epoch, loss)| BestEpoch {
                epoch: *epoch,
                loss: *loss,
            });
        let marked_epoch = best.as_ref().map(|best| best.epoch);

        let mut loss_lines = folds(curves, "train thin", train_loss);
        loss_lines.extend(folds(curves, "validation thin", |point| point.validation_loss));
        loss_lines.push(line("train", mean(curves, train_loss)));
        loss_lines.push(line("validation", validation));
        let loss = line_chart(&LineChart {
            description: "Loss over epochs",
            y_range: 0.0..=values(&loss_lines).fold(0.0, f64::max),
            is_percent: false,
            lines: loss_lines,
            marked_epoch,
        });

        let mut accuracy_lines = folds(curves, "validation thin", |point| point.accuracy);
        accuracy_lines.push(line("validation", mean(curves, |point| point.accuracy)));
        let lowest = values(&accuracy_lines).fold(1.0, f64::min);
        let accuracy = line_chart(&LineChart {
            description: "Accuracy on held-out frames over epochs",
            // A margin below the lowest value keeps curves near 100 % readable.
            y_range: (lowest - 0.1).max(0.0)..=1.0,
            is_percent: true,
            lines: accuracy_lines,
            marked_epoch,
        });
        Curves { loss, accuracy, best }
    }
}

fn line(class: &'static str, points: Vec<(u32, f64)>) -> Line {
    Line { class, points }
}

/// One line per fold; no lines for a single fold, which equals the mean.
fn folds(curves: &[Curve], class: &'static str, value: impl Fn(&Point) -> Option<f64>) -> Vec<Line> {
    if curves.len() < 2 {
        return Vec::new();
    }
    let points = |curve: &Curve| {
        let point = |point: &Point| Some((point.epoch, value(point)?));
        curve.points.iter().filter_map(point).collect()
    };
    curves.iter().map(|curve| line(class, points(curve))).collect()
}

/// The mean over the folds at each epoch that all of them reached; without a fold that stopped early the mean would jump.
fn mean(curves: &[Curve], value: impl Fn(&Point) -> Option<f64>) -> Vec<(u32, f64)> {
    let mut sums: BTreeMap<u32, (f64, usize)> = BTreeMap::new();
    for point in curves.iter().flat_map(|curve| &curve.points) {
        if let Some(value) = value(point).filter(|value| value.is_finite()) {
            let (sum, count) = sums.entry(point.epoch).or_default();
            *sum += value;
            *count += 1;
        }
    }
    let mean_of_all = |(epoch, (sum, count)): (u32, (f64, usize))| {
        (count == curves.len()).then_some((epoch, sum / count as f64))
    };
    sums.into_iter().filter_map(mean_of_all).collect()
}

fn values(lines: &[Line]) -> impl Iterator<Item = f64> {
    let points = lines.iter().flat_map(|line| &line.points);
    points.map(|point| point.1).filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(fold: usize, losses: &[(f64, Option<f64>)]) -> Curve {
        let point = |(index, (train_loss, validation_loss)): (usize, &(f64, Option<f64>))| Point {
            epoch: index as u32 + 1,
            train_loss: *train_loss,
            validation_loss: *validation_loss,
            accuracy: validation_loss.map(|_| 0.9),
        };
        let points = losses.iter().enumerate().map(point).collect();
        Curve { fold, points }
    }

    #[test]
    fn best_epoch_has_the_lowest_mean_loss_over_all_folds() {
        let folds = [
            curve(0, &[(1.0, Some(1.0)), (0.5, Some(0.6)), (0.2, Some(0.1))]),
            curve(1, &[(1.0, Some(1.0)), (0.5, Some(0.8))]),
        ];
        let best = Curves::new(&folds).best.expect("a loss");
        assert_eq!(best.epoch, 2, "only one fold reached epoch 3");
        assert!((best.loss - 0.7).abs() < 1e-12);
    }

    #[test]
    fn several_folds_have_thin_lines_and_a_single_one_does_not() {
        let losses = [(1.0, Some(1.0)), (0.5, Some(0.6))];
        let one = Curves::new(&[curve(0, &losses)]).loss.expect("a chart");
        assert!(!one.contains("thin"), "{one}");
        let two = Curves::new(&[curve(0, &losses), curve(1, &losses)]);
        assert_eq!(two.loss.expect("a chart").matches("validation thin").count(), 2);
    }

    #[test]
    fn without_held_out_frames_only_the_training_loss_is_drawn() {
        let curves = Curves::new(&[curve(0, &[(1.0, None), (0.5, None)])]);
        assert!(curves.loss.is_some());
        assert!(curves.accuracy.is_none() && curves.best.is_none());
        assert!(Curves::new(&[]).loss.is_none());
    }
}
