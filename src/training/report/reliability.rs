//! The reliability diagram as inline SVG: accuracy over confidence.

use super::chart::{Area, add, grid_line, opening, text, tick_text};
use crate::metrics::calibration::Bin;

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 340.0;
/// Accuracy over confidence.
const MAIN: Area = Area {
    left: 54.0,
    top: 10.0,
    right: WIDTH - 20.0,
    bottom: 246.0,
};
/// Number of frames over confidence.
const HISTOGRAM: Area = Area {
    top: 256.0,
    bottom: 286.0,
    ..MAIN
};

/// The diagram as an `<svg>` element: for each bin a bar with its accuracy and the gap to its confidence, and below a histogram of
/// the frames. `None` without frames.
pub(super) fn reliability_diagram(bins: &[Bin]) -> Option<String> {
    let max_frames = bins.iter().map(|bin| bin.frames).max().filter(|max| *max > 0)?;
    let description = "Accuracy over confidence, with a histogram of the confidences";
    let mut svg = opening(WIDTH, HEIGHT, description);
    draw_axes(&mut svg);
    for bin in bins {
        draw_bin(&mut svg, bin, max_frames);
    }
    let (x0, y0, x1, y1) = (MAIN.x(0.0), MAIN.y(0.0), MAIN.x(1.0), MAIN.y(1.0));
    add(
        &mut svg,
        format_args!(r#"<path class="ideal" d="M{x0:.1} {y0:.1}L{x1:.1} {y1:.1}"/>"#),
    );
    svg.push_str("</svg>");
    Some(svg)
}

fn draw_axes(svg: &mut String) {
    for fraction in [0.0, 0.5, 1.0] {
        let label = tick_text(fraction, true, 1.0);
        grid_line(svg, MAIN, MAIN.y(fraction), &label);
        text(svg, MAIN.x(fraction), HISTOGRAM.bottom + 16.0, "middle", &label);
    }
    text(svg, MAIN.x(0.5), HEIGHT - 18.0, "middle", "confidence");
    text(svg, MAIN.left - 6.0, HISTOGRAM.bottom, "end", "frames");
}

fn draw_bin(svg: &mut String, bin: &Bin, max_frames: usize) {
    let (Some(accuracy), Some(confidence)) = (bin.accuracy, bin.confidence) else {
        return;
    };
    let title = format!(
        "Frames: {}, confidence {:.1} %, accuracy {:.1} %",
        bin.frames,
        confidence * 100.0,
        accuracy * 100.0
    );
    let (low, high) = (accuracy.min(confidence), accuracy.max(confidence));
    let gap_class = if confidence > accuracy { "over" } else { "under" };
    let frames_fraction = bin.frames as f64 / max_frames as f64;
    draw_bar(svg, MAIN, bin, [0.0, low], "accuracy", &title);
    draw_bar(svg, MAIN, bin, [low, high], gap_class, &title);
    draw_bar(svg, HISTOGRAM, bin, [0.0, frames_fraction], "histogram", &title);
}

/// Adds a bar over the width of a bin, between two fractions of the area's height.
fn draw_bar(svg: &mut String, area: Area, bin: &Bin, [low, high]: [f64; 2], class: &str, title: &str) {
    let (x, y) = (area.x(bin.lower) + 0.5, area.y(high));
    let (width, height) = (area.x(bin.upper) - area.x(bin.lower) - 1.0, area.y(low) - y);
    add(
        svg,
        format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"><title>{title}</title></rect>"#
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::calibration::reliability;

    #[test]
    fn without_frames_there_is_no_diagram() {
        assert_eq!(reliability_diagram(&[]), None);
        assert_eq!(reliability_diagram(&reliability(&[], &[])), None);
    }

    #[test]
    fn overconfidence_and_underconfidence_have_different_classes() {
        let diagram =
            |truth| reliability_diagram(&reliability(&[vec![0.9, 0.1]], &[truth])).expect("a frame");
        assert!(diagram(1).contains(r#"class="over""#), "confident and wrong");
        assert!(
            diagram(0).contains(r#"class="under""#),
            "correct with a confidence below 100 %"
        );
        assert!(diagram(0).contains("Frames: 1, confidence 90.0 %, accuracy 100.0 %"));
    }
}
