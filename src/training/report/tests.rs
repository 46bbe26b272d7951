//! Tests of the report: the page shows all results, and hostile names cannot inject anything into it.

use std::path::Path;

use roxmltree::{Document, ParsingOptions};
use time::macros::datetime;

use super::*;
use crate::metrics::temperature::fit_temperature;

const HOSTILE: &str =
    "</title></style><script src=\"https://evil.example/x.js\">alert('1')</script>&amp;<img onerror=x>";

fn label(name: &str) -> Label {
    Label::new(name).expect("a label")
}

fn metrics(logits: &[Vec<f32>], truths: &[usize]) -> Metrics {
    let labels = ["none", "thumbs_down", "thumbs_up"].map(label);
    Metrics::new(&labels, logits, truths, fit_temperature(logits, truths)).expect("fits")
}

fn measured() -> Metrics {
    let truths: Vec<usize> = (0..60).map(|frame| frame % 3).collect();
    let logits: Vec<Vec<f32>> = (0..60)
        .map(|frame| {
            let prediction = if frame % 10 == 9 {
                (frame + 1) % 3
            } else {
                frame % 3
            };
            let margin = 3.0 + (frame % 7) as f32;
            (0..3)
                .map(|label| if label == prediction { margin } else { 0.0 })
                .collect()
        })
        .collect();
    metrics(&logits, &truths)
}

fn count(name: &str) -> LabelCount {
    LabelCount {
        label: label(name),
        frames: 40,
        train: 30,
        validation: 8,
        left_out: 2,
        groups: 5,
    }
}

fn scene(example: &str, new_scene_correct: Option<usize>) -> SceneReport {
    SceneReport {
        example: example.to_owned(),
        captured: Some(datetime!(2026-03-04 04:03:02 UTC)),
        frames: vec![0, 11, 19],
        new_scene_correct,
    }
}

fn report() -> Report {
    let point = |epoch: u32| Point {
        epoch,
        train_loss: 1.0 / f64::from(epoch),
        validation_loss: Some(1.1 / f64::from(epoch)),
        accuracy: Some(0.9),
    };
    let curve = |fold| Curve {
        fold,
        points: (1..=12).map(point).collect(),
    };
    let setting = |name: &str, value: &str| Setting {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    Report {
        model_id: "20260304T050607.089Z-alexnet".to_owned(),
        created: datetime!(2026-03-04 05:06:07 UTC),
        network: "alexnet".to_owned(),
        strategy: "last_layer".to_owned(),
        strategy_reason: "auto chose last_layer: 120 frames".to_owned(),
        settings: vec![setting("learning rate", "0.001"), setting("seed", "7")],
        warnings: vec!["label none: 2 files are skipped".to_owned()],
        dataset: DatasetReport {
            root: "/data/thumbs".to_owned(),
            digest: "5f0c".to_owned(),
            labels: ["none", "thumbs_down", "thumbs_up"].map(count).to_vec(),
            skipped: Vec::new(),
            split: "Whole bursts, a fifth of them held out".to_owned(),
        },
        curves: vec![curve(0), curve(1)],
        metrics: measured(),
        scenes: vec![
            scene("/gone/none/kitchen.jpg", Some(17)),
            scene("/gone/none/hall.jpg", Some(23)),
        ],
        new_scene: Accuracy::new(40, 60),
        advice: "record none in scene 2 too".to_owned(),
        recognizers: vec![accuracy("auto", 54), accuracy("hand", 51)],
        folds: vec![FoldResult {
            fold: 0,
            frames: 30,
            correct: 28,
            accuracy: Some(28.0 / 30.0),
        }],
        mistakes: Vec::new(),
        export: ExportReport {
            onnx_difference: 2.5e-6,
            int8: Some(Int8Agreement {
                frames: 60,
                flips: 3,
                confident_flips: 1,
                accepted: false,
            }),
        },
        gate: Some(GateReport {
            activated: true,
            reason: "more frames correct".to_owned(),
            active_model: Some("the-old-model".to_owned()),
            frames: 60,
            new_correct: 54,
            active_correct: 51,
        }),
        timings: vec![Timing {
            stage: "features".to_owned(),
            seconds: 1.25,
        }],
    }
}

fn accuracy(recognizer: &str, correct: usize) -> RecognizerAccuracy {
    RecognizerAccuracy {
        recognizer: recognizer.to_owned(),
        frames: 60,
        correct,
        interval: None,
    }
}

fn mistake(file: &str, probability: f64) -> Mistake {
    Mistake {
        file: file.to_owned(),
        truth: label("none"),
        prediction: label("thumbs_up"),
        probability,
    }
}

fn html(report: &Report) -> String {
    let mut page = Vec::new();
    write_html(report, &mut page).expect("writes");
    String::from_utf8(page).expect("UTF-8")
}

/// The page is also well-formed XML, so a strict parser finds unclosed tags and unescaped characters.
fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(page, options).unwrap_or_else(|error| panic!("{error}\n{page}"))
}

