//! Recognition by names and shapes alone.

use super::*;

/// A tensor with this name, shape and number of its dict.
fn tensor(name: &str, shape: &[usize], dict: usize) -> TensorInfo {
    TensorInfo {
        name: name.to_owned(),
        shape: shape.to_vec(),
        dict,
    }
}

/// The tensors of a network under other names.
fn renamed(name: &str, outputs: usize, dict: usize, rename: impl Fn(&str) -> String) -> Vec<TensorInfo> {
    let network = Network::named(name, outputs).expect("known");
    parameters(&network.layers)
        .iter()
        .map(|parameter| tensor(&rename(&parameter.name), &parameter.shape, dict))
        .collect()
}

fn plain(name: &str, outputs: usize) -> Vec<TensorInfo> {
    renamed(name, outputs, 0, str::to_owned)
}

fn all(tensors: Vec<TensorInfo>, prefix: Option<&str>) -> Result<Vec<Recognized>, String> {
    let listing = Listing {
        tensors,
        class_names: Vec::new(),
    };
    recognize(Path::new("model.pth"), &listing, prefix).map_err(|error| error.to_string())
}

fn one(tensors: Vec<TensorInfo>) -> Recognized {
    let mut recognized = all(tensors, None).expect("is recognized");
    assert_eq!(recognized.len(), 1, "{recognized:?}");
    recognized.remove(0)
}

fn rejection(tensors: Vec<TensorInfo>) -> String {
    all(tensors, None).expect_err("is rejected")
}

#[test]
fn network_is_recognized_under_any_wrapper() {
    type Rename = fn(&str) -> String;
    let wrappers: [(&str, Rename); 12] = [
        ("plain", str::to_owned),
        ("DataParallel", |name| format!("module.{name}")),
        ("torch.compile", |name| format!("_orig_mod.{name}")),
        ("Lightning", |name| format!("state_dict.model.{name}")),
        ("nested", |name| format!("state_dict.net._orig_mod.module.{name}")),
        ("AveragedModel", |name| {
            format!("averaged_model.module.module.{name}")
        }),
        ("an own module", |name| format!("gesture_classifier.cnn.{name}")),
        ("Sequential after a normalization", |name| format!("1.{name}")),
        // PyTorch's ImageNet example and jetson-inference wrap the features of AlexNet and VGG alone.
        ("features", |name| name.replace("features.", "features.module.")),
        ("features and more", |name| {
            format!(
                "model.{}",
                name.replace("features.", "features._orig_mod.module.")
            )
        }),
        ("layers", |name| match name.rsplit_once('.') {
            Some((layer, leaf)) => format!("{layer}.wrapped.{leaf}"),
            None => name.to_owned(),
        }),
        ("a class with the name of a layer", |name| {
            format!("fc.classifier.{name}")
        }),
    ];
    for network in Architecture::VARIANTS {
        for (wrapper, rename) in wrappers {
            let recognized = one(renamed(network, 3, 0, rename));
            assert_eq!(recognized.network.name(), *network, "{wrapper}");
            assert_eq!(recognized.network.outputs(), 3, "{wrapper} of {network}");
            assert!(recognized.has_classifier, "{wrapper} of {network}");
            for (in_file, in_network) in &recognized.names {
                assert_eq!(*in_file, rename(in_network), "{wrapper} of {network}");
            }
        }
    }
}

#[test]
fn last_layer_may_be_linear_or_in_a_sequential() {
    let last = |name: &str| name.replace("fc.", "fc.1.");
    assert_eq!(one(renamed("resnet18", 3, 0, last)).network.outputs(), 3);
    let mut linear = plain("alexnet", 3);
    linear.retain(|tensor| tensor.name.starts_with("features."));
    linear.push(tensor("classifier.weight", &[3, 9216], 0));
    linear.push(tensor("classifier.bias", &[3], 0));
    let recognized = one(linear);
    let expected = Network::new(Architecture::AlexNet, 3).with_linear_classifier();
    assert_eq!(recognized.network, expected);
}

#[test]
fn state_of_a_training_is_not_a_part_of_the_network() {
    let mut checkpoint = renamed("resnet18", 2, 1, |name| format!("state_dict.{name}"));
    checkpoint.extend(renamed("resnet18", 2, 2, |name| {
        format!("optimizer.state.{name}.exp_avg")
    }));
    checkpoint.push(tensor("best_acc1", &[], 0));
    checkpoint.push(tensor("callbacks.0.history", &[30], 3));
    assert_eq!(one(checkpoint).prefix, "state_dict");
}

#[test]
fn classifier_that_was_saved_separately_is_not_ignored() {
    let mut features = renamed("resnet18", 2, 1, |name| format!("backbone.{name}"));
    features.retain(|tensor| !tensor.name.contains("fc."));
    let backbone = one(features.clone());
    assert!(!backbone.has_classifier);
    for dict in [1, 2] {
        let mut with_head = features.clone();
        with_head.push(tensor("head.weight", &[3, 512], dict));
        with_head.push(tensor("head.bias", &[3], dict));
        let message = rejection(with_head);
        assert!(
            message.contains("head.weight [3, 512]") && message.contains("fc.weight [outputs, 512]"),
            "{message}"
        );
    }
}

