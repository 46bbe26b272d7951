//! The settings of a classifier: device, precision, threads.

use std::path::PathBuf;

use strum::{Display, EnumString, VariantNames};

use crate::all_cores;

/// The device on which the network runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum Device {
    /// A GPU if ONNX Runtime can use one, otherwise the CPU.
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
    /// The fastest one that gives the same predictions: int8 on a CPU if the model's training accepted it, fp16 with TensorRT, otherwise
    /// fp32.
    #[default]
    Auto,
    /// 32 bits, as in training.
    Fp32,
    /// On a GPU, fp32 with products that are computed with 10 bits of mantissa instead of 23, where the GPU has tensor cores for it.
    Tf32,
    /// 16 bits, half precision.
    Fp16,
    /// 8-bit integers, quantized.
    Int8,
}

/// How to run a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
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
    /// Whether to fail instead of falling back to the CPU.
    pub require_gpu: bool,
}

impl Default for Settings {
    /// The best available device and precision, all cores, batches of one frame.
    fn default() -> Settings {
        Settings {
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
    use std::fmt::Display;
    use std::str::FromStr;

    use strum::VariantNames;

    use super::{Device, Precision};
    use crate::names::parse_name;

    fn assert_names_are_parsed_back<T: FromStr + Display + VariantNames>() {
        for name in T::VARIANTS {
            let parsed = name.parse().map(|variant: T| variant.to_string());
            assert_eq!(parsed.ok().as_deref(), Some(*name));
        }
    }

    #[test]
    fn names_are_parsed_back_and_unknown_ones_rejected() {
        assert_names_are_parsed_back::<Device>();
        assert_names_are_parsed_back::<Precision>();
        let unknown = parse_name::<Precision>("precision", "int4").map_err(|error| error.to_string());
        assert!(unknown.is_err_and(|error| error.contains("fp32, tf32, fp16, int8")));
    }
}
