//! Runs a network with libtorch, on the CPU or an NVIDIA GPU.

use tch::{Device, Kind, Tensor};

use super::candidates::{Candidate, Runtime};
use super::settings::{Precision, Settings};
use super::{Classifier, ClassifierError, warm_up_sizes};
use crate::model_store::{ModelNetwork, StoredModel};
use crate::network::torch::{TorchError, TorchModule, gpu};
use crate::network::{Layer, Network, output_shape};
use crate::preprocess::{INPUT_LEN, INPUT_SIDE_PX};
use crate::weights::Weights;

pub(super) struct TorchClassifier {
    /// The layers before the last one with parameters.
    body: TorchModule,
    /// The last layer with parameters, and those after it.
    head: TorchModule,
    feature_values: usize,
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
        let (body, head) = network.layers.split_at(network.last_layer());
        let module = |layers: &[Layer]| TorchModule::with_weights(layers, &weights, device);
        let feature_values = output_shape(body, Network::INPUT).value_count();
        let (mut body, mut head) = (module(body)?, module(head)?);
        let kind = match candidate.precision {
            Precision::Fp16 => Kind::Half,
            Precision::Bf16 => Kind::BFloat16,
            Precision::Auto | Precision::Fp32 | Precision::Tf32 | Precision::Int8 => Kind::Float,
        };
        for module in [&mut body, &mut head] {
            module.convert(kind);
            module.allow_tf32(candidate.precision == Precision::Tf32);
        }
        let mut classifier = TorchClassifier {
            body,
            head,
            feature_values,
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

    fn run(&self, inputs: &[f32], logits: &mut [f32], features: &mut [f32]) -> Result<(), TorchError> {
        let side = INPUT_SIDE_PX as i64;
        let batch = Tensor::f_from_slice(inputs)?
            .f_reshape([-1, 3, side, side])?
            .f_to_device(self.device)?
            .f_to_kind(self.kind)?;
        let inputs_of_last = tch::no_grad(|| self.body.forward(&batch, false))?;
        copy(
            &tch::no_grad(|| self.head.forward(&inputs_of_last, false))?,
            logits,
        )?;
        if !features.is_empty() {
            copy(&inputs_of_last, features)?;
        }
        Ok(())
    }
}

fn copy(found: &Tensor, values: &mut [f32]) -> Result<(), TorchError> {
    let found = found.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
    Ok(found.f_reshape([-1])?.f_copy_data(values, values.len())?)
}

impl Classifier for TorchClassifier {
    fn logits_and_features(
        &mut self,
        inputs: &[f32],
        logits: &mut [f32],
        features: &mut [f32],
    ) -> Result<(), ClassifierError> {
        Ok(self.run(inputs, logits, features)?)
    }

    fn feature_values(&self) -> usize {
        self.feature_values
    }

    fn backend(&self) -> &str {
        &self.backend
    }
}
