//! Files of old PyTorch versions, and files that PyTorch never writes. `tests/pytorch.rs` covers files of the current version.

mod files;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::files::*;
use super::*;
use crate::weights::listing::ClassNames;

fn read_bytes(bytes: &[u8]) -> Result<Weights, String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("model.pth");
    std::fs::write(&path, bytes).expect("writes");
    let weights = read(&path).map_err(|error| error.to_string());
    if let Err(message) = &weights {
        assert!(
            message.contains("cannot read ") && message.contains("model.pth: "),
            "{message}"
        );
    }
    weights
}

fn rejection(bytes: &[u8]) -> String {
    read_bytes(bytes).expect_err("is rejected")
}

fn weights(tensors: &[(&str, &[usize], &[f32])]) -> Weights {
    let mut weights = Weights::default();
    for (name, shape, values) in tensors {
        let (shape, values) = (shape.to_vec(), values.to_vec());
        weights.insert((*name).to_owned(), Tensor { shape, values });
    }
    weights
}

/// A state dict with two tensors, and their storages.
fn small() -> (Vec<u8>, [StorageFile<'static>; 2]) {
    let object = dict(&[("a.weight", vector("0", 4)), ("a.bias", vector("1", 1))]);
    let storages = [floats("0", [1.0, 2.0, 3.0, 4.0]), floats("1", [0.5])];
    (object, storages)
}

#[test]
fn both_formats_are_read() {
    let (object, storages) = small();
    for file in [archive(&object, &storages), legacy(&object, &storages)] {
        let expected = weights(&[
            ("a.weight", &[4], &[1.0, 2.0, 3.0, 4.0]),
            ("a.bias", &[1], &[0.5]),
        ]);
        assert_eq!(read_bytes(&file), Ok(expected));
    }
}

#[test]
fn magic_number_is_found_after_a_frame_instruction() {
    let (object, storages) = small();
    let mut file = legacy(&object, &storages);
    file.splice(0..2, *b"\x80\x04\x95\x0d\0\0\0\0\0\0\0");
    assert!(is_torch_legacy(&file[..32]));
    assert!(read_bytes(&file).is_ok());
}

#[test]
fn storage_parts_parameters_and_strings_of_early_releases_are_read() {
    let part = tuple(&[text("7"), int(1), int(2)]);
    let items = [
        b"U\x07storage".to_vec(),
        global("torch", "FloatStorage"),
        b"U\x011".to_vec(),
        b"U\x03cpu".to_vec(),
        b"I3\n".to_vec(),
        part,
    ];
    let storage = [tuple(&items), b"Q".to_vec()].concat();
    let arguments = [storage, int(0), ints(&[2]), ints(&[1])];
    let tensor = call(global("torch._utils", "_rebuild_tensor"), &arguments);
    let state = tuple(&[vec![0x88], b"N".to_vec()]);
    let parameter = [
        call(global("torch.nn.parameter", "Parameter"), &[tensor]),
        state,
        b"b".to_vec(),
    ]
    .concat();
    let pair = [b"](U\x01w".to_vec(), parameter, b"e".to_vec()].concat();
    let list = [b"](".to_vec(), pair, b"e".to_vec()].concat();
    let object = call(global("collections", "OrderedDict"), &[list]);
    let file = legacy(&object, &[floats("1", [1.0, 2.0, 3.0])]);
    assert_eq!(read_bytes(&file), Ok(weights(&[("w", &[2], &[2.0, 3.0])])));
}

#[test]
fn offset_and_strides_are_applied() {
    let view = tensor(storage("FloatStorage", "0", 7), 1, &[3, 2], &[1, 3]);
    let file = archive(&dict(&[("w", view)]), &[floats("0", (0..7).map(|i| i as f32))]);
    let expected = weights(&[("w", &[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0])]);
    assert_eq!(read_bytes(&file), Ok(expected));
}

#[test]
fn tensor_that_exceeds_its_storage_is_rejected_by_name() {
    let huge = i64::MAX;
    let whole = || storage("FloatStorage", "0", 4);
    let invalid = [
        tensor(whole(), 1, &[4], &[1]),
        tensor(whole(), 0, &[2, 2], &[3, 1]),
        tensor(whole(), 4, &[], &[]),
        tensor(whole(), huge, &[4], &[1]),
        tensor(whole(), -1, &[4], &[1]),
        tensor(whole(), 0, &[4], &[-1]),
        tensor(whole(), 0, &[-4], &[1]),
        tensor(whole(), 0, &[2], &[huge]),
        tensor(whole(), huge, &[2, 2], &[huge, huge]),
        tensor(whole(), 0, &[4], &[1, 1]),
        tensor(whole(), 0, &[1; 65], &[1; 65]),
        tensor(storage("FloatStorage", "0", 5), 0, &[4], &[1]),
        tensor(storage("FloatStorage", "0", huge), 0, &[4], &[1]),
        tensor(storage("DoubleStorage", "0", 4), 0, &[4], &[1]),
    ];
    for description in invalid {
        let object = dict(&[("layer.weight", description)]);
        let message = rejection(&archive(&object, &[floats("0", [1.0; 4])]));
        assert!(message.contains("tensor layer.weight is invalid"), "{message}");
    }
}

#[test]
fn too_many_values_are_rejected_before_allocation() {
    for shape in [vec![1 << 40], vec![1 << 31, 1 << 31, 1 << 31], vec![i64::MAX; 3]] {
        let expanded = tensor(storage("FloatStorage", "0", 1), 0, &shape, &vec![0; shape.len()]);
        let message = rejection(&archive(&dict(&[("w", expanded)]), &[floats("0", [1.0])]));
        assert!(
            message.contains("more values") || message.contains("too large"),
            "{message}"
        );
    }
}

#[test]
fn storage_length_in_a_legacy_file_is_validated() {
    for count in [5, 1 << 40, u64::MAX] {
        let object = dict(&[("w", vector("0", 4))]);
        let message = rejection(&legacy(&object, &[("0", count, vec![0; 16])]));
        assert!(message.contains("truncated"), "{message}");
    }
}

#[test]
fn tensors_are_found_at_any_depth_and_named_by_their_path() {
    let network = || dict(&[("a.weight", vector("0", 4))]);
    let step = [b"}(".to_vec(), int(3), vector("1", 1), b"u".to_vec()].concat();
    let list = [b"](".to_vec(), text("adam"), step, b"e".to_vec()].concat();
    let object = dict(&[
        ("epoch", int(7)),
        ("state_dict", network()),
        ("ema", tuple(&[int(1), network()])),
        ("optimizer", list),
    ]);
    let storages = [floats("0", [1.0, 2.0, 3.0, 4.0]), floats("1", [0.5])];
    for file in [archive(&object, &storages), legacy(&object, &storages)] {
        let read = read_bytes(&file).expect("reads");
        let names: Vec<&str> = read.names().collect();
        let expected = ["ema.1.a.weight", "optimizer.1.3", "state_dict.a.weight"];
        assert_eq!(names, expected);
    }
}

#[test]
fn names_of_classes_are_listed_in_the_order_of_the_outputs() {
    let names = |names: &[&str]| {
        let names: Vec<Vec<u8>> = names.iter().map(|name| text(name)).collect();
        [b"](".to_vec(), names.concat(), b"e".to_vec()].concat()
    };
    let indices = dict(&[("up", int(1)), ("down", int(0))]);
    let by_index = [
        b"}(".to_vec(),
        int(0),
        text("down"),
        int(1),
        text("up"),
        b"u".to_vec(),
    ]
    .concat();
    let not_permuted = dict(&[("up", int(2)), ("down", int(0))]);
    let object = dict(&[
        ("a.weight", vector("0", 1)),
        ("class_to_idx", indices),
        ("meta", dict(&[("CLASSES", names(&["down", "up"]))])),
        ("idx_to_label", by_index),
        ("class_weights", not_permuted),
        ("layers", names(&["conv", "fc"])),
    ]);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("model.pth");
    std::fs::write(&path, archive(&object, &[floats("0", [1.0])])).expect("writes");
    let listing = list(&path).expect("lists");
    let expected = ["class_to_idx", "meta.CLASSES", "idx_to_label"].map(|key| ClassNames {
        key: key.to_owned(),
        names: vec!["down".to_owned(), "up".to_owned()],
    });
    assert_eq!(listing.class_names, expected);
}

#[test]
fn engine_of_torch2trt_is_rejected_with_a_fix() {
    let engine = || {
        call(
            global("__builtin__", "bytearray"),
            &[text("ftrt"), text("latin-1")],
        )
    };
    for prefix in ["", "backbone."] {
        let [engine_key, names_key] = ["engine", "input_names"].map(|key| format!("{prefix}{key}"));
        let object = dict(&[
            (&engine_key, engine()),
            (&names_key, tuple(&[text("input_0")])),
            ("fc.weight", vector("0", 1)),
        ]);
        let message = rejection(&archive(&object, &[floats("0", [1.0])]));
        assert!(message.contains("import the PyTorch weights"), "{message}");
    }
    let flattener = global("torch2trt.flattener", "Flattener");
    assert!(rejection(&archive(&flattener, &[])).contains("TensorRT engine"));
}

#[test]
fn references_to_other_functions_are_rejected_by_name() {
    let by_name = call(global("os", "system"), &[text("true")]);
    let from_stack = [text("builtins"), text("eval"), vec![0x93]].concat();
    for (object, name) in [(by_name, "os.system"), (from_stack, "builtins.eval")] {
        for file in [archive(&object, &[]), legacy(&object, &[])] {
            let message = rejection(&file);
            assert!(message.contains(&format!("references {name}")), "{message}");
        }
    }
    let model = [global("torchvision.models.alexnet", "AlexNet"), b")\x81".to_vec()].concat();
    let message = rejection(&archive(&model, &[]));
    assert!(message.contains("save model.state_dict() instead"), "{message}");
}

#[test]
fn instructions_that_call_or_refer_to_external_objects_are_rejected() {
    for object in [
        &b"(ios\nsystem\n"[..],
        b"(cos\nsystem\no",
        b"\x82\x01",
        b"Pkey\n",
        b"\x97",
    ] {
        let message = rejection(&archive(object, &[]));
        assert!(
            message.contains("pickle instruction") || message.contains("os.system"),
            "{message}"
        );
    }
}

#[test]
fn big_endian_files_are_rejected() {
    let (object, storages) = small();
    for file in [
        archive_of("big", &object, &storages),
        legacy_of(false, &object, &storages),
    ] {
        assert!(rejection(&file).contains("big-endian"));
    }
}

#[test]
fn missing_state_dict_is_rejected_with_a_fix() {
    for object in [
        b"N".to_vec(),
        vector("0", 1),
        dict(&[]),
        dict(&[("state_dict", dict(&[]))]),
    ] {
        let message = rejection(&archive(&object, &[floats("0", [1.0])]));
        assert!(message.contains("save model.state_dict()"), "{message}");
    }
}

#[test]
fn nesting_sharing_and_cycles_take_linear_time_and_memory() {
    let deep = [b")".to_vec(), vec![0x85; 1_000_000]].concat();
    let doubled = [b"]q\0".to_vec(), b"](h\0h\0eq\0".repeat(100)].concat();
    let cycle = b"}q\0X\x05\0\0\0modelh\0s".to_vec();
    for object in [deep, doubled, cycle] {
        assert!(rejection(&archive(&object, &[])).contains("no named tensors"));
    }
    let endless = vec![b'N'; 5_000_000];
    assert!(rejection(&archive(&endless, &[])).contains("more pickle instructions"));
}

#[test]
fn truncated_file_is_rejected_at_each_length() {
    let (object, storages) = small();
    for file in [archive(&object, &storages), legacy(&object, &storages)] {
        for kept in 0..file.len() {
            rejection(&file[..kept]);
        }
    }
}

#[test]
fn modified_bytes_never_cause_a_panic() {
    let (object, storages) = small();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for file in [archive(&object, &storages), legacy(&object, &storages)] {
        for _ in 0..500 {
            let mut changed = file.clone();
            for _ in 0..rng.random_range(1..4) {
                let index = rng.random_range(4..changed.len());
                changed[index] = rng.random();
            }
            // Both success and an error are acceptable.
            read_bytes(&changed).ok();
        }
    }
}

#[test]
fn other_content_is_rejected() {
    for file in [
        &b"PK\x03\x04 and nothing more"[..],
        b"\x80\x02}.",
        b"hello",
        &[0; 4096],
    ] {
        rejection(file);
    }
}
