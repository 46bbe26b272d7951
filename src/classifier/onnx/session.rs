//! Loads ONNX Runtime's library and creates its sessions.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use elf::ElfStream;
use elf::abi::PT_LOAD;
use elf::endian::AnyEndian;
use ort::device::Device;
use ort::environment::Environment;
use ort::ep::{CPU, CUDA, ExecutionProvider, ExecutionProviderDispatch, TensorRT};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

use super::FRAME_SHAPE;
use crate::classifier::ClassifierError;
use crate::classifier::candidates::Runtime;
use crate::classifier::settings::{Precision, Settings};
use crate::file_kind::FileKind;
use crate::network::onnx::{BATCH_NAME, INPUT_NAME};

/// The execution provider of a session.
pub(super) enum Provider<'a> {
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU with CUDA.
    Cuda,
    /// An NVIDIA GPU with TensorRT.
    TensorRt {
        /// Where TensorRT caches its engine.
        directory: &'a Path,
    },
    /// A device of an execution provider from a separate library.
    Plugin(Device<'static>),
}

/// Loads an ONNX file into a session.
///
/// Its threads do not spin: at camera rate, threads that sleep between frames need a seventh of the CPU time of spinning ones. fp32
/// weights are not prepacked: that takes memory and time without making a single frame faster.
///
/// # Errors
/// ONNX Runtime or the execution provider is missing, or the file is damaged.
pub(super) fn session(
    path: &Path,
    precision: Precision,
    settings: &Settings,
    provider: Provider,
) -> Result<Session, ClassifierError> {
    let environment = environment()?;
    match provider {
        Provider::Cuda => check_providers(&["shared", "cuda"])?,
        Provider::TensorRt { .. } => check_providers(&["shared", "cuda", "tensorrt"])?,
        Provider::Cpu | Provider::Plugin(_) => {}
    }
    let builder = Session::builder(environment)?;
    let options = || -> Result<_, ort::Error> {
        let mut builder = builder
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(settings.threads)?
            .with_intra_op_spinning(false)?
            .with_prepacking(precision == Precision::Int8)?;
        if let Some(affinity) = worker_affinity(settings) {
            builder = builder.with_config_entry("session.intra_op_thread_affinities", affinity)?;
        }
        // A fixed batch size saves work for each frame.
        if settings.batch == 1 {
            builder = builder.with_dimension_override(BATCH_NAME, 1)?;
        }
        match provider {
            // Without an explicit device ONNX Runtime prefers a provider from a separate library that is loaded in this process.
            Provider::Cpu => builder.with_devices(environment.devices().filter(is_cpu), None)?,
            Provider::Cuda => builder.with_execution_providers([cuda(precision)])?,
            Provider::TensorRt { directory } => {
                let tensorrt = tensorrt(precision, settings.batch, directory);
                builder.with_execution_providers([tensorrt, cuda(precision)])?
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

/// The affinity of each worker thread; there is one fewer than `threads`, because the calling thread computes too. ONNX Runtime numbers
/// CPUs from 1.
fn worker_affinity(settings: &Settings) -> Option<String> {
    let cpus: Vec<String> = settings
        .affinity
        .iter()
        .map(|cpu| (cpu + 1).to_string())
        .collect();
    let has_workers = settings.threads > 1 && !cpus.is_empty();
    has_workers.then(|| vec![cpus.join(","); settings.threads - 1].join(";"))
}

/// Whether ONNX Runtime can be loaded and was built with the execution provider of a runtime, and for TensorRT, whether its libraries
/// can be loaded as well: PyPI's ONNX Runtime for GPUs has the provider without them.
pub(in crate::classifier) fn has_provider(runtime: Runtime) -> bool {
    // The library is loaded first: ort panics if it cannot find one itself.
    environment().is_ok()
        && is_built_in(runtime).unwrap_or(false)
        && (runtime != Runtime::OnnxTensorRt || has_tensorrt())
}

/// Whether the TensorRT provider beside ONNX Runtime's library can be loaded, which needs NVIDIA's libraries.
fn has_tensorrt() -> bool {
    static LOADED: OnceLock<bool> = OnceLock::new();
    *LOADED.get_or_init(|| {
        // The first one has what the second one needs. ONNX Runtime looks for both in this directory.
        ["shared", "tensorrt"].iter().all(|name| {
            let path = provider_library(name);
            let loaded = check_if_present(&path)
                .and_then(|()| ort::util::preload_dylib(&path).map_err(|error| error.to_string()));
            loaded
                .inspect_err(|error| tracing::debug!("TensorRT cannot be used: {error}"))
                .is_ok()
        })
    })
}

fn is_built_in(runtime: Runtime) -> Result<bool, ort::Error> {
    match runtime {
        Runtime::OnnxTensorRt => TensorRT::is_available(),
        Runtime::OnnxCuda => CUDA::is_available(),
        Runtime::OnnxPlugin | Runtime::OnnxTensorRtRtx | Runtime::OnnxCpu => Ok(true),
    }
}

/// Without `error_on_failure` ONNX Runtime would silently fall back to the CPU.
fn cuda(precision: Precision) -> ExecutionProviderDispatch {
    CUDA::default()
        .with_tf32(precision == Precision::Tf32)
        .build()
        .error_on_failure()
}

/// The engine is built for batch sizes from 1 to `batch`; without that profile TensorRT would build it again for each new batch size.
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

/// ONNX Runtime's environment; its library is loaded once per process.
///
/// # Errors
/// The library is missing, invalid or too old.
pub(super) fn environment() -> Result<&'static Environment, ClassifierError> {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let path = library_path();
    let library_error = |reason: String| ClassifierError::Library {
        path: path.display().to_string(),
        reason,
    };
    check_if_present(&path).map_err(library_error)?;
    let builder = ort::init_from(&path).map_err(|error| library_error(error.to_string()))?;
    let environment = builder
        .with_name(env!("CARGO_PKG_NAME"))
        .with_telemetry(false)
        .build()
        .map_err(|error| library_error(error.to_string()))?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

/// # Errors
/// What the file is if it is no library for this processor, which the dynamic loader may report as missing, or that it is not whole.
pub(super) fn check_library(path: &Path) -> Result<(), String> {
    match FileKind::of_file(path).map_err(|error| error.to_string())? {
        FileKind::Elf => check_whole(path),
        kind => Err(format!(
            "it {}",
            kind.mismatch("a shared library (ELF)", "pass the .so file")
        )),
    }
}

/// Loading a library that is cut off, for example by an interrupted copy, would end the process with SIGBUS.
///
/// # Errors
/// The file is shorter than its headers say.
fn check_whole(path: &Path) -> Result<(), String> {
    let damaged = |cause: String| format!("it is cut off or damaged: {cause}; install it again");
    let file = File::open(path).map_err(|error| error.to_string())?;
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let headers = ElfStream::<AnyEndian, _>::open_stream(file).map_err(|error| damaged(error.to_string()))?;
    let loaded = headers
        .segments()
        .iter()
        .filter(|segment| segment.p_type == PT_LOAD);
    let end = loaded
        .map(|segment| segment.p_offset.saturating_add(segment.p_filesz))
        .max();
    match end {
        Some(end) if end > length => Err(damaged(format!("{length} bytes instead of {end}"))),
        _ => Ok(()),
    }
}

/// A library that ONNX Runtime itself loads for its providers, from the directory of its own.
fn provider_library(name: &str) -> PathBuf {
    library_path().with_file_name(format!("libonnxruntime_providers_{name}.so"))
}

/// Checks the libraries that ONNX Runtime itself loads for a provider, as far as they are beside its own.
///
/// # Errors
/// One is not whole, or is no library.
fn check_providers(names: &[&str]) -> Result<(), ClassifierError> {
    for name in names {
        let path = provider_library(name);
        check_if_present(&path).map_err(|reason| ClassifierError::Plugin { path, reason })?;
    }
    Ok(())
}

/// As [`check_library`], except that the dynamic loader searches for a name without a directory.
fn check_if_present(path: &Path) -> Result<(), String> {
    match path.exists() {
        true => check_library(path),
        false => Ok(()),
    }
}

/// Where `scripts/setup.sh` installs TensorRT for RTX: beside ONNX Runtime's library.
pub(in crate::classifier) fn tensorrt_rtx() -> PathBuf {
    library_path().with_file_name("tensorrt_rtx/libonnxruntime_providers_nv_tensorrt_rtx.so")
}

/// `ORT_DYLIB_PATH`, or the default name, which the dynamic loader searches for.
pub(super) fn library_path() -> PathBuf {
    std::env::var_os("ORT_DYLIB_PATH").map_or_else(|| PathBuf::from("libonnxruntime.so"), PathBuf::from)
}
