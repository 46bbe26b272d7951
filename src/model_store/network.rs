//! The networks of a model, and their files.

use std::path::PathBuf;

use super::manifest::Int8Agreement;
use super::{INT8_FILE, ONNX_FILE, StoreError, StoredModel, WEIGHTS_FILE};
use crate::network::{self, Network};
use crate::weights::tensor_locations;

/// A network of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelNetwork {
    /// The one that sees the whole image.
    Image,
    /// The one that sees the crop of a hand; exists only if [`Manifest::hand`](super::Manifest::hand) does.
    Hand,
}

impl ModelNetwork {
    /// Name of the fp32 ONNX file, which references the weights in [`ModelNetwork::weights_file`].
    pub fn onnx_file(self) -> &'static str {
        match self {
            ModelNetwork::Image => ONNX_FILE,
            ModelNetwork::Hand => "hand.onnx",
        }
    }

    /// Name of the int8 file for CPUs, with its own weights; exists only if its predictions agree with those of the fp32 file.
    pub fn int8_file(self) -> &'static str {
        match self {
            ModelNetwork::Image => INT8_FILE,
            ModelNetwork::Hand => "hand_int8.onnx",
        }
    }

    /// Name of the file of the weights in fp32.
    pub fn weights_file(self) -> &'static str {
        match self {
            ModelNetwork::Image => WEIGHTS_FILE,
            ModelNetwork::Hand => "hand.safetensors",
        }
    }

    /// Name of the file of the activation ranges that int8 is made from, calibrated on training frames.
    pub fn ranges_file(self) -> &'static str {
        match self {
            ModelNetwork::Image => "ranges.json",
            ModelNetwork::Hand => "hand_ranges.json",
        }
    }
}

impl StoredModel {
    /// The layers of a network: those of the architecture in the manifest, or its backbone with a linear classifier, as the weights are.
    ///
    /// # Errors
    /// The name of the network is unknown, or the weights cannot be read.
    pub fn network(&self, network: ModelNetwork) -> Result<Network, StoreError> {
        let labels = self.manifest.labels.len();
        if network == ModelNetwork::Hand {
            return Ok(Network::for_hands(labels));
        }
        let network = Network::named(&self.manifest.network, labels)?;
        let tensors = tensor_locations(&self.path(WEIGHTS_FILE))?;
        let mut parameters = network::parameters(&network.layers).into_iter();
        if parameters.all(|parameter| tensors.contains_key(&parameter.name)) {
            Ok(network)
        } else {
            Ok(network.with_linear_classifier())
        }
    }

    /// The networks that the model has.
    pub fn networks(&self) -> impl Iterator<Item = ModelNetwork> {
        let hand = self.manifest.hand.map(|_| ModelNetwork::Hand);
        std::iter::once(ModelNetwork::Image).chain(hand)
    }

    /// Path of the fp32 ONNX file of a network.
    pub fn onnx_file(&self, network: ModelNetwork) -> PathBuf {
        self.path(network.onnx_file())
    }

    /// How the int8 file of a network agrees with the fp32 file; `None` if it was not made.
    pub fn int8_agreement(&self, network: ModelNetwork) -> Option<&Int8Agreement> {
        match network {
            ModelNetwork::Image => self.manifest.int8.as_ref(),
            ModelNetwork::Hand => self.manifest.hand.as_ref()?.int8.as_ref(),
        }
    }

    /// The temperature of a network's logits.
    pub fn temperature(&self, network: ModelNetwork) -> f64 {
        match (network, &self.manifest.hand) {
            (ModelNetwork::Hand, Some(hand)) => hand.temperature,
            _ => self.manifest.temperature,
        }
    }
}
