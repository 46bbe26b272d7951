//! Runs a network with libtorch, on the CPU or an NVIDIA GPU.

use tch::{Device, Kind, Tensor};

use super::candidates::{Candidate, Runtime};
use super::settings::{Precision, Settings};
use super::{Classifier, ClassifierError, warm_up_sizes};
use crate::model_store::{ModelNetwork, StoredModel};
use crate::network::torch::{TorchError, TorchModule, gpu};
use crate::preprocess::{INPUT_LEN, INPUT_SIDE_PX};
use crate::weights::Weights;

pub(super) struct TorchClassifier {
    module: TorchModule,
    device: Device,
    kind: Kind,
    backend: String,
}

impl TorchClassifier {
    /// Loads a model's weights and runs it once.
    ///
    /// The number of threads applies to all networks of this process.
    ///
    /// # Errors
    /// The GPU is missing, the weights do not match the network, or libtorch failed.
    pub(super) fn load(
        model: &StoredModel,
        network: ModelNetwork,
        candidate: &Candidate,
        settings: &Settings,
    ) -> Result<TorchClassifier, ClassifierError> {
        let device = match candidate.runtime {
            Runtime::TorchCuda => gpu()?,
            _ => Device::Cpu,
        };
        tch::set_num_threads(i32::try_from(settings.threads).unwrap_or(i32::MAX));
        let weights = Weights::read(&model.path(network.weights_file()))?;
        let network = model.network(network).map_err(Box::new)?;
        let mut module = TorchModule::with_weights(&network.layers, &weights, device)?;
        let kind = match candidate.precision {
            Precision::Fp16 => Kind::Half,
            Precision::Bf16 => Kind::BFloat16,
            Precision::Auto | Precision::Fp32 | Precision::Int8 => Kind::Float,
        };
        module.convert(kind);
        let mut classifier = TorchClassifier {
            module,
            device,
            kind,
            backend: candidate.backend(),
        };
        let labels = model.manifest.labels.len();
        for frames in warm_up_sizes(settings.batch) {
            classifier.logits(&vec![0.0; frames * INPUT_LEN], &mut vec![0.0; frames * labels])?;
        }
        Ok(classifier)
    }

    fn run(&self, inputs: &[f32], logits: &mut [f32]) -> Result<(), TorchError> {
        let side = INPUT_SIDE_PX as i64;
        let batch = Tensor::f_from_slice(inputs)?
            .f_reshape([-1, 3, side, side])?
            .f_to_device(self.device)?
            .f_to_kind(self.kind)?;
        let found = tch::no_grad(|| self.module.forward(&batch, false))?;
        let found = found.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
        Ok(found.f_reshape([-1])?.f_copy_data(logits, logits.len())?)
    }
}

impl Classifier for TorchClassifier {
    fn logits(&mut self, inputs: &[f32], logits: &mut [f32]) -> Result<(), ClassifierError> {
        Ok(self.run(inputs, logits)?)
    }

    fn backend(&self) -> &str {
        &self.backend
    }
}
