//! `thumb_gesture bench`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use thumb_gesture::frame::{Frame, read_file};
use thumb_gesture::recognizer::Source;
use thumb_gesture::recognizer::model::LoadedModel;

use crate::output;
use crate::runtime::ModelOptions;

/// Measure the time to classify 640x480 bgr8 frames, or a compressed image: decoding, preprocessing, and network with softmax.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelOptions,
    /// Decode and classify this image again and again, as a compressed topic delivers it, instead of raw noise
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Number of frames to measure
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    frames: u32,
    /// Frames per batch, as in a node with that number of cameras; the time of a batch is divided by it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    batch: u16,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    model_id: String,
    backend: String,
    /// Why this backend was chosen; may be empty.
    reason: String,
    precision: String,
    threads: usize,
    batch: usize,
    frames: usize,
    /// What is classified, such as `640x480 bgr8`.
    what: String,
    /// `None` without a compressed image.
    decode_ms: Option<Percentiles>,
    preprocess_ms: Percentiles,
    forward_ms: Percentiles,
    /// All of them.
    frame_ms: Percentiles,
}

#[derive(Serialize)]
struct Percentiles {
    p50: f64,
    p95: f64,
    p99: f64,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let model = arguments.model.chosen()?;
    let batch = usize::from(arguments.batch);
    let LoadedModel {
        mut recognizer,
        reason,
        ..
    } = arguments.model.load_for_benchmark(&model, batch)?;
    let compressed = arguments.image.as_deref().map(Compressed::read).transpose()?;
    let mut frame = compressed.as_ref().map_or_else(noise_frame, Compressed::decode)?;

    let (mut decode_ms, mut preprocess_ms) = (Vec::new(), Vec::new());
    let (mut forward_ms, mut frame_ms) = (Vec::new(), Vec::new());
    let batches = (arguments.frames as usize).div_ceil(batch);
    let frames = batches * batch;
    let ms_per_frame = |time: Duration| time.as_secs_f64() * 1e3 / batch as f64;
    let bar = output::bar("bench", frames);
    for _ in 0..batches {
        let start = Instant::now();
        if let Some(compressed) = &compressed {
            for _ in 0..batch {
                frame = compressed.decode()?;
            }
        }
        let decode_time = start.elapsed();
        decode_ms.push(ms_per_frame(decode_time));
        let predictions = recognizer.classify((0..batch).map(|camera| (Source::Stream(camera), &frame)))?;
        let preprocess_time: Duration = predictions.iter().map(|frame| frame.preprocess_time).sum();
        preprocess_ms.push(ms_per_frame(preprocess_time));
        forward_ms.push(ms_per_frame(predictions.inference_time));
        frame_ms.push(ms_per_frame(
            decode_time + preprocess_time + predictions.inference_time,
        ));
        bar.inc(batch as u64);
    }
    bar.finish_and_clear();

    let backend = recognizer.backend().to_owned();
    let report = Report {
        model_id: model.id().to_owned(),
        precision: backend.rsplit('/').next().unwrap_or_default().to_owned(),
        backend,
        reason,
        threads: arguments.model.threads(),
        batch,
        frames,
        what: match arguments.image {
            Some(_) => format!("{}x{} compressed", frame.width(), frame.height()),
            None => "640x480 bgr8".to_owned(),
        },
        decode_ms: arguments.image.is_some().then(|| percentiles(decode_ms)),
        preprocess_ms: percentiles(preprocess_ms),
        forward_ms: percentiles(forward_ms),
        frame_ms: percentiles(frame_ms),
    };
    if arguments.json {
        output::print_json(&report)?;
    } else {
        print_report(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// An image file.
struct Compressed<'a> {
    path: &'a Path,
    data: Vec<u8>,
}

impl Compressed<'_> {
    fn read(path: &Path) -> anyhow::Result<Compressed<'_>> {
        let data = read_file(path).with_context(|| path.display().to_string())?;
        Ok(Compressed { path, data })
    }

    fn decode(&self) -> anyhow::Result<Frame> {
        Frame::from_compressed("", &self.data).with_context(|| self.path.display().to_string())
    }
}

/// A frame of noise: uniform pixels could make a step of the computation faster than it is for a camera's frame.
fn noise_frame() -> anyhow::Result<Frame> {
    let (width, height) = (640, 480);
    let noise = |index: u32| (index.wrapping_mul(2_654_435_761) >> 24) as u8;
    let data: Vec<u8> = (0..width * height * 3).map(noise).collect();
    Ok(Frame::from_raw("bgr8", width, height, width * 3, data)?)
}

fn percentiles(mut values: Vec<f64>) -> Percentiles {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    Percentiles {
        p50: at(0.50),
        p95: at(0.95),
        p99: at(0.99),
    }
}

fn print_report(report: &Report) -> anyhow::Result<()> {
    if !report.reason.is_empty() {
        output::print_error_line(&format!("{}: {}", report.backend, report.reason));
    }
    let line =
        |name: &str, ms: &Percentiles| format!("{name:>10}  {:8.3}  {:8.3}  {:8.3}", ms.p50, ms.p95, ms.p99);
    let decode = report.decode_ms.as_ref();
    let decode = decode.map_or(String::new(), |decode| line("decode", decode) + "\n");
    output::print_text(&format!(
        "{} on {}, {} threads, {} frames of {}, batch size {}\n{:>10}  {:>8}  {:>8}  {:>8}\n{decode}{}\n{}\n{}",
        report.model_id,
        report.backend,
        report.threads,
        report.frames,
        report.what,
        report.batch,
        "ms",
        "p50",
        "p95",
        "p99",
        line("preprocess", &report.preprocess_ms),
        line("forward", &report.forward_ms),
        line("frame", &report.frame_ms),
    ))
}
