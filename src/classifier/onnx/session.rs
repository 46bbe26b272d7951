//! ONNX Runtime's library, and sessions on what it can run on.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ort::device::Device;
use ort::environment::Environment;
use ort::ep::{CPU, CUDA, ExecutionProvider, ExecutionProviderDispatch, TensorRT};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

use super::FRAME_SHAPE;
use crate::classifier::ClassifierError;
use crate::classifier::choice::Runtime;
use crate::classifier::settings::{Precision, Settings};
use crate::network::onnx::{BATCH_NAME, INPUT_NAME};

/// What a session runs on.
pub enum Provider<'a> {
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU by CUDA's libraries.
    Cuda,
    /// An NVIDIA GPU by TensorRT, which keeps its engine in a directory.
    TensorRt {
        /// The directory.
        directory: &'a Path,
    },
    /// What a plugin brings.
    Plugin(Device<'static>),
}

/// A session that does not spin: between frames its threads sleep, which at camera rate costs a seventh of the CPU time.
/// Nor are fp32 weights packed anew: for a frame that gains nothing, but takes memory and time.
///
/// # Errors
/// A runtime that is not there, a provider that is not, and a file that is not whole.
pub fn session(
    path: &Path,
    precision: Precision,
    settings: &Settings,
    provider: Provider,
) -> Result<Session, ClassifierError> {
    let environment = environment()?;
    let builder = Session::builder(environment)?;
    let options = || -> Result<_, ort::Error> {
        let mut builder = builder
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(settings.threads)?
            .with_intra_op_spinning(false)?
            .with_prepacking(precision == Precision::Int8)?;
        if let Some(affinity) = affinity_of_helpers(settings) {
            builder = builder.with_config_entry("session.intra_op_thread_affinities", affinity)?;
        }
        // What is known when the session is made need not be asked for each frame.
        if settings.batch == 1 {
            builder = builder.with_dimension_override(BATCH_NAME, 1)?;
        }
        match provider {
            // By name: left alone, ONNX Runtime would take what a plugin brings, once one is registered in this process.
            Provider::Cpu => builder.with_devices(environment.devices().filter(is_cpu), None)?,
            Provider::Cuda => builder.with_execution_providers([cuda()])?,
            Provider::TensorRt { directory } => {
                let tensorrt = tensorrt(precision, settings.batch, directory);
                builder.with_execution_providers([tensorrt, cuda()])?
            }
            Provider::Plugin(device) => builder
                .with_devices([device], None)?
                .with_disable_cpu_fallback()?,
        }
        .commit_from_file(path)
    };
    Ok(options()?)
}

fn is_cpu(device: &Device) -> bool {
    device.ep().is_ok_and(|name| name == CPU::NAME)
}

/// The same CPUs for each of the threads but the first, which is the caller's own; ONNX Runtime counts CPUs from 1 on.
fn affinity_of_helpers(settings: &Settings) -> Option<String> {
    let cpus: Vec<String> = settings
        .affinity
        .iter()
        .map(|cpu| (cpu + 1).to_string())
        .collect();
    let has_helpers = settings.threads > 1 && !cpus.is_empty();
    has_helpers.then(|| vec![cpus.join(","); settings.threads - 1].join(";"))
}

/// Whether the library is there, and was built with what it takes to run on a GPU.
pub fn has_provider(runtime: Runtime) -> bool {
    // First the library: ort panics where it has to look for one itself.
    environment().is_ok() && is_built_in(runtime).unwrap_or(false)
}

fn is_built_in(runtime: Runtime) -> Result<bool, ort::Error> {
    match runtime {
        Runtime::OnnxTensorRt => TensorRT::is_available(),
        Runtime::OnnxCuda => CUDA::is_available(),
        Runtime::OnnxPlugin | Runtime::OnnxCpu | Runtime::TorchCuda | Runtime::TorchCpu => Ok(true),
    }
}

/// A provider that fails would hand the model to the CPU without a word, if errors were not on.
fn cuda() -> ExecutionProviderDispatch {
    CUDA::default().build().error_on_failure()
}

/// Its engine takes up to `batch` frames; without a word on that it would be built anew for each number that comes.
fn tensorrt(precision: Precision, batch: usize, directory: &Path) -> ExecutionProviderDispatch {
    let [channels, rows, columns] = FRAME_SHAPE;
    let shape = |frames: usize| format!("{INPUT_NAME}:{frames}x{channels}x{rows}x{columns}");
    let provider = match batch {
        1 => TensorRT::default(),
        batch => TensorRT::default()
            .with_profile_min_shapes(shape(1))
            .with_profile_opt_shapes(shape(batch))
            .with_profile_max_shapes(shape(batch)),
    };
    provider
        .with_fp16(precision == Precision::Fp16)
        .with_engine_cache(true)
        .with_engine_cache_path(directory.display())
        .with_timing_cache(true)
        .with_timing_cache_path(directory.display())
        .build()
        .error_on_failure()
}

/// The library, loaded once in a process.
///
/// # Errors
/// A library that is not there, is none, or is too old.
pub fn environment() -> Result<&'static Environment, ClassifierError> {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let path = library_path();
    let runtime_error = |reason: String| ClassifierError::Runtime {
        path: path.display().to_string(),
        reason,
    };
    let builder = ort::init_from(&path).map_err(|error| runtime_error(error.to_string()))?;
    let environment = builder
        .with_name(env!("CARGO_PKG_NAME"))
        .with_telemetry(false)
        .build()
        .map_err(|error| runtime_error(error.to_string()))?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

/// `ORT_DYLIB_PATH`, or the name under which the system's loader may find it.
pub fn library_path() -> PathBuf {
    std::env::var_os("ORT_DYLIB_PATH").map_or_else(|| PathBuf::from("libonnxruntime.so"), PathBuf::from)
}
