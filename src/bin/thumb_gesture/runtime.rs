//! The options that say what runs a model, the same for every command that runs one.

use std::path::PathBuf;

use clap::Args;
use thumb_gesture::all_cores;
use thumb_gesture::classifier::settings::{Backend, Device, Precision, Settings};

/// What runs the model.
#[derive(Args)]
pub struct RuntimeOptions {
    /// What runs the network: auto, onnx or torch
    #[arg(long, value_name = "NAME", default_value = "auto")]
    backend: Backend,
    /// What it runs on: auto, cpu or cuda
    #[arg(long, value_name = "NAME", default_value = "auto")]
    device: Device,
    /// What it computes with: auto, fp32, fp16, bf16 or int8
    #[arg(long, value_name = "NAME", default_value = "auto")]
    precision: Precision,
    /// Threads for one frame [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Option<u16>,
    /// A library that brings an execution provider for ONNX Runtime, such as TensorRT RTX's or OpenVINO's from PyPI: tried first
    #[arg(long, value_name = "FILE")]
    provider_library: Option<PathBuf>,
    /// Fail rather than run on the CPU
    #[arg(long)]
    require_gpu: bool,
}

impl RuntimeOptions {
    /// As the library takes them.
    pub fn settings(&self) -> Settings {
        Settings {
            backend: self.backend,
            device: self.device,
            precision: self.precision,
            threads: self.threads.map_or_else(all_cores, usize::from),
            require_gpu: self.require_gpu,
            provider_library: self.provider_library.clone(),
            ..Settings::default()
        }
    }
}
