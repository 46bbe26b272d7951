//! An HTML page with the timeline of a bag: the gestures by model, the expected labels, and the image of each change. The page is one file,
//! loads nothing and has no scripts.

use std::io::{self, Write};

use askama::Template;

use super::agreement::{Agreement, IntervalAgreement};
use super::image::BagImage;
use super::predictions::FramePrediction;
use super::secs_between;
use crate::dataset::Label;
use crate::frame::FrameError;
use crate::thumbnail;

/// Maximum number of images; each adds about 8 kB to the page.
const MAX_IMAGES: usize = 150;
/// Number of colors in the style sheet; with more labels, colors repeat.
const COLORS: usize = 8;
/// Width of a timeline in SVG user units, as in the template's `viewBox`.
const TIMELINE_WIDTH: f64 = 1000.0;

/// Consecutive frames for which the gesture of each model stays the same.
#[derive(Debug)]
pub struct Span {
    /// Index of the gesture's label for each model; `None` if the gesture is unknown.
    pub gestures: Vec<Option<usize>>,
    /// Time of the first frame, nanoseconds since the epoch.
    pub from_ns: i64,
    /// Time of the last frame, nanoseconds since the epoch.
    pub to_ns: i64,
    /// The number of frames.
    pub frames: usize,
    /// The number of frames for which the first model's gesture is stable.
    pub stable: usize,
    /// The number of frames that are unfamiliar to the first model.
    pub unfamiliar: usize,
    /// The first frame as a `data:` URI; `None` if it is not shown.
    image: Option<Result<String, FrameError>>,
}

/// The frames of a bag as a sequence of [`Span`]s.
#[derive(Debug, Default)]
pub struct Timeline {
    spans: Vec<Span>,
    images: usize,
    /// The number of images left out because of [`MAX_IMAGES`].
    omitted_images: usize,
}

/// What the page says about the bag and the models.
#[derive(Clone, Copy, Debug)]
pub struct PageInfo<'a> {
    /// The path of the bag.
    pub bag: &'a str,
    /// The name of the topic.
    pub topic: &'a str,
    /// The names of the models, in the order of [`Span::gestures`].
    pub models: &'a [String],
    /// The labels of the models.
    pub labels: &'a [Label],
}

#[derive(Template)]
#[template(path = "bag/timeline.html")]
struct Page<'a> {
    info: PageInfo<'a>,
    agreement: Option<&'a Agreement>,
    /// One timeline per model.
    timelines: Vec<Vec<Block<'a>>>,
    expected: Vec<Block<'a>>,
    figures: Vec<Figure<'a>>,
    frames: usize,
    omitted_images: usize,
    duration_secs: f64,
}

/// Converts the spans of a timeline to the elements of the page.
struct Scale<'a> {
    /// Time of the first frame, nanoseconds since the epoch.
    start_ns: i64,
    /// Time of the last frame, nanoseconds since the epoch.
    end_ns: i64,
    /// At least a millisecond, because widths are divided by it.
    duration_secs: f64,
    labels: &'a [Label],
}

/// A rectangle of a timeline.
struct Block<'a> {
    x: f64,
    width: f64,
    css_class: String,
    title: &'a str,
}

/// A span that is shown with its image.
struct Figure<'a> {
    from: f64,
    to: f64,
    frames: usize,
    stable: usize,
    unfamiliar: usize,
    /// Name and CSS class of each model's gesture.
    gestures: Vec<(&'a str, String)>,
    image: &'a Result<String, FrameError>,
}

impl Timeline {
    /// Adds the next frame with its gesture by each model; `prediction` is that of the first model. If the frame starts a new span, the
    /// page shows its image only with `show_image`.
    pub fn add(
        &mut self,
        prediction: &FramePrediction,
        gestures: Vec<Option<usize>>,
        image: &BagImage,
        show_image: bool,
    ) {
        let time_ns = prediction.time_ns;
        match self.spans.last_mut() {
            Some(span) if span.gestures == gestures && span.to_ns <= time_ns => {
                span.to_ns = time_ns;
                span.frames += 1;
                span.stable += usize::from(prediction.stable);
                span.unfamiliar += usize::from(prediction.is_unfamiliar());
            }
            _ => {
                let has_room = self.images < MAX_IMAGES;
                self.omitted_images += usize::from(show_image && !has_room);
                let show_image = show_image && has_room;
                self.images += usize::from(show_image);
                self.spans.push(Span {
                    gestures,
                    from_ns: time_ns,
                    to_ns: time_ns,
                    frames: 1,
                    stable: usize::from(prediction.stable),
                    unfamiliar: usize::from(prediction.is_unfamiliar()),
                    image: show_image.then(|| thumbnail::uri_of(&image.frame)),
                });
            }
        }
    }

