//! A bag as a page to look at: what was seen when, what should have been, and an image of each turn. One file of HTML that needs nothing
//! else and runs nothing.

use std::io::{self, Write};

use askama::Template;

use super::image::BagImage;
use super::predictions::{Agreement, FramePrediction, IntervalAgreement};
use super::secs_between;
use crate::dataset::Label;
use crate::frame::FrameError;
use crate::thumbnail;

/// Spans that are shown; each adds some 8 kB to the page.
const MOST_SHOWN: usize = 150;
/// Labels beyond this many share their colours with others.
const COLOURS: usize = 8;
/// Width of the bands, in units of the drawing.
const WIDTH: f64 = 1000.0;

/// Frames one after the other of which the same is said, by as many models as classify them.
#[derive(Debug)]
pub struct Span {
    /// Index of the label that each model sees; none where it has no prediction.
    pub seen: Vec<Option<usize>>,
    /// Time of its first frame, nanoseconds since the epoch.
    pub from_ns: i64,
    /// Time of its last frame.
    pub to_ns: i64,
    /// Frames in it.
    pub frames: usize,
    /// Those that can be acted on, by the first model.
    pub stable: usize,
    /// Its first frame as a `data:` URI, where it is shown.
    image: Option<Result<String, FrameError>>,
}

/// The spans of a bag, in their order.
#[derive(Debug, Default)]
pub struct Timeline {
    spans: Vec<Span>,
    shown: usize,
    /// Spans that were worth an image and got none.
    left_out: usize,
}

/// What is written over the page.
#[derive(Clone, Copy, Debug)]
pub struct Heading<'a> {
    /// The bag.
    pub bag: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The models, the first one first.
    pub models: &'a [String],
    /// Their labels.
    pub labels: &'a [Label],
}

#[derive(Template)]
#[template(path = "bag/timeline.html")]
struct Page<'a> {
    heading: Heading<'a>,
    agreement: Option<&'a Agreement>,
    bands: Vec<Vec<Block<'a>>>,
    expected: Vec<Block<'a>>,
    rows: Vec<Row<'a>>,
    frames: usize,
    left_out: usize,
    duration_secs: f64,
}

/// A block of a band.
struct Block<'a> {
    x: f64,
    width: f64,
    colour: String,
    title: &'a str,
}

struct Row<'a> {
    from: f64,
    to: f64,
    frames: usize,
    stable: usize,
    seen: Vec<(&'a str, String)>,
    image: &'a Result<String, FrameError>,
}

impl Timeline {
    /// Takes in the next frame: what each model sees in it, whether the first one's gesture is stable, and whether a new span that
    /// begins with it is worth an image.
    pub fn add(
        &mut self,
        prediction: &FramePrediction,
        seen: Vec<Option<usize>>,
        image: &BagImage,
        is_shown: bool,
    ) {
        let time_ns = prediction.time_ns;
        match self.spans.last_mut() {
            Some(span) if span.seen == seen && span.to_ns <= time_ns => {
                span.to_ns = time_ns;
                span.frames += 1;
                span.stable += usize::from(prediction.stable);
            }
            _ => {
                let has_room = self.shown < MOST_SHOWN;
                self.left_out += usize::from(is_shown && !has_room);
                let is_shown = is_shown && has_room;
                self.shown += usize::from(is_shown);
                self.spans.push(Span {
                    seen,
                    from_ns: time_ns,
                    to_ns: time_ns,
                    frames: 1,
                    stable: usize::from(prediction.stable),
                    image: is_shown.then(|| thumbnail::uri_of(&image.frame)),
                });
            }
        }
    }

