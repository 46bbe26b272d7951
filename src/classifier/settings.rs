//! The settings of a classifier: runtime, device, precision.

use std::path::PathBuf;
use std::str::FromStr;

use crate::all_cores;
use crate::names::{UnknownName, named};

/// The runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The fastest one: ONNX Runtime.
    #[default]
    Auto,
    /// ONNX Runtime.
    Onnx,
    /// libtorch.
    Torch,
}

/// The device on which the network runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// A GPU if the runtime can use one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU, through TensorRT or CUDA.
    Cuda,
}

/// The number format of the computation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// The fastest one that gives the same predictions: int8 with ONNX Runtime on a CPU if the model's training accepted it, fp16 with
    /// TensorRT and with libtorch on a GPU, else fp32.
    #[default]
    Auto,
    /// 32 bit, as in training.
    Fp32,
    /// 16 bit, half precision.
    Fp16,
    /// 16 bit, with the range of fp32.
    Bf16,
    /// 8 bit integers, quantized.
    Int8,
}

/// How to run a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The runtime.
    pub backend: Backend,
    /// The device on which the network runs.
    pub device: Device,
    /// The number format of the computation.
    pub precision: Precision,
    /// The library of an execution provider for ONNX Runtime; it is tried first.
    pub provider_library: Option<PathBuf>,
    /// Number of threads on a CPU.
    pub threads: usize,
    /// Indices of the CPUs on which these threads run; all CPUs if empty.
    pub affinity: Vec<usize>,
    /// Maximum batch size; a TensorRT engine is built for it.
    pub batch: usize,
    /// Fail instead of falling back to the CPU.
    pub require_gpu: bool,
}

impl Default for Settings {
    /// The best available runtime, all cores, batches of one frame.
    fn default() -> Settings {
        Settings {
            backend: Backend::Auto,
            device: Device::Auto,
            precision: Precision::Auto,
            provider_library: None,
            threads: all_cores(),
            affinity: Vec::new(),
            batch: 1,
            require_gpu: false,
        }
    }
}

impl Backend {
    /// Every one.
    pub const ALL: [Backend; 3] = [Backend::Auto, Backend::Onnx, Backend::Torch];
    /// Their names.
    pub const NAMES: [&str; 3] = ["auto", "onnx", "torch"];

    /// As parameters name it.
    pub fn name(self) -> &'static str {
        Backend::NAMES[self as usize]
    }
}

impl Device {
    /// Every one.
    pub const ALL: [Device; 3] = [Device::Auto, Device::Cpu, Device::Cuda];
    /// Their names.
    pub const NAMES: [&str; 3] = ["auto", "cpu", "cuda"];

    /// As parameters name it.
    pub fn name(self) -> &'static str {
        Device::NAMES[self as usize]
    }
}

impl Precision {
    /// Every one.
    pub const ALL: [Precision; 5] = [
        Precision::Auto,
        Precision::Fp32,
        Precision::Fp16,
        Precision::Bf16,
        Precision::Int8,
    ];
    /// Their names.
    pub const NAMES: [&str; 5] = ["auto", "fp32", "fp16", "bf16", "int8"];

    /// As parameters name it.
    pub fn name(self) -> &'static str {
        Precision::NAMES[self as usize]
    }
}

impl FromStr for Backend {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Backend, UnknownName> {
        named(&Backend::ALL, "backend", name, Backend::name)
    }
}

impl FromStr for Device {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Device, UnknownName> {
        named(&Device::ALL, "device", name, Device::name)
    }
}

impl FromStr for Precision {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Precision, UnknownName> {
        named(&Precision::ALL, "precision", name, Precision::name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for precision in Precision::ALL {
            assert_eq!(precision.name().parse::<Precision>().ok(), Some(precision));
        }
        assert!(
            Backend::ALL
                .iter()
                .all(|one| one.name().parse().ok() == Some(*one))
        );
        assert!(
            Device::ALL
                .iter()
                .all(|one| one.name().parse().ok() == Some(*one))
        );
        let unknown = "int4".parse::<Precision>().map(Precision::name);
        let unknown = unknown.map_err(|error| error.to_string());
        assert!(unknown.is_err_and(|error| error.contains("fp32, fp16, bf16, int8")));
    }
}
