//! `thumb_gesture bench`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use thumb_gesture::classifier::settings::Settings;
use thumb_gesture::classifier::{self, Loaded};
use thumb_gesture::frame::Frame;
use thumb_gesture::model_store::ModelStore;
use thumb_gesture::preprocess::{INPUT_LEN, Preprocessor};

use crate::output;
use crate::runtime::RuntimeOptions;

/// Time the way of one 640x480 bgr8 frame: preprocessing and the network, frame after frame.
#[derive(Args)]
pub struct Arguments {
    /// Directory of the trained models
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Which model [default: the active one]
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// How many frames are timed
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    frames: u32,
    /// How many frames the network is given at once, as a node with so many cameras does; times are a frame's share of its batch
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    batch: u16,
    #[command(flatten)]
    runtime: RuntimeOptions,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    model_id: String,
    backend: String,
    /// Why it is that.
    reason: String,
    precision: String,
    threads: usize,
    batch: usize,
    frames: usize,
    preprocess_ms: Percentiles,
    forward_ms: Percentiles,
}

#[derive(Serialize)]
struct Percentiles {
    p50: f64,
    p95: f64,
    p99: f64,
}

pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let store = ModelStore::open_existing(&arguments.store)?;
    let model = store.model_or_active(arguments.model.as_deref())?;
    let settings = Settings {
        batch: usize::from(arguments.batch),
        ..arguments.runtime.settings()
    };
    let Loaded {
        mut classifier,
        reason,
    } = classifier::load(&model, &settings)?;
    let mut preprocessor = Preprocessor::new();
    let frame = noise_frame()?;
    let mut inputs = vec![0.0; settings.batch * INPUT_LEN];
    let mut logits = vec![0.0; settings.batch * model.manifest.labels.len()];

    let (mut preprocess_ms, mut forward_ms) = (Vec::new(), Vec::new());
    let batches = (arguments.frames as usize).div_ceil(settings.batch);
    let frames = batches * settings.batch;
    let bar = output::bar("bench", frames);
    for _ in 0..batches {
        let start = Instant::now();
        for input in inputs.chunks_exact_mut(INPUT_LEN) {
            preprocessor.tensor_from_frame(&frame, input);
        }
        let between = Instant::now();
        classifier.logits(&inputs, &mut logits)?;
        let share_ms = |span: Duration| span.as_secs_f64() * 1e3 / settings.batch as f64;
        forward_ms.push(share_ms(between.elapsed()));
        preprocess_ms.push(share_ms(between - start));
        bar.inc(settings.batch as u64);
    }
    bar.finish_and_clear();

    let backend = classifier.backend().to_owned();
    let report = Report {
        model_id: model.manifest.id,
        precision: backend.rsplit('/').next().unwrap_or_default().to_owned(),
        backend,
        reason,
        threads: settings.threads,
        batch: settings.batch,
        frames,
        preprocess_ms: percentiles(preprocess_ms),
        forward_ms: percentiles(forward_ms),
    };
    match arguments.json {
        true => output::print_json(&report)?,
        false => print_report(&report)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A frame whose every byte differs from its neighbours, so that nothing is cheaper than on a real one.
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
        eprintln!("{}: {}", report.backend, report.reason);
    }
    let line =
        |name: &str, ms: &Percentiles| format!("{name:>10}  {:8.3}  {:8.3}  {:8.3}", ms.p50, ms.p95, ms.p99);
    output::print_line(&format!(
        "{} on {}, {} threads, {} frames of 640x480 bgr8, {} at once\n{:>10}  {:>8}  {:>8}  {:>8}\n{}\n{}",
        report.model_id,
        report.backend,
        report.threads,
        report.frames,
        report.batch,
        "ms",
        "p50",
        "p95",
        "p99",
        line("preprocess", &report.preprocess_ms),
        line("forward", &report.forward_ms),
    ))
}
