//! The report as a self-contained HTML page, without scripts or references to other files.
//!
//! Names, paths and reasons are untrusted: the template escapes them, and a content security policy forbids the page to load or
//! run anything. Only charts and thumbnails generated here are inserted without escaping.

use std::io::{self, Write};
use std::path::Path;

use askama::Template;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::curves::Curves;
use super::reliability::reliability_diagram;
use super::{LabelCount, Mistake, Report, SceneReport};
use crate::dataset::SkippedFile;
use crate::metrics::LabelMetrics;
use crate::thumbnail;

/// Mistakes shown, and scenes, each of which adds about 8 kB to the page.
const MAX_IMAGES: usize = 24;
/// Rows shown of a list that may have thousands, such as the skipped files.
const MAX_ROWS: usize = 100;
/// Labels up to which the confusion matrix is shown; a larger one would be unreadable.
const MAX_MATRIX_LABELS: usize = 24;

/// Writes a report as an HTML page; an image that cannot be read anymore is replaced by the reason.
///
/// # Errors
/// Writing to `out` failed.
pub(in crate::training) fn write_html(report: &Report, out: &mut impl Write) -> io::Result<()> {
    Page::new(report).write_into(out)
}

#[derive(Template)]
#[template(path = "training/report/template.html")]
struct Page<'a> {
    report: &'a Report,
    created: String,
    /// Which frames the metrics were measured on.
    measured_on: &'static str,
    curves: Curves,
    matrix: Vec<MatrixRow<'a>>,
    confusions: Vec<ConfusedPair<'a>>,
    reliability: Option<String>,
    scenes: Vec<ShownScene<'a>>,
    images: Vec<Image<'a>>,
    skipped: &'a [SkippedFile],
    max_frames: usize,
    total_seconds: f64,
}

/// A row of the confusion matrix: the frames of one true label.
struct MatrixRow<'a> {
    label: &'a str,
    frames: usize,
    cells: Vec<Cell>,
}

struct Cell {
    frames: usize,
    /// Share of the row's frames, 0 to 1.
    fraction: f64,
    class: &'static str,
    is_dark: bool,
}

/// Frames of one label that were classified as another.
struct ConfusedPair<'a> {
    truth: &'a str,
    prediction: &'a str,
    frames: usize,
}

struct ShownScene<'a> {
    scene: &'a SceneReport,
    /// Number of frames of all labels.
    frames: usize,
    captured: Option<String>,
    /// Number of frames of each label.
    labels: Vec<(&'a str, usize)>,
    /// As in [`Image`].
    thumbnail: Result<String, String>,
}

struct Image<'a> {
    mistake: &'a Mistake,
    /// A `data:` URI, or why the image cannot be shown.
    thumbnail: Result<String, String>,
}

