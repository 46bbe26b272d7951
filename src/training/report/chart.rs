//! Line charts over epochs as inline SVG, and the elements that other charts share.
//!
//! Charts contain only numbers and fixed texts, so nothing needs escaping. Colors come from the page's style sheet, by class, so
//! that charts follow its light, dark and print styles.

use std::fmt::Write;
use std::ops::RangeInclusive;

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 250.0;
/// The left margin holds the tick labels of the y axis, the lower one those of the x axis and its title.
const PLOT: Area = Area {
    left: 46.0,
    top: 10.0,
    right: WIDTH - 12.0,
    bottom: HEIGHT - 40.0,
};

pub(super) struct LineChart {
    /// For screen readers.
    pub(super) description: &'static str,
    /// Values that the y axis covers.
    pub(super) y_range: RangeInclusive<f64>,
    /// Whether values are fractions, to be shown as percentages.
    pub(super) is_percent: bool,
    /// From back to front.
    pub(super) lines: Vec<Line>,
    /// An epoch to mark with a vertical line.
    pub(super) marked_epoch: Option<u32>,
}

pub(super) struct Line {
    /// Classes in the style sheet.
    pub(super) class: &'static str,
    /// Epoch and value of each point, in the order of the epochs; a value that is not finite is a gap.
    pub(super) points: Vec<(u32, f64)>,
}

/// A rectangle, in an SVG's user units.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Area {
    /// The x coordinate of a fraction of the width, 0 to 1 from left to right.
    pub(super) fn x(self, fraction: f64) -> f64 {
        self.left + fraction * (self.right - self.left)
    }

    /// The y coordinate of a fraction of the height, 0 to 1 from bottom to top.
    pub(super) fn y(self, fraction: f64) -> f64 {
        self.bottom + fraction * (self.top - self.bottom)
    }
}

/// Maps epochs and values to coordinates in [`PLOT`].
struct Axes {
    first: u32,
    last: u32,
    y_ticks: Vec<f64>,
}

impl Axes {
    /// `None` if no line has a finite value.
    fn new(chart: &LineChart) -> Option<Axes> {
        let points = chart.lines.iter().flat_map(|line| &line.points);
        let drawn = points.filter(|(_, value)| value.is_finite());
        let epochs: Vec<u32> = drawn.map(|(epoch, _)| *epoch).collect();
        Some(Axes {
            first: *epochs.iter().min()?,
            last: *epochs.iter().max()?,
            y_ticks: ticks(&chart.y_range),
        })
    }

    fn x(&self, epoch: u32) -> f64 {
        match self.last - self.first {
            // A single epoch is in the middle.
            0 => PLOT.x(0.5),
            span => PLOT.x(f64::from(epoch - self.first) / f64::from(span)),
        }
    }

    fn y(&self, value: f64) -> f64 {
        PLOT.y(((value - self.y_ticks[0]) / self.y_span()).clamp(0.0, 1.0))
    }

    fn y_span(&self) -> f64 {
        self.y_ticks[self.y_ticks.len() - 1] - self.y_ticks[0]
    }
}