    /// The spans, in the order of the frames.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Writes the page.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn write_html(
        &self,
        info: PageInfo,
        agreement: Option<&Agreement>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        self.page(info, agreement).write_into(out)
    }

    fn page<'a>(&'a self, info: PageInfo<'a>, agreement: Option<&'a Agreement>) -> Page<'a> {
        let scale = Scale::new(&self.spans, info.labels);
        // A block extends to the start of the next span.
        let starts = self.spans.iter().map(|span| scale.secs(span.from_ns));
        let ends: Vec<f64> = starts.skip(1).chain([scale.secs(scale.end_ns)]).collect();
        let timeline = |model: usize| {
            let spans = self.spans.iter().zip(&ends);
            spans
                .map(|(span, end)| scale.block(scale.secs(span.from_ns), *end, span.gestures[model]))
                .collect()
        };
        let intervals = agreement.map_or(&[][..], |agreement| &agreement.intervals);
        let expected = |interval: &IntervalAgreement| {
            let mut labels = info.labels.iter();
            let label = labels.position(|label| label.as_str() == interval.label);
            scale.block(interval.from, interval.to, label)
        };
        Page {
            info,
            agreement,
            timelines: (0..info.models.len()).map(timeline).collect(),
            expected: intervals.iter().map(expected).collect(),
            figures: self.spans.iter().filter_map(|span| scale.figure(span)).collect(),
            frames: self.spans.iter().map(|span| span.frames).sum(),
            omitted_images: self.omitted_images,
            duration_secs: scale.duration_secs,
        }
    }
}

impl<'a> Scale<'a> {
    fn new(spans: &[Span], labels: &'a [Label]) -> Scale<'a> {
        let start_ns = spans.first().map_or(0, |span| span.from_ns);
        let end_ns = spans.iter().map(|span| span.to_ns).max().unwrap_or(start_ns);
        Scale {
            start_ns,
            end_ns,
            duration_secs: secs_between(start_ns, end_ns).max(1e-3),
            labels,
        }
    }

    fn secs(&self, time_ns: i64) -> f64 {
        secs_between(self.start_ns, time_ns)
    }

    fn name(&self, label: Option<usize>) -> &'a str {
        label
            .and_then(|label| self.labels.get(label))
            .map_or("unknown", Label::as_str)
    }

    /// The block from `from` to `to`, seconds from the first frame.
    fn block(&self, from: f64, to: f64, label: Option<usize>) -> Block<'a> {
        let duration = self.duration_secs;
        Block {
            x: (from / duration).clamp(0.0, 1.0) * TIMELINE_WIDTH,
            width: ((to.min(duration) - from) / duration).clamp(0.0, 1.0) * TIMELINE_WIDTH,
            css_class: css_class(label),
            title: self.name(label),
        }
    }

    /// The figure of a span; `None` if its image is not shown.
    fn figure(&self, span: &'a Span) -> Option<Figure<'a>> {
        let gestures = span.gestures.iter();
        Some(Figure {
            from: self.secs(span.from_ns),
            to: self.secs(span.to_ns),
            frames: span.frames,
            stable: span.stable,
            unfamiliar: span.unfamiliar,
            gestures: gestures
                .map(|label| (self.name(*label), css_class(*label)))
                .collect(),
            image: span.image.as_ref()?,
        })
    }
}

fn css_class(label: Option<usize>) -> String {
    label.map_or_else(
        || "unknown".to_owned(),
        |label| format!("label{}", label % COLORS),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;
    use crate::recognizer::Basis;

    fn page(gestures: &[Option<usize>]) -> String {
        let mut timeline = Timeline::default();
        for (time_ns, label) in (0..).step_by(100_000_000).zip(gestures) {
            let prediction = FramePrediction {
                recognizer: Basis::Image,
                familiarity: None,
                time_ns,
                label: label.unwrap_or_default(),
                confidence: 0.9,
                reason: if label.is_some() { "" } else { "margin" },
                stable: label.is_some(),
                hand: false,
                probabilities: vec![0.9, 0.1],
            };
            let image = BagImage {
                stamp_ns: time_ns,
                frame_id: String::new(),
                frame: Frame::from_raw("mono8", 8, 8, 8, vec![99; 64]).expect("a valid frame"),
            };
            timeline.add(&prediction, vec![*label], &image, true);
        }
        let labels = ["none", "thumbs_up"].map(|label| Label::new(label).expect("a valid label"));
        let info = PageInfo {
            bag: "bag<script>",
            topic: "/camera",
            models: &["model".to_owned()],
            labels: &labels,
        };
        let mut page = Vec::new();
        timeline
            .write_html(info, None, &mut page)
            .expect("written to memory");
        String::from_utf8(page).expect("UTF-8")
    }

    #[test]
    fn each_change_of_gesture_is_a_block_and_an_image() {
        let page = page(&[Some(0), Some(0), Some(1), None, Some(1)]);
        assert_eq!(page.matches("<rect").count(), 4);
        assert_eq!(page.matches("data:image/jpeg;base64,").count(), 4);
        assert!(page.contains("thumbs_up") && page.contains("unknown"));
    }

    #[test]
    fn names_are_escaped_and_scripts_are_forbidden() {
        let page = page(&[Some(0)]);
        assert!(!page.contains("bag<script>") && page.contains("bag&#60;script&#62;"));
        assert!(page.contains("Content-Security-Policy"));
    }
}