/// All text on the page.
fn text_of(document: &Document<'_>) -> String {
    let texts = document.descendants().filter(|node| node.is_text());
    texts.filter_map(|node| node.text()).collect()
}

fn assert_self_contained(document: &Document<'_>) {
    for node in document.descendants().filter(|node| node.is_element()) {
        let name = node.tag_name().name();
        let fetches = ["script", "link", "iframe", "object", "embed", "base", "form", "a"];
        assert!(!fetches.contains(&name), "<{name}>");
        for attribute in node.attributes() {
            let (key, value) = (attribute.name(), attribute.value());
            assert!(!key.starts_with("on"), "{name} {key}");
            if ["src", "href", "srcset", "data", "action"].contains(&key) {
                assert!(value.starts_with("data:image/jpeg;base64,"), "{key}={value}");
            }
            assert!(key != "style" || !value.contains("url("), "{value}");
        }
    }
}

#[test]
fn page_is_well_formed_and_self_contained() {
    let page = html(&report());
    let document = parsed(&page);
    assert_self_contained(&document);
    assert!(!page.contains("http://") && !page.contains("https://"));
    assert!(!page.contains("url(") && !page.contains("@import"));
}

#[test]
fn page_shows_the_results() {
    let page = html(&report());
    let text = text_of(&parsed(&page));
    for wanted in [
        "20260304T050607.089Z-alexnet",
        "2026-03-04 05:06 UTC",
        "Promoted",
        "more frames correct",
        "the-old-model",
        "90.0\u{a0}%",
        "54 of 60",
        "auto chose last_layer: 120 frames",
        "none",
        "thumbs_down",
        "thumbs_up",
        "learning rate",
        "Whole bursts, a fifth of them held out",
        "Fold 1",
        "1.25 s",
        "epoch 12",
        "these 2 scenes",
        "40 of 60 frames, each classified by a training without its scene",
        "record none in scene 2 too",
        "none 0, thumbs_down 11, thumbs_up 19",
        "17 of 30 right without it",
        "2026-03-04 04:03 UTC",
        "none/kitchen.jpg",
    ] {
        assert!(
            text.contains(wanted),
            "{wanted} is missing from the page:\n{text}"
        );
    }
}

#[test]
fn hostile_names_are_escaped() {
    let mut report = report();
    report.model_id = HOSTILE.to_owned();
    report.network = HOSTILE.to_owned();
    report.strategy = HOSTILE.to_owned();
    report.strategy_reason = HOSTILE.to_owned();
    report.dataset.root = HOSTILE.to_owned();
    report.dataset.digest = HOSTILE.to_owned();
    report.dataset.split = HOSTILE.to_owned();
    report.dataset.skipped = vec![SkippedFile::new(Path::new(HOSTILE), &HOSTILE)];
    report.warnings = vec![HOSTILE.to_owned()];
    report.mistakes = vec![mistake(HOSTILE, 0.9)];
    report.settings[0].name = HOSTILE.to_owned();
    report.settings[0].value = HOSTILE.to_owned();
    report.timings[0].stage = HOSTILE.to_owned();
    report.advice = HOSTILE.to_owned();
    report.scenes[0].example = HOSTILE.to_owned();
    let gate = report.gate.as_mut().expect("a gate");
    gate.reason = HOSTILE.to_owned();
    gate.active_model = Some(HOSTILE.to_owned());

    let page = html(&report);
    let document = parsed(&page);
    assert_self_contained(&document);
    assert!(!page.contains("<script"));
    assert!(
        text_of(&document).matches(HOSTILE).count() >= 16,
        "all names are shown"
    );
}

#[test]
fn recognizers_are_compared_if_there_are_several() {
    let mut report = report();
    let text = text_of(&parsed(&html(&report)));
    assert!(text.contains("Recognizers") && text.contains("hand51"), "{text}");
    report.recognizers.truncate(1);
    assert!(!text_of(&parsed(&html(&report))).contains("Recognizers"));
}

