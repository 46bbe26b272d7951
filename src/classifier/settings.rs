//! What is asked of a classifier: what runs it, on what, in which precision.

use std::path::PathBuf;
use std::str::FromStr;

use crate::all_cores;
use crate::names::{UnknownName, named};

/// What runs the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The best there is: ONNX Runtime.
    #[default]
    Auto,
    /// ONNX Runtime.
    Onnx,
    /// libtorch.
    Torch,
}

/// What it runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// A GPU where the runtime can use one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU, through TensorRT or CUDA.
    Cuda,
}

/// What it computes with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// The fastest that can be trusted: int8 on a CPU where the model's training accepted it, fp16 with TensorRT and
    /// with libtorch on a GPU, else fp32.
    #[default]
    Auto,
    /// As trained.
    Fp32,
    /// Half precision.
    Fp16,
    /// Half as long, with the range of fp32.
    Bf16,
    /// Eight bits.
    Int8,
}

/// What is asked of a classifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What runs the network.
    pub backend: Backend,
    /// What it runs on.
    pub device: Device,
    /// What it computes with.
    pub precision: Precision,
    /// The library of an execution provider for ONNX Runtime, to be tried before all else.
    pub provider_library: Option<PathBuf>,
    /// Threads that run the network on a CPU.
    pub threads: usize,
    /// The CPUs on which those threads run; empty leaves that to the system.
    pub affinity: Vec<usize>,
    /// The most frames that are given at once; a GPU's engine is built for as many.
    pub batch: usize,
    /// Rather nothing than the CPU.
    pub require_gpu: bool,
}

impl Default for Settings {
    /// Whatever is best, on all cores, frame by frame.
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
