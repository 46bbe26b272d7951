//! Why a file cannot be imported.

use std::path::PathBuf;

use crate::classifier::ClassifierError;
use crate::dataset::Label;
use crate::model_store::StoreError;
use crate::preprocess::PreprocessingError;
use crate::weights::WeightsError;
use crate::weights::pytorch::PytorchError;

/// Why a file cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read or written.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        cause: std::io::Error,
    },
    /// The PyTorch file cannot be read.
    #[error(transparent)]
    Pytorch(#[from] PytorchError),
    /// The safetensors file cannot be read, or the weights cannot be written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The file is neither a PyTorch nor a safetensors file.
    #[error("{path} is {kind}; {fix}")]
    FileKind {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
        /// What to do.
        fix: &'static str,
    },
    /// The tensors do not match any supported network.
    #[error("{path} does not match any supported network; the closest one is {network}, but {differences}")]
    UnknownNetwork {
        /// The file.
        path: PathBuf,
        /// The network with the most tensors in common.
        network: &'static str,
        /// Tensors that are missing, misshaped or unexpected.
        differences: String,
    },
    /// No tensor matches any supported network.
    #[error(
        "{path} does not match any supported network ({supported}): no tensor has a name and shape of one of them; it holds {tensors}"
    )]
    NoNetwork {
        /// The file.
        path: PathBuf,
        /// Names of the networks.
        supported: String,
        /// The first tensors of the file.
        tensors: String,
    },
    /// The backbone is that of a supported network, the classifier is not.
    #[error(
        "{path} is {network} with a classifier that is not supported: {classifier}; supported: {supported}; train the model with one of these, or without its classifier import it as pretrained weights"
    )]
    UnknownClassifier {
        /// The file.
        path: PathBuf,
        /// The network.
        network: &'static str,
        /// The tensors of the classifier.
        classifier: String,
        /// The weights of the classifiers that are supported.
        supported: String,
    },
    /// The file holds several networks, such as a training's weights and their moving average.
    #[error(
        "{path} holds several networks: {networks}; select one with --prefix, for example --prefix {example}"
    )]
    SeveralNetworks {
        /// The file.
        path: PathBuf,
        /// Prefix and name of each network.
        networks: String,
        /// A valid value of the option.
        example: String,
    },
    /// No tensor has the requested prefix.
    #[error("{path} has no tensors under the prefix {prefix}; the names in it begin with {known}")]
    UnknownPrefix {
        /// The file.
        path: PathBuf,
        /// The requested prefix.
        prefix: String,
        /// First parts of the names.
        known: String,
    },
    /// Labels or activation were requested for pretrained weights.
    #[error(
        "{path} holds {content} and can only be imported as pretrained weights, which have no labels and cannot be activated; leave out --labels and --activate, then train a model"
    )]
    NotAModel {
        /// The file.
        path: PathBuf,
        /// Description of the content.
        content: &'static str,
    },
    /// Another preprocessing than ImageNet's was requested for pretrained weights.
    #[error(
        "{path} holds {content} and can only be imported as pretrained weights, which trainings use with RGB images and ImageNet's mean and std; leave out --color-order, --mean and --std"
    )]
    PretrainedPreprocessing {
        /// The file.
        path: PathBuf,
        /// Description of the content.
        content: &'static str,
    },
    /// The requested preprocessing is invalid.
    #[error(transparent)]
    Preprocessing(#[from] PreprocessingError),
    /// The number of labels differs from the number of outputs.
    #[error(
        "the network has {outputs} outputs, but {given} label(s) are given; give one label for each output, in their order: {example}"
    )]
    LabelCount {
        /// Number of outputs of the last layer.
        outputs: usize,
        /// Number of given labels.
        given: usize,
        /// A valid value of the option.
        example: String,
    },
    /// Neither the command line nor the file names the outputs.
    #[error(
        "the network has {outputs} output(s), and {in_file}; give one label for each output, in their order: {example}; the order is that of the training: torchvision's ImageFolder sorts the names of the directories, JetBot's notebooks list the categories; a model of coordinates, as for road following, has no labels and cannot be imported"
    )]
    NoLabels {
        /// Number of outputs of the last layer.
        outputs: usize,
        /// What the file says about its outputs.
        in_file: String,
        /// A valid value of the option.
        example: String,
    },
    /// The same label is given for two outputs.
    #[error("label {0} is given for two outputs, perhaps in two spellings; each output needs its own label")]
    DuplicateLabel(Label),
    /// The model store reported an error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// ONNX Runtime cannot run the imported model.
    #[error("the imported model cannot be run: {0}")]
    Classifier(#[from] ClassifierError),
}
