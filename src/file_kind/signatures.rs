//! The signatures of files, and the entries of zip archives.

use std::io::{Read, Seek};

use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};

use super::FileKind;

/// Number of entries of a zip archive that are looked at.
const MAX_ENTRIES: usize = 10_000;
/// Longest header of a safetensors file, in bytes; the format's own limit.
const MAX_SAFETENSORS_HEADER: u64 = 100_000_000;
/// `torch.serialization.MAGIC_NUMBER`, 0x1950a86a20f9469cfc6c, little-endian as in a pickle.
pub(crate) const TORCH_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// Highest offset at which the magic number can begin, which is after the FRAME instruction of newer pickle protocols.
const MAX_TORCH_MAGIC_OFFSET: usize = 16;
/// The lowest and highest version of ONNX's format. Lower ones are those of TensorFlow, which begin in the same way.
const ONNX_VERSIONS: std::ops::RangeInclusive<u8> = 3..=32;

/// First bytes that only files of one kind have.
const SIGNATURES: &[(&[u8], FileKind)] = &[
    (b"version https://git-lfs.github.com/", FileKind::GitLfsPointer),
    (b"PK\x03\x04", FileKind::Zip),
    (b"PK\x05\x06", FileKind::Zip),
    (b"ftrt", FileKind::TensorRt),
    (b"\x89HDF\r\n\x1a\n", FileKind::Hdf5),
    (b"GGUF", FileKind::Gguf),
    (b"\x93NUMPY", FileKind::Numpy),
    (b"\xff\xd8\xff", FileKind::Jpeg),
    (b"\x89PNG\r\n\x1a\n", FileKind::Png),
    (b"GIF8", FileKind::Gif),
    (b"II*\0", FileKind::Tiff),
    (b"MM\0*", FileKind::Tiff),
    (b"II+\0", FileKind::Tiff),
    (b"MM\0+", FileKind::Tiff),
    (b"\xff\x0a", FileKind::JpegXl),
    (b"\0\0\0\x0cJXL ", FileKind::JpegXl),
    (b"\0\0\0\x0cjP  ", FileKind::Jpeg2000),
    (b"\xff\x4f\xff\x51", FileKind::Jpeg2000),
    (b"qoif", FileKind::Qoi),
    (b"P5\n", FileKind::Pnm),
    (b"P6\n", FileKind::Pnm),
    // A start code of H.264 or H.265.
    (b"\0\0\0\x01", FileKind::Video),
    (b"\x1aE\xdf\xa3", FileKind::Video),
    (b"\x89MCAP0\r\n", FileKind::Mcap),
    (b"SQLite format 3\0", FileKind::Sqlite),
    (b"#ROSBAG V", FileKind::Ros1Bag),
    (b"\x1f\x8b", FileKind::Gzip),
    (b"BZh", FileKind::Bzip2),
    (b"\xfd7zXZ\0", FileKind::Xz),
    (b"\x28\xb5\x2f\xfd", FileKind::Zstd),
    (b"\x04\x22\x4d\x18", FileKind::Lz4),
    (b"7z\xbc\xaf\x27\x1c", FileKind::SevenZip),
    (b"Rar!\x1a\x07", FileKind::Rar),
    (b"%PDF-", FileKind::Pdf),
    (b"\0\0\x01\xba", FileKind::Video),
    (b"L\0\0\0\x01\x14\x02\0", FileKind::WindowsShortcut),
    (b"\0\x05\x16\x07", FileKind::AppleDouble),
    (b"\x7fELF", FileKind::Elf),
    (b"MZ\x90\0", FileKind::WindowsProgram),
];

/// Whether `torch.save` before torch 1.6 wrote a file with these first bytes.
///
/// The first byte of a pickle is also a valid first byte of a safetensors file, which begins with the length of its header.
/// These files are therefore recognized by their magic number.
pub(crate) fn is_torch_legacy(first_bytes: &[u8]) -> bool {
    let start = &first_bytes[..first_bytes.len().min(MAX_TORCH_MAGIC_OFFSET + TORCH_MAGIC.len())];
    start
        .windows(TORCH_MAGIC.len())
        .any(|window| window == TORCH_MAGIC)
}

/// The kind by the first bytes; [`FileKind::Zip`] for every zip archive.
pub(super) fn from_first_bytes(bytes: &[u8]) -> FileKind {
    if bytes.is_empty() {
        return FileKind::Empty;
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return FileKind::Zeros;
    }
    if is_safetensors(bytes) {
        return FileKind::Safetensors;
    }
    if let Some((_, kind)) = SIGNATURES
        .iter()
        .find(|(signature, _)| bytes.starts_with(signature))
    {
        return match kind {
            FileKind::Elf if !is_own_elf(bytes) => FileKind::ForeignElf,
            kind => *kind,
        };
    }
    match bytes.get(4..12) {
        Some([b'T', b'F', b'L', b'3', ..]) => return FileKind::TfLite,
        Some([b'f', b't', b'y', b'p', brand @ ..]) => return from_brand(brand),
        Some([_, _, _, _, form @ ..]) if bytes.starts_with(b"RIFF") => return from_riff(form),
        _ => {}
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return FileKind::Tar;
    }
    if is_bmp(bytes) {
        return FileKind::Bmp;
    }
    if let [0x80, 2..=5, ..] = bytes {
        return if is_torch_legacy(bytes) {
            FileKind::PytorchLegacy
        } else {
            FileKind::Pickle
        };
    }
    if is_message_pack(bytes) {
        return FileKind::MessagePack;
    }
    from_protobuf(bytes).unwrap_or_else(|| from_text(bytes))
}