    /// The spans.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Writes the page.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_html(
        &self,
        heading: Heading,
        agreement: Option<&Agreement>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        self.page(heading, agreement).write_into(out)
    }

    fn page<'a>(&'a self, heading: Heading<'a>, agreement: Option<&'a Agreement>) -> Page<'a> {
        let start_ns = self.spans.first().map_or(0, |span| span.from_ns);
        let end_ns = self.spans.iter().map(|span| span.to_ns).max().unwrap_or(start_ns);
        let secs = |time_ns: i64| secs_between(start_ns, time_ns);
        let duration_secs = secs(end_ns).max(1e-3);
        let name = |label: Option<usize>| {
            label
                .and_then(|label| heading.labels.get(label))
                .map_or("unknown", Label::as_str)
        };
        let block = |from: f64, to: f64, label: Option<usize>| Block {
            x: (from / duration_secs).clamp(0.0, 1.0) * WIDTH,
            width: ((to.min(duration_secs) - from) / duration_secs).clamp(0.0, 1.0) * WIDTH,
            colour: colour(label),
            title: name(label),
        };
        // A span lasts until the next one begins.
        let ends = self
            .spans
            .iter()
            .skip(1)
            .map(|next| secs(next.from_ns))
            .chain([secs(end_ns)]);
        let ends: Vec<f64> = ends.collect();
        let band = |model: usize| {
            let spans = self.spans.iter().zip(&ends);
            spans
                .map(|(span, end)| block(secs(span.from_ns), *end, span.seen[model]))
                .collect()
        };
        let intervals = agreement.map_or(&[][..], |agreement| &agreement.intervals);
        let expected = |interval: &IntervalAgreement| {
            let label = heading
                .labels
                .iter()
                .position(|label| label.as_str() == interval.label);
            block(interval.from, interval.to, label)
        };
        let row = |span: &'a Span| {
            Some(Row {
                from: secs(span.from_ns),
                to: secs(span.to_ns),
                frames: span.frames,
                stable: span.stable,
                seen: span
                    .seen
                    .iter()
                    .map(|label| (name(*label), colour(*label)))
                    .collect(),
                image: span.image.as_ref()?,
            })
        };
        let rows: Vec<Row> = self.spans.iter().filter_map(row).collect();
        Page {
            heading,
            agreement,
            bands: (0..heading.models.len()).map(band).collect(),
            expected: intervals.iter().map(expected).collect(),
            frames: self.spans.iter().map(|span| span.frames).sum(),
            left_out: self.left_out,
            rows,
            duration_secs,
        }
    }
}

/// A class of the style sheet.
fn colour(label: Option<usize>) -> String {
    label.map_or_else(
        || "unknown".to_owned(),
        |label| format!("label{}", label % COLOURS),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;

    fn page(seen: &[Option<usize>]) -> String {
        let mut timeline = Timeline::default();
        for (time_ns, label) in (0..).step_by(100_000_000).zip(seen) {
            let prediction = FramePrediction {
                time_ns,
                label: label.unwrap_or_default(),
                confidence: 0.9,
                reason: if label.is_some() { "" } else { "margin" },
                stable: label.is_some(),
                probabilities: vec![0.9, 0.1],
            };
            let image = BagImage {
                stamp_ns: time_ns,
                frame_id: String::new(),
                frame: Frame::from_raw("mono8", 8, 8, 8, vec![99; 64]).expect("a frame"),
            };
            timeline.add(&prediction, vec![*label], &image, true);
        }
        let labels = ["none", "thumbs_up"].map(|label| Label::new(label).expect("a label"));
        let heading = Heading {
            bag: "bag<script>",
            topic: "/camera",
            models: &["model".to_owned()],
            labels: &labels,
        };
        let mut page = Vec::new();
        timeline
            .write_html(heading, None, &mut page)
            .expect("into memory");
        String::from_utf8(page).expect("UTF-8")
    }

    #[test]
    fn each_turn_is_a_block_and_an_image() {
        let page = page(&[Some(0), Some(0), Some(1), None, Some(1)]);
        assert_eq!(page.matches("<rect").count(), 4);
        assert_eq!(page.matches("data:image/jpeg;base64,").count(), 4);
        assert!(page.contains("thumbs_up") && page.contains("unknown"));
    }

    #[test]
    fn what_comes_from_outside_is_escaped_and_nothing_runs() {
        let page = page(&[Some(0)]);
        assert!(!page.contains("bag<script>") && page.contains("bag&#60;script&#62;"));
        assert!(page.contains("Content-Security-Policy"));
    }
}
