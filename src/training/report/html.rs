//! The report as one page of HTML that needs nothing else: no network, no script, no file beside it.
//!
//! Names, paths and reasons come from outside: the template escapes all of them, and the page forbids itself to load or run
//! anything, should that fail. Only the charts and images made here are written as they are.

use std::io::{self, Write};
use std::path::Path;

use askama::Template;
use time::UtcOffset;
use time::macros::format_description;

use super::curves::Curves;
use super::reliability::reliability_diagram;
use super::{LabelCount, Mistake, Report};
use crate::evaluation::Skipped;
use crate::metrics::LabelMetrics;
use crate::thumbnail;

/// Mistakes that are shown; each adds some 8 kB to the page.
const MOST_SHOWN: usize = 24;
/// Rows of a list that may have thousands, such as the skipped files.
const MOST_ROWS: usize = 100;
/// Labels up to which the confusion is shown whole; beyond it nobody could read it.
const MOST_MATRIX_LABELS: usize = 24;

/// Writes a report as a page of HTML.
///
/// An image that cannot be read any more is shown as a placeholder with the reason.
///
/// # Errors
/// What `out` says.
pub fn write_html(report: &Report, out: &mut impl Write) -> io::Result<()> {
    Page::new(report).write_into(out)
}

#[derive(Template)]
#[template(path = "training/report/template.html")]
struct Page<'a> {
    report: &'a Report,
    created: String,
    /// What the frames were that the metrics are of.
    measured_on: &'static str,
    curves: Curves,
    matrix: Vec<MatrixRow<'a>>,
    mix_ups: Vec<MixUp<'a>>,
    reliability: Option<String>,
    images: Vec<Image<'a>>,
    skipped: &'a [Skipped],
    most_frames: usize,
    total_seconds: f64,
}

/// The frames of one true label.
struct MatrixRow<'a> {
    label: &'a str,
    frames: usize,
    cells: Vec<Cell>,
}

struct Cell {
    frames: usize,
    /// Of the row's frames, 0 to 1.
    share: f64,
    class: &'static str,
}

/// Frames of one label that were taken for another.
struct MixUp<'a> {
    truth: &'a str,
    prediction: &'a str,
    frames: usize,
}

struct Image<'a> {
    mistake: &'a Mistake,
    /// A `data:` URI, or why there is none.
    thumbnail: Result<String, String>,
}

impl<'a> Page<'a> {
    fn new(report: &'a Report) -> Page<'a> {
        let measured_on = match report.folds.len() {
            0 => "held-out frames",
            _ => "frames, each classified by a model trained without it",
        };
        let skipped = &report.dataset.skipped;
        let frames_of = |label: &LabelCount| {
            let parts = [label.train, label.validation, label.left_out];
            parts.into_iter().fold(0, usize::saturating_add).max(label.frames)
        };
        Page {
            report,
            created: created(report),
            measured_on,
            curves: Curves::new(&report.curves),
            matrix: matrix(report),
            mix_ups: mix_ups(report),
            reliability: reliability_diagram(&report.metrics.reliability),
            images: images(report),
            skipped: &skipped[..skipped.len().min(MOST_ROWS)],
            most_frames: report.dataset.labels.iter().map(frames_of).max().unwrap_or(0),
            total_seconds: report.timings.iter().map(|timing| timing.seconds).sum(),
        }
    }

    /// A share as a percentage with one decimal; the space does not break.
    fn percent(share: &f64) -> String {
        format!("{:.1}\u{a0}%", share * 100.0)
    }

    /// The same, or a dash where nothing was measured.
    fn percent_or_dash(share: &Option<f64>) -> String {
        share.as_ref().map_or_else(|| "–".to_owned(), Self::percent)
    }

    /// The length of a bar for a share, in percent of the whole: a number that no style sheet stumbles over.
    fn bar(share: &f64) -> String {
        let share = if share.is_finite() { *share } else { 0.0 };
        format!("{:.1}", share.clamp(0.0, 1.0) * 100.0)
    }

    /// The length of a bar for some frames of others.
    fn frames_bar(frames: &usize, of: &usize) -> String {
        Self::bar(&(*frames as f64 / *of as f64))
    }

    /// The length of a bar for a stage's share in the whole training.
    fn time_bar(seconds: &f64, of: &f64) -> String {
        Self::bar(&(seconds / of))
    }

    /// Precision, recall and F1 of a label.
    fn ratios(label: &LabelMetrics) -> [Option<f64>; 3] {
        [label.precision, label.recall, label.f1]
    }

    /// A time in words.
    fn seconds(seconds: &f64) -> String {
        match seconds {
            s if *s < 10.0 => format!("{s:.2} s"),
            s if *s < 120.0 => format!("{s:.1} s"),
            s => format!("{:.0} min {:02.0} s", (s / 60.0).floor(), (s % 60.0).floor()),
        }
    }

    /// The end of a path that names an image: its label's directory and its own name.
    fn short_name(file: &str) -> String {
        let parts: Vec<&str> = file.rsplitn(3, '/').take(2).collect();
        parts.into_iter().rev().collect::<Vec<_>>().join("/")
    }
}

fn created(report: &Report) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    // A time near the end of the calendar cannot be moved to UTC; then there is none to show.
    let utc = report.created.checked_to_offset(UtcOffset::UTC);
    utc.and_then(|utc| utc.format(&format).ok()).unwrap_or_default()
}

