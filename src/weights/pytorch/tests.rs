//! Files that no PyTorch would write any more, or never. What it writes today is read in `tests/pytorch.rs`.

mod files;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::files::*;
use super::*;

fn read_bytes(bytes: &[u8]) -> Result<Weights, String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("model.pth");
    std::fs::write(&path, bytes).expect("writes");
    let weights = read(&path).map_err(|error| error.to_string());
    if let Err(message) = &weights {
        assert!(message.contains("model.pth is not read"), "{message}");
    }
    weights
}

fn refusal(bytes: &[u8]) -> String {
    read_bytes(bytes).expect_err("is refused")
}

fn weights(tensors: &[(&str, &[usize], &[f32])]) -> Weights {
    let mut weights = Weights::default();
    for (name, shape, values) in tensors {
        let (shape, values) = (shape.to_vec(), values.to_vec());
        weights.insert((*name).to_owned(), Tensor { shape, values });
    }
    weights
}

/// Two tensors, and their storages.
fn small() -> (Vec<u8>, [StorageFile<'static>; 2]) {
    let object = dict(&[("a.weight", vector("0", 4)), ("a.bias", vector("1", 1))]);
    let storages = [floats("0", [1.0, 2.0, 3.0, 4.0]), floats("1", [0.5])];
    (object, storages)
}

#[test]
fn both_formats_are_told_from_safetensors() {
    let (object, storages) = small();
    for file in [archive(&object, &storages), legacy(&object, &storages)] {
        assert!(is_pytorch(&file[..32]));
        let expected = weights(&[
            ("a.weight", &[4], &[1.0, 2.0, 3.0, 4.0]),
            ("a.bias", &[1], &[0.5]),
        ]);
        assert_eq!(read_bytes(&file), Ok(expected));
    }
    // A header of 640 bytes begins as a pickle of protocol 2 does.
    assert!(!is_pytorch(b"\x80\x02\0\0\0\0\0\0{\"__metadata__\":{}}"));
    assert!(!is_pytorch(b""));
}

#[test]
fn a_frame_of_a_newer_protocol_may_stand_before_the_magic_number() {
    let (object, storages) = small();
    let mut file = legacy(&object, &storages);
    file.splice(0..2, *b"\x80\x04\x95\x0d\0\0\0\0\0\0\0");
    assert!(is_pytorch(&file[..32]));
    assert!(read_bytes(&file).is_ok());
}

#[test]
fn parts_of_storages_parameters_and_texts_of_the_first_releases_are_read() {
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
fn offset_and_strides_are_followed() {
    let view = tensor(storage("FloatStorage", "0", 7), 1, &[3, 2], &[1, 3]);
    let file = archive(&dict(&[("w", view)]), &[floats("0", (0..7).map(|i| i as f32))]);
    let expected = weights(&[("w", &[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0])]);
    assert_eq!(read_bytes(&file), Ok(expected));
}

#[test]
fn a_tensor_that_leaves_its_storage_is_named() {
    let huge = i64::MAX;
    let whole = || storage("FloatStorage", "0", 4);
    let bad = [
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
    for description in bad {
        let object = dict(&[("layer.weight", description)]);
        let message = refusal(&archive(&object, &[floats("0", [1.0; 4])]));
        assert!(message.contains("tensor layer.weight is broken"), "{message}");
    }
}

#[test]
fn more_values_than_the_file_has_bytes_are_refused_before_memory_is_taken() {
    for shape in [vec![1 << 40], vec![1 << 31, 1 << 31, 1 << 31], vec![i64::MAX; 3]] {
        let expanded = tensor(storage("FloatStorage", "0", 1), 0, &shape, &vec![0; shape.len()]);
        let message = refusal(&archive(&dict(&[("w", expanded)]), &[floats("0", [1.0])]));
        assert!(
            message.contains("more values") || message.contains("too large"),
            "{message}"
        );
    }
}

#[test]
fn a_count_in_a_legacy_file_is_held_against_its_length() {
    for count in [5, 1 << 40, u64::MAX] {
        let object = dict(&[("w", vector("0", 4))]);
        let message = refusal(&legacy(&object, &[("0", count, vec![0; 16])]));
        assert!(message.contains("cut off"), "{message}");
    }
}

#[test]
fn what_is_asked_for_beyond_tensors_is_named_and_refused() {
    let by_name = call(global("os", "system"), &[text("true")]);
    let from_stack = [text("builtins"), text("eval"), vec![0x93]].concat();
    for (object, name) in [(by_name, "os.system"), (from_stack, "builtins.eval")] {
        for file in [archive(&object, &[]), legacy(&object, &[])] {
            let message = refusal(&file);
            assert!(message.contains(&format!("it asks for {name}")), "{message}");
        }
    }
    let model = [global("torchvision.models.alexnet", "AlexNet"), b")\x81".to_vec()].concat();
    let message = refusal(&archive(&model, &[]));
    assert!(message.contains("save model.state_dict() instead"), "{message}");
}

#[test]
fn instructions_that_call_or_name_by_number_are_refused() {
    for object in [
        &b"(ios\nsystem\n"[..],
        b"(cos\nsystem\no",
        b"\x82\x01",
        b"Pkey\n",
        b"\x97",
    ] {
        let message = refusal(&archive(object, &[]));
        assert!(
            message.contains("pickle instruction") || message.contains("os.system"),
            "{message}"
        );
    }
}

#[test]
fn the_other_byte_order_is_refused() {
    let (object, storages) = small();
    for file in [
        archive_of("big", &object, &storages),
        legacy_of(false, &object, &storages),
    ] {
        assert!(refusal(&file).contains("big-endian"));
    }
}

#[test]
fn what_holds_no_state_dict_says_what_to_save() {
    for object in [
        b"N".to_vec(),
        vector("0", 1),
        dict(&[]),
        dict(&[("state_dict", dict(&[]))]),
    ] {
        let message = refusal(&archive(&object, &[floats("0", [1.0])]));
        assert!(message.contains("save model.state_dict()"), "{message}");
    }
}

#[test]
fn nesting_sharing_and_cycles_cost_no_more_than_their_bytes() {
    let deep = [b")".to_vec(), vec![0x85; 1_000_000]].concat();
    let doubled = [b"]q\0".to_vec(), b"](h\0h\0eq\0".repeat(100)].concat();
    let cycle = b"}q\0X\x05\0\0\0modelh\0s".to_vec();
    for object in [deep, doubled, cycle] {
        assert!(refusal(&archive(&object, &[])).contains("no tensors"));
    }
    let endless = vec![b'N'; 5_000_000];
    assert!(refusal(&archive(&endless, &[])).contains("more pickle instructions"));
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let (object, storages) = small();
    for file in [archive(&object, &storages), legacy(&object, &storages)] {
        for kept in 0..file.len() {
            refusal(&file[..kept]);
        }
    }
}

#[test]
fn changed_bytes_are_read_or_refused_but_never_a_panic() {
    let (object, storages) = small();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for file in [archive(&object, &storages), legacy(&object, &storages)] {
        for _ in 0..500 {
            let mut changed = file.clone();
            for _ in 0..rng.random_range(1..4) {
                let place = rng.random_range(4..changed.len());
                changed[place] = rng.random();
            }
            // An outcome of either kind is fine.
            let _ = read_bytes(&changed);
        }
    }
}

#[test]
fn garbage_is_refused() {
    for file in [
        &b"PK\x03\x04 and nothing more"[..],
        b"\x80\x02}.",
        b"hello",
        &[0; 4096],
    ] {
        refusal(file);
    }
}