/// A short map whose first key is a short name.
fn is_message_pack(bytes: &[u8]) -> bool {
    let [0x81..=0x8f, key @ 0xa1..=0xbf, rest @ ..] = bytes else {
        return false;
    };
    let name = rest.get(..usize::from(key - 0xa0));
    name.is_some_and(|name| {
        name.iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    })
}

/// A safetensors file begins with the length of its header, which is a JSON object.
fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((length, [b'{', ..])) = bytes.split_first_chunk() else {
        return false;
    };
    (2..=MAX_SAFETENSORS_HEADER).contains(&u64::from_le_bytes(*length))
}

/// Whether the processor in an ELF header is the one of this program.
fn is_own_elf(bytes: &[u8]) -> bool {
    const X86_64: u8 = 62;
    const AARCH64: u8 = 183;
    match std::env::consts::ARCH {
        "x86_64" => bytes.get(18) == Some(&X86_64),
        "aarch64" => bytes.get(18) == Some(&AARCH64),
        _ => true,
    }
}

fn is_bmp(bytes: &[u8]) -> bool {
    // Six bytes with the length of the file and zeros follow, then the offset of the pixels.
    bytes.starts_with(b"BM") && bytes.get(6..10) == Some(&[0; 4])
}

fn from_brand(brand: &[u8]) -> FileKind {
    match brand {
        b"avif" | b"avis" => FileKind::Avif,
        b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"mif1" | b"msf1" => FileKind::Heif,
        _ => FileKind::Video,
    }
}

fn from_riff(form: &[u8]) -> FileKind {
    match form {
        b"WEBP" => FileKind::WebP,
        b"AVI " => FileKind::Video,
        _ => FileKind::Unknown,
    }
}

/// ONNX, Core ML and TensorFlow models are protocol buffers, which have no signature, but their first fields are known.
fn from_protobuf(bytes: &[u8]) -> Option<FileKind> {
    // The tags of ONNX's fields 2, 3, 4, 6, 7, 8 and 14; each is followed by a length.
    const ONNX_TAGS: [u8; 7] = [0x12, 0x1a, 0x22, 0x32, 0x3a, 0x42, 0x72];
    // Field 2 of ONNX is a name, that of Core ML a message that begins with its own field 1.
    const FIELD_2: u8 = 0x12;
    const FIELD_1: u8 = 0x0a;
    match *bytes {
        [0x08, 2..=32, FIELD_2, length, FIELD_1, ..] if length < 0x80 => Some(FileKind::CoreMl),
        [0x08, 2..=32, FIELD_2, 0x80..=0xff, length, FIELD_1, ..] if length < 0x80 => Some(FileKind::CoreMl),
        [0x08, version, tag, ..] if ONNX_VERSIONS.contains(&version) && ONNX_TAGS.contains(&tag) => {
            Some(FileKind::Onnx)
        }
        [0x08, 1, 0x12, ..] => Some(FileKind::TensorFlow),
        _ => None,
    }
}

fn from_text(bytes: &[u8]) -> FileKind {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return FileKind::Utf16;
    }
    let text = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(bytes)
        .trim_ascii_start();
    let begins_with = |word: &[u8]| {
        let start = text.get(..word.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    if [
        &b"<!doctype html"[..],
        b"<html",
        b"<head",
        b"<body",
        b"<script",
        b"<!--",
    ]
    .iter()
    .any(|word| begins_with(word))
    {
        return FileKind::Html;
    }
    if begins_with(b"<?xml") || begins_with(b"<net ") {
        let is_openvino = text.windows(5).any(|window| window == b"<net ");
        return if is_openvino {
            FileKind::OpenVino
        } else {
            FileKind::Xml
        };
    }
    let rest = text.get(1..).unwrap_or_default().trim_ascii_start();
    match (text, rest) {
        ([b'{', ..], [b'"' | b'}', ..]) | ([b'[', ..], [b'{' | b'[' | b'"' | b']', ..]) => FileKind::Json,
        _ if is_text(text) => FileKind::Text,
        _ => FileKind::Unknown,
    }
}

/// Whether these first bytes are printable UTF-8. The last character may be incomplete.
fn is_text(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let is_printable = |character: char| !character.is_control() || matches!(character, '\n' | '\r' | '\t');
    !valid.is_empty() && valid.chars().all(is_printable)
}

/// The kind of a zip archive by its entries.
pub(super) fn from_entries(reader: impl Read + Seek) -> FileKind {
    // torch writes some records twice, which misleads the crate's search for the beginning of the archive.
    let config = Config {
        archive_offset: ArchiveOffset::Known(0),
    };
    let Ok(zip) = ZipArchive::with_config(config, reader) else {
        return FileKind::DamagedZip;
    };
    let names: Vec<String> = zip
        .file_names()
        .filter_map(|name| Some(name.ok()?.into_owned()))
        .take(MAX_ENTRIES)
        .collect();
    // torch puts all entries into one directory, which has the name of the file.
    let has = |entry: &str| {
        names
            .iter()
            .any(|name| name.split_once('/').is_some_and(|(_, rest)| rest == entry))
    };
    let has_root = |entry: &str| names.iter().any(|name| name == entry);
    if has("constants.pkl") || has("bytecode.pkl") {
        FileKind::TorchScript
    } else if has("archive_format")
        || has("serialized_exported_program.json")
        || has_root("serialized_exported_program.json")
    {
        FileKind::TorchExport
    } else if has("data.pkl") {
        FileKind::PytorchZip
    } else if has_root("model.weights.h5") {
        FileKind::Keras
    } else if !names.is_empty() && names.iter().all(|name| name.ends_with(".npy")) {
        FileKind::Numpy
    } else {
        FileKind::Zip
    }
}