#[test]
fn missing_results_are_stated() {
    let mut report = report();
    report.metrics = metrics(&[], &[]);
    report.curves = Vec::new();
    report.folds = Vec::new();
    report.gate = None;
    report.scenes.truncate(1);
    report.new_scene = None;
    report.timings = Vec::new();
    report.settings = Vec::new();
    report.dataset.labels = Vec::new();
    let page = html(&report);
    let document = parsed(&page);
    let text = text_of(&document);
    for wanted in [
        "Not compared",
        "Not measured: no frame was held out",
        "No epochs were recorded",
        "There are no frames",
        "all frames show one scene, so the accuracy beside holds for this scene alone",
    ] {
        assert!(text.contains(wanted), "{wanted}");
    }
    assert!(!document.descendants().any(|node| node.has_tag_name("svg")));
    assert!(!page.contains("NaN"));
}

#[test]
fn training_without_held_out_frames_has_no_best_epoch() {
    let mut report = report();
    for point in report.curves.iter_mut().flat_map(|curve| &mut curve.points) {
        (point.validation_loss, point.accuracy) = (None, None);
    }
    let page = html(&report);
    assert!(text_of(&parsed(&page)).contains("Not measured"));
    assert!(!page.contains("The dotted line marks"));
}

#[test]
fn page_is_well_formed_with_nan_and_infinite_values() {
    let mut report = report();
    report.curves[0].points[3].train_loss = f64::NAN;
    report.curves[0].points[4].validation_loss = Some(f64::INFINITY);
    report.mistakes = vec![mistake("/no/such.jpg", f64::NAN)];
    report.timings[0].seconds = f64::NAN;
    report.dataset.labels[0].train = usize::MAX;
    parsed(&html(&report));
}

#[test]
fn image_of_a_mistake_is_shown_and_a_missing_one_has_a_placeholder() {
    let directory = tempfile::tempdir().expect("a directory");
    let present = directory.path().join("present.jpg");
    image::RgbImage::new(64, 48).save(&present).expect("writes");
    let mut report = report();
    report.mistakes = vec![
        mistake("/gone/none/gone.jpg", 0.7),
        mistake(&present.display().to_string(), 0.8),
    ];
    let page = html(&report);
    let document = parsed(&page);
    let images = document.descendants().filter(|node| node.has_tag_name("img"));
    assert_eq!(images.count(), 1);
    let text = text_of(&document);
    assert!(text.contains("The image cannot be shown"), "{text}");
    let at = |name: &str| text.find(name).expect(name);
    assert!(
        at("present.jpg") < at("none/gone.jpg"),
        "the most confident mistake comes first"
    );
}

#[test]
fn long_lists_are_truncated_with_a_note() {
    let mut report = report();
    report.mistakes = (0..30)
        .map(|i| mistake(&format!("/gone/{i}.jpg"), f64::from(i) / 30.0))
        .collect();
    report.dataset.skipped = vec![SkippedFile::new(Path::new("/a.jpg"), &"no image"); 250];
    let page = html(&report);
    let text = text_of(&parsed(&page));
    assert!(text.contains("24 of 30"), "{text}");
    assert!(text.contains("100 of 250"), "{text}");
}

#[test]
fn with_many_labels_confused_pairs_replace_the_matrix() {
    let labels: Vec<Label> = (0..200).map(|i| label(&format!("label_{i}"))).collect();
    let logits: Vec<Vec<f32>> = (0..200)
        .map(|frame| {
            let prediction = if frame == 17 { 18 } else { frame };
            (0..200)
                .map(|label| f32::from(u8::from(label == prediction)))
                .collect()
        })
        .collect();
    let truths: Vec<usize> = (0..200).collect();
    let mut report = report();
    report.metrics = Metrics::new(&labels, &logits, &truths, 1.0).expect("fits");
    let page = html(&report);
    let text = text_of(&parsed(&page));
    assert!(text.contains("The most frequent confusions"));
    assert!(page.contains("<td>label_17</td><td>label_18</td>"));
    assert!(page.len() < 300_000, "{} bytes", page.len());
}

#[test]
fn json_round_trip_keeps_the_data() {
    let mut report = report();
    report.mistakes = vec![mistake("/a.jpg", 0.5)];
    let json = serde_json::to_string_pretty(&report).expect("writes");
    assert!(json.contains("2026-03-04T05:06:07Z"), "{json}");
    let read: Report = serde_json::from_str(&json).expect("reads");
    assert_eq!(read.dataset, report.dataset);
    assert_eq!(read.mistakes, report.mistakes);
}