/// The chart as an `<svg>` element; `None` if no line has a finite value.
pub(super) fn line_chart(chart: &LineChart) -> Option<String> {
    let axes = Axes::new(chart)?;
    let mut svg = opening(WIDTH, HEIGHT, chart.description);
    draw_axes(&mut svg, &axes, chart.is_percent);
    let marked = chart
        .marked_epoch
        .filter(|epoch| (axes.first..=axes.last).contains(epoch));
    if let Some(epoch) = marked {
        let (x, top, bottom) = (axes.x(epoch), PLOT.top, PLOT.bottom);
        add(
            &mut svg,
            format_args!(r#"<path class="mark" d="M{x:.1} {top:.1}V{bottom:.1}"/>"#),
        );
    }
    for line in &chart.lines {
        draw_line(&mut svg, line, &axes);
    }
    svg.push_str("</svg>");
    Some(svg)
}

fn draw_axes(svg: &mut String, axes: &Axes, is_percent: bool) {
    for tick in &axes.y_ticks {
        let label = tick_text(*tick, is_percent, axes.y_span());
        grid_line(svg, PLOT, axes.y(*tick), &label);
    }
    for epoch in epoch_ticks(axes.first, axes.last) {
        let label = epoch.to_string();
        text(svg, axes.x(epoch), PLOT.bottom + 16.0, "middle", &label);
    }
    text(svg, PLOT.x(0.5), HEIGHT - 6.0, "middle", "epoch");
}

/// The opening tag of a chart, with a description for screen readers.
pub(super) fn opening(width: f64, height: f64, description: &str) -> String {
    format!(r#"<svg viewBox="0 0 {width} {height}" role="img" aria-label="{description}">"#)
}

/// Adds a horizontal line across an area, with a label to the left of it.
pub(super) fn grid_line(svg: &mut String, area: Area, y: f64, label: &str) {
    let (left, right) = (area.left, area.right);
    add(
        svg,
        format_args!(r#"<path class="grid" d="M{left:.1} {y:.1}H{right:.1}"/>"#),
    );
    text(svg, left - 6.0, y + 4.0, "end", label);
}

/// Adds a text whose `start`, `middle` or `end` is at the given coordinates.
pub(super) fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    add(
        svg,
        format_args!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#),
    );
}

/// A point between two gaps would be invisible as a line, so it is drawn as a dot.
fn draw_line(svg: &mut String, line: &Line, axes: &Axes) {
    let class = line.class;
    for segment in line.points.split(|(_, value)| !value.is_finite()) {
        match segment {
            [] => {}
            [(epoch, value)] => {
                let (x, y) = (axes.x(*epoch), axes.y(*value));
                add(
                    svg,
                    format_args!(r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="3"/>"#),
                );
            }
            points => {
                add(svg, format_args!(r#"<polyline class="{class}" points=""#));
                for (epoch, value) in points {
                    add(svg, format_args!("{:.1},{:.1} ", axes.x(*epoch), axes.y(*value)));
                }
                svg.push_str(r#""/>"#);
            }
        }
    }
}

/// 2 to 7 tick values that enclose a range, with a step of 1, 2 or 5 times a power of ten.
fn ticks(range: &RangeInclusive<f64>) -> Vec<f64> {
    let (low, high) = (*range.start(), *range.end());
    let usable = low.is_finite() && high.is_finite() && high - low > 1e-9 && high - low < 1e12;
    let (low, high) = if usable { (low, high) } else { (0.0, 1.0) };
    let rough = (high - low) / 4.0;
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = steps
        .into_iter()
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(power * 10.0);
    // A range that ends on a tick, up to rounding errors, needs no tick beyond it.
    let first = (low / step + 1e-6).floor() as i64;
    let last = (high / step - 1e-6).ceil() as i64;
    (first..=last.max(first + 1))
        .map(|index| index as f64 * step)
        .collect()
}

/// At most 8 epochs: the first one, then multiples of a round step.
fn epoch_ticks(first: u32, last: u32) -> Vec<u32> {
    let span = last - first;
    let round_steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
    let step = round_steps
        .into_iter()
        .find(|step| span / step < 7)
        .unwrap_or(span.div_ceil(7));
    // A tick label close to the first one would overlap it.
    let round = first
        .saturating_add(step.div_ceil(2))
        .div_ceil(step)
        .saturating_mul(step);
    let mut ticks = vec![first];
    ticks.extend((round..=last).step_by(step as usize));
    ticks
}

/// The tick label of a value on an axis with the given span.
pub(super) fn tick_text(value: f64, is_percent: bool, span: f64) -> String {
    if is_percent {
        return format!("{:.0}%", value * 100.0);
    }
    let decimals = if span >= 5.0 {
        0
    } else if span >= 0.5 {
        1
    } else {
        2
    };
    format!("{value:.decimals$}")
}

pub(super) fn add(svg: &mut String, element: std::fmt::Arguments<'_>) {
    svg.write_fmt(element).expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: &[(u32, f64)]) -> Option<String> {
        line_chart(&LineChart {
            description: "loss",
            y_range: 0.0..=2.0,
            is_percent: false,
            lines: vec![Line {
                class: "train",
                points: points.to_vec(),
            }],
            marked_epoch: Some(2),
        })
    }

    #[test]
    fn chart_without_a_finite_value_is_none() {
        assert_eq!(chart(&[]), None);
        assert_eq!(chart(&[(1, f64::NAN), (2, f64::INFINITY)]), None);
    }

    #[test]
    fn nan_is_a_gap_and_an_isolated_point_a_dot() {
        let svg = chart(&[(1, 1.0), (2, 0.5), (3, f64::NAN), (4, 0.4)]).expect("points");
        assert_eq!(svg.matches("<polyline").count(), 1);
        assert_eq!(svg.matches("<circle").count(), 1);
        assert!(!svg.contains("NaN"), "{svg}");
        assert!(svg.contains("class=\"mark\""));
    }

    #[test]
    fn single_epoch_is_drawn() {
        let svg = chart(&[(1, 1.0)]).expect("a point");
        assert!(svg.contains("<circle"), "{svg}");
        assert!(!svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn two_to_seven_ticks_enclose_the_range() {
        for (low, high) in [
            (0.0, 1.0),
            (0.0, 0.037),
            (0.0, 812.0),
            (0.83, 1.0),
            (0.0, 3.0),
            (0.0, 1e9),
        ] {
            let ticks = ticks(&(low..=high));
            assert!((2..=7).contains(&ticks.len()), "{low}..{high}: {ticks:?}");
            assert!(ticks[0] <= low + 1e-9 && ticks[ticks.len() - 1] >= high - 1e-9);
        }
        for (low, high) in [
            (0.0, 0.0),
            (0.0, f64::NAN),
            (0.0, f64::INFINITY),
            (0.0, f64::MAX),
            (1.0, 0.0),
        ] {
            assert_eq!(ticks(&(low..=high)).last(), Some(&1.0), "{low}..{high}");
        }
    }

    #[test]
    fn at_most_eight_epochs_are_labeled() {
        assert_eq!(epoch_ticks(1, 1), [1]);
        assert_eq!(epoch_ticks(1, 5), [1, 2, 3, 4, 5]);
        assert_eq!(epoch_ticks(1, 20), [1, 5, 10, 15, 20]);
        assert!(epoch_ticks(1, 1000).len() <= 8);
        assert!(epoch_ticks(1, u32::MAX).len() <= 8);
    }
}