#[test]
fn backbone_and_classifier_may_have_different_prefixes() {
    // As OpenMMLab names them.
    let divided = |prefix: &'static str| {
        renamed("resnet18", 3, 1, move |name| match name.strip_prefix("fc.") {
            Some(leaf) => format!("{prefix}.head.fc.{leaf}"),
            None => format!("{prefix}.backbone.{name}"),
        })
    };
    let recognized = one(divided("state_dict"));
    assert_eq!(
        (recognized.network.outputs(), recognized.prefix.as_str()),
        (3, "state_dict")
    );
    assert_eq!(recognized.names["state_dict.head.fc.weight"], "fc.weight");

    let both = [divided("model"), divided("ema")].concat();
    let recognized = all(both.clone(), None).expect("two networks");
    assert_eq!(recognized.len(), 2);
    let two_heads = [
        divided("model"),
        vec![tensor("model.head2.fc.weight", &[4, 512], 1)],
    ]
    .concat();
    rejection(two_heads);
}

#[test]
fn tensors_of_another_part_are_named_with_the_option_that_leaves_them_out() {
    let mut with_loss = renamed("resnet18", 2, 0, |name| format!("model.{name}"));
    with_loss.push(tensor("criterion.weight", &[2], 0));
    let message = rejection(with_loss.clone());
    assert!(
        message.contains("criterion.weight [2] is unexpected"),
        "{message}"
    );
    assert!(message.contains("--prefix model"), "{message}");
    assert_eq!(all(with_loss, Some("model")).expect("is recognized").len(), 1);
}

#[test]
fn one_of_several_networks_is_selected_by_its_prefix() {
    let mut both = plain("resnet18", 2);
    both.extend(renamed("resnet18", 2, 0, |name| format!("ema.module.{name}")));
    let prefixes = |prefix| -> Vec<String> {
        let recognized = all(both.clone(), prefix).expect("is recognized");
        recognized
            .into_iter()
            .map(|recognized| recognized.prefix)
            .collect()
    };
    assert_eq!(prefixes(None), ["", "ema.module"]);
    assert_eq!(prefixes(Some("ema")), ["ema.module"]);
    assert_eq!(prefixes(Some("ema.module.")), ["ema.module"]);
    assert_eq!(prefixes(Some(".")), [""]);
    let unknown = all(both.clone(), Some("em")).expect_err("is rejected");
    assert!(
        unknown.contains("prefix em;") && unknown.contains("ema"),
        "{unknown}"
    );
}

#[test]
fn classifier_of_several_layers_is_named_with_what_is_supported() {
    let mut alexnet = plain("alexnet", 3);
    alexnet.retain(|tensor| !tensor.name.starts_with("classifier.6"));
    alexnet.push(tensor("classifier.6.1.weight", &[256, 4096], 0));
    alexnet.push(tensor("classifier.6.1.bias", &[256], 0));
    alexnet.push(tensor("classifier.6.4.weight", &[3, 256], 0));
    alexnet.push(tensor("classifier.6.4.bias", &[3], 0));
    let message = rejection(alexnet);
    assert!(message.contains("is alexnet with a classifier"), "{message}");
    assert!(message.contains("classifier.6.1.weight [256, 4096]"), "{message}");
    assert!(message.contains("classifier.6.4.weight [3, 256]"), "{message}");
    assert!(
        message.contains("classifier.6.weight [outputs, 4096]"),
        "{message}"
    );
    assert!(
        message.contains("classifier.weight [outputs, 9216] alone"),
        "{message}"
    );
}

#[test]
fn closest_network_has_the_most_tensors_in_common() {
    // ResNet-34 has the blocks of ResNet-18 and more.
    let mut resnet34 = renamed("resnet18", 2, 0, |name| format!("module.{name}"));
    resnet34.push(tensor("module.layer1.2.conv1.weight", &[64, 64, 3, 3], 0));
    let message = rejection(resnet34);
    assert!(message.contains("closest one is resnet18"), "{message}");
    assert!(
        message.contains("module.layer1.2.conv1.weight [64, 64, 3, 3] is unexpected"),
        "{message}"
    );

    let mut incomplete = plain("vgg11", 2);
    incomplete.truncate(9);
    incomplete[2].shape[0] += 1;
    let message = rejection(incomplete);
    assert!(message.contains("closest one is vgg11"), "{message}");
    assert!(
        message.contains("features.3.weight has the shape [129, 64, 3, 3] instead of [128, 64, 3, 3]"),
        "{message}"
    );
    assert!(message.contains("features.11.bias [512] is missing"), "{message}");
}

#[test]
fn file_without_any_known_tensor_is_described() {
    // MobileNet, whose last layer has the name of SqueezeNet's.
    let message = rejection(vec![
        tensor("features.0.0.weight", &[32, 3, 3, 3], 0),
        tensor("classifier.1.weight", &[2, 1280], 0),
        tensor("classifier.1.bias", &[2], 0),
    ]);
    assert!(message.contains("features.0.0.weight [32, 3, 3, 3]"), "{message}");
    assert!(message.contains("alexnet, squeezenet1_1"), "{message}");
}

#[test]
fn parametrized_and_quantized_weights_are_not_mistaken_for_plain_ones() {
    for (suffix, shape) in [
        ("parametrizations.weight.original", vec![2, 512]),
        ("lora_A.default.weight", vec![4, 512]),
        ("weight_fake_quant.scale", vec![1]),
    ] {
        let mut tensors = plain("resnet18", 2);
        tensors.push(tensor(&format!("fc.{suffix}"), &shape, 0));
        let message = rejection(tensors);
        assert!(message.contains(suffix), "{message}");
    }
    let mut original = plain("resnet18", 2);
    original.retain(|tensor| tensor.name != "fc.weight");
    original.push(tensor("fc.parametrizations.weight.original", &[2, 512], 0));
    rejection(original);
}
