//! Builders for files in the formats of `torch.save`, from single pickle instructions.

use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A storage: its key, number of values, and bytes.
pub(super) type StorageFile<'a> = (&'a str, u64, Vec<u8>);

pub(super) fn text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("a short string");
    [b"X", &length.to_le_bytes()[..], text.as_bytes()].concat()
}

pub(super) fn int(number: i64) -> Vec<u8> {
    [&[0x8a, 8][..], &number.to_le_bytes()].concat()
}

pub(super) fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &items.concat()[..], b"t"].concat()
}

pub(super) fn ints(numbers: &[i64]) -> Vec<u8> {
    tuple(&numbers.iter().map(|number| int(*number)).collect::<Vec<_>>())
}

pub(super) fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<Vec<u8>> = entries
        .iter()
        .map(|(key, value)| [text(key), value.clone()].concat())
        .collect();
    [b"}(", &entries.concat()[..], b"u"].concat()
}

pub(super) fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

pub(super) fn call(function: Vec<u8>, arguments: &[Vec<u8>]) -> Vec<u8> {
    [function, tuple(arguments), b"R".to_vec()].concat()
}

/// The reference to a storage in the pickle.
pub(super) fn storage(class: &str, key: &str, count: i64) -> Vec<u8> {
    let class = global("torch", class);
    let items = [text("storage"), class, text(key), text("cuda:0"), int(count)];
    [tuple(&items), b"Q".to_vec()].concat()
}

pub(super) fn tensor(storage: Vec<u8>, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let hooks = call(global("collections", "OrderedDict"), &[]);
    let arguments = [
        storage,
        int(offset),
        ints(shape),
        ints(strides),
        vec![0x89],
        hooks,
    ];
    call(global("torch._utils", "_rebuild_tensor_v2"), &arguments)
}

/// A float32 vector that occupies its whole storage.
pub(super) fn vector(key: &str, length: i64) -> Vec<u8> {
    tensor(storage("FloatStorage", key, length), 0, &[length], &[1])
}

pub(super) fn floats(key: &str, values: impl IntoIterator<Item = f32>) -> StorageFile<'_> {
    let values: Vec<f32> = values.into_iter().collect();
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    (key, values.len() as u64, bytes)
}

pub(super) fn pickle(object: &[u8]) -> Vec<u8> {
    [&[0x80, 2][..], object, b"."].concat()
}

pub(super) fn legacy(object: &[u8], storages: &[StorageFile]) -> Vec<u8> {
    legacy_of(true, object, storages)
}

pub(super) fn legacy_of(is_little_endian: bool, object: &[u8], storages: &[StorageFile]) -> Vec<u8> {
    let endian = vec![if is_little_endian { 0x88 } else { 0x89 }];
    let mut file = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec();
    file.extend(pickle(&dict(&[("little_endian", endian)])));
    file.extend(pickle(object));
    let keys: Vec<Vec<u8>> = storages.iter().map(|(key, ..)| text(key)).collect();
    file.extend(pickle(&[b"](", &keys.concat()[..], b"e"].concat()));
    for (_, count, bytes) in storages {
        file.extend(count.to_le_bytes());
        file.extend(bytes);
    }
    file
}

pub(super) fn archive(object: &[u8], storages: &[StorageFile]) -> Vec<u8> {
    archive_of("little", object, storages)
}

pub(super) fn archive_of(byte_order: &str, object: &[u8], storages: &[StorageFile]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    let mut add = |name: &str, bytes: &[u8]| {
        zip.start_file(format!("model/{name}"), options).expect("starts");
        zip.write_all(bytes).expect("writes");
    };
    add("data.pkl", &pickle(object));
    add("byteorder", byte_order.as_bytes());
    for (key, _, bytes) in storages {
        add(&format!("data/{key}"), bytes);
    }
    zip.finish().expect("finishes").into_inner()
}
