//! The settings of a classifier: runtime, device, precision.

use std::path::PathBuf;

use strum::{Display, EnumString, VariantNames};

use crate::all_cores;

/// The runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
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
