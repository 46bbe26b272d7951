//! What is asked of a classifier: what runs it, on what, in which precision.

use std::path::PathBuf;

use strum::{Display, EnumString, VariantNames};

use crate::all_cores;

/// What runs the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::parse_name;

    #[test]
    fn names_are_parsed_back() {
        for name in Precision::VARIANTS {
            assert_eq!(
                name.parse().map(|one: Precision| one.to_string()),
                Ok((*name).to_owned())
            );
        }
        for name in Backend::VARIANTS {
            assert_eq!(
                name.parse().map(|one: Backend| one.to_string()),
                Ok((*name).to_owned())
            );
        }
        for name in Device::VARIANTS {
            assert_eq!(
                name.parse().map(|one: Device| one.to_string()),
                Ok((*name).to_owned())
            );
        }
        let unknown = parse_name::<Precision>("precision", "int4").map_err(|error| error.to_string());
        assert!(unknown.is_err_and(|error| error.contains("fp32, fp16, bf16, int8")));
    }
}