/// The confusion as rows to show; none where there are no frames or too many labels.
fn matrix(report: &Report) -> Vec<MatrixRow<'_>> {
    let metrics = &report.metrics;
    if metrics.frames == 0 || metrics.labels.len() > MOST_MATRIX_LABELS {
        return Vec::new();
    }
    let rows = metrics.labels.iter().zip(metrics.confusion.rows()).enumerate();
    rows.map(|(truth, (label, counts))| matrix_row(truth, label, counts))
        .collect()
}

fn matrix_row<'a>(truth: usize, label: &'a LabelMetrics, counts: &[usize]) -> MatrixRow<'a> {
    let frames = counts.iter().sum();
    let cells = counts.iter().enumerate();
    MatrixRow {
        label: label.label.as_str(),
        frames,
        cells: cells
            .map(|(prediction, count)| cell(*count, frames, truth == prediction))
            .collect(),
    }
}

fn cell(frames: usize, of: usize, is_hit: bool) -> Cell {
    let share = frames as f64 / of.max(1) as f64;
    /// Light figures can be read from here on, dark ones up to here.
    const DARK_FROM: f64 = 0.75;
    let class = match (is_hit, share > DARK_FROM) {
        _ if frames == 0 => "zero",
        (true, false) => "hit",
        (true, true) => "hit strong",
        (false, false) => "miss",
        (false, true) => "miss strong",
    };
    Cell { frames, share, class }
}

/// What was most often taken for something else, where there are too many labels for a matrix.
fn mix_ups(report: &Report) -> Vec<MixUp<'_>> {
    let labels = &report.metrics.labels;
    if labels.len() <= MOST_MATRIX_LABELS {
        return Vec::new();
    }
    let mut mix_ups = Vec::new();
    for (truth, row) in labels.iter().zip(report.metrics.confusion.rows()) {
        for (prediction, frames) in labels.iter().zip(row) {
            if *frames > 0 && truth.label != prediction.label {
                mix_ups.push(MixUp {
                    truth: truth.label.as_str(),
                    prediction: prediction.label.as_str(),
                    frames: *frames,
                });
            }
        }
    }
    mix_ups.sort_by_key(|mix_up| std::cmp::Reverse(mix_up.frames));
    mix_ups.truncate(MOST_ROWS);
    mix_ups
}

fn images(report: &Report) -> Vec<Image<'_>> {
    let worst = report.worst_mistakes().into_iter().take(MOST_SHOWN);
    worst.map(image).collect()
}

fn image(mistake: &Mistake) -> Image<'_> {
    Image {
        mistake,
        thumbnail: thumbnail::uri(Path::new(&mistake.file)).map_err(|error| error.to_string()),
    }
}