impl<'a> Page<'a> {
    fn new(report: &'a Report) -> Page<'a> {
        let measured_on = match report.folds.len() {
            0 => "held-out frames",
            _ => "frames, each classified by a training without it",
        };
        let skipped = &report.dataset.skipped;
        let frames_of = |label: &LabelCount| {
            let parts = [label.train, label.validation, label.left_out];
            parts.into_iter().fold(0, usize::saturating_add).max(label.frames)
        };
        Page {
            report,
            created: minute(report.created).unwrap_or_default(),
            measured_on,
            curves: Curves::new(&report.curves),
            matrix: matrix(report),
            confusions: confusions(report),
            reliability: reliability_diagram(&report.metrics.reliability),
            scenes: report
                .scenes
                .iter()
                .take(MAX_IMAGES)
                .map(|scene| shown_scene(report, scene))
                .collect(),
            images: images(report),
            skipped: &skipped[..skipped.len().min(MAX_ROWS)],
            max_frames: report.dataset.labels.iter().map(frames_of).max().unwrap_or(0),
            total_seconds: report.timings.iter().map(|timing| timing.seconds).sum(),
        }
    }

    /// A fraction as a percentage with one decimal and a non-breaking space.
    fn percent(fraction: &f64) -> String {
        format!("{:.1}\u{a0}%", fraction * 100.0)
    }

    /// The same, or a dash if there is no value.
    fn percent_or_dash(fraction: &Option<f64>) -> String {
        fraction.as_ref().map_or_else(|| "–".to_owned(), Self::percent)
    }

    /// The length of a bar in percent, as CSS accepts it: a finite number from 0 to 100.
    fn bar(fraction: &f64) -> String {
        let fraction = if fraction.is_finite() { *fraction } else { 0.0 };
        format!("{:.1}", fraction.clamp(0.0, 1.0) * 100.0)
    }

    fn frames_bar(frames: &usize, of: &usize) -> String {
        Self::bar(&(*frames as f64 / *of as f64))
    }

    fn time_bar(seconds: &f64, of: &f64) -> String {
        Self::bar(&(seconds / of))
    }

    /// Precision, recall and F1 of a label.
    fn ratios(label: &LabelMetrics) -> [Option<f64>; 3] {
        [label.precision, label.recall, label.f1]
    }

    /// A duration, such as `1.25 s` or `2 min 05 s`.
    fn duration(seconds: &f64) -> String {
        match seconds {
            s if *s < 10.0 => format!("{s:.2} s"),
            s if *s < 120.0 => format!("{s:.1} s"),
            s => format!("{:.0} min {:02.0} s", (s / 60.0).floor(), (s % 60.0).floor()),
        }
    }

    /// A path without that of the dataset: the label's directory, those below it, and the file name.
    fn short_name(&self, file: &str) -> String {
        let root = std::path::absolute(&self.report.dataset.root).unwrap_or_default();
        let relative = Path::new(file).strip_prefix(root);
        relative.map_or_else(|_| file.to_owned(), |path| path.display().to_string())
    }
}

/// A time to the minute. One at the end of the calendar has no UTC equivalent; it is not shown.
fn minute(time: OffsetDateTime) -> Option<String> {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    time.checked_to_offset(UtcOffset::UTC)?.format(&format).ok()
}

fn shown_scene<'a>(report: &'a Report, scene: &'a SceneReport) -> ShownScene<'a> {
    let labels = report.dataset.labels.iter().map(|label| label.label.as_str());
    ShownScene {
        scene,
        frames: scene.frames.iter().sum(),
        captured: scene.captured.and_then(minute),
        labels: labels.zip(scene.frames.iter().copied()).collect(),
        thumbnail: thumbnail_of(&scene.example),
    }
}

fn thumbnail_of(file: &str) -> Result<String, String> {
    thumbnail::uri(Path::new(file)).map_err(|error| error.to_string())
}

/// The rows of the confusion matrix; empty without frames or with too many labels.
fn matrix(report: &Report) -> Vec<MatrixRow<'_>> {
    let metrics = &report.metrics;
    if metrics.frames == 0 || metrics.labels.len() > MAX_MATRIX_LABELS {
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

fn cell(frames: usize, of: usize, is_correct: bool) -> Cell {
    /// Above this fraction the background is so dark that the text must be light.
    const MAX_LIGHT: f64 = 0.75;
    let fraction = frames as f64 / of.max(1) as f64;
    let class = if frames == 0 {
        "zero"
    } else if is_correct {
        "hit"
    } else {
        "miss"
    };
    Cell {
        frames,
        fraction,
        class,
        is_dark: fraction > MAX_LIGHT,
    }
}

/// The pairs of labels that were confused most often; empty if the matrix is shown.
fn confusions(report: &Report) -> Vec<ConfusedPair<'_>> {
    let labels = &report.metrics.labels;
    if labels.len() <= MAX_MATRIX_LABELS {
        return Vec::new();
    }
    let mut pairs = Vec::new();
    for (truth, row) in labels.iter().zip(report.metrics.confusion.rows()) {
        for (prediction, frames) in labels.iter().zip(row) {
            if *frames > 0 && truth.label != prediction.label {
                pairs.push(ConfusedPair {
                    truth: truth.label.as_str(),
                    prediction: prediction.label.as_str(),
                    frames: *frames,
                });
            }
        }
    }
    pairs.sort_by_key(|pair| std::cmp::Reverse(pair.frames));
    pairs.truncate(MAX_ROWS);
    pairs
}

fn images(report: &Report) -> Vec<Image<'_>> {
    let worst = report.worst_mistakes().into_iter().take(MAX_IMAGES);
    worst.map(image).collect()
}

fn image(mistake: &Mistake) -> Image<'_> {
    Image {
        mistake,
        thumbnail: thumbnail_of(&mistake.file),
    }
}
