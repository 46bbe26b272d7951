//! What a file is, by its content: its first bytes and, for a zip archive, the names of its entries.
//!
//! Readers of weights, images and bags use it to say what a file is that they cannot read, and a dataset to find its images.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};

use crate::weights::pytorch;

/// Number of bytes that determine the kind; a tar archive has its signature at byte 257.
const FIRST_BYTES: u64 = 512;
/// Number of entries of a zip archive that are looked at.
const MAX_ENTRIES: usize = 10_000;
/// Longest header of a safetensors file, in bytes; the format's own limit.
const MAX_SAFETENSORS_HEADER: u64 = 100_000_000;
/// The lowest and highest version of ONNX's format. Lower ones are those of TensorFlow, which begin in the same way.
const ONNX_VERSIONS: std::ops::RangeInclusive<u8> = 3..=32;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Empty,
    GitLfsPointer,
    Html,
    Xml,
    Json,
    // Weights and networks.
    /// The zip archive of `torch.save`.
    PytorchZip,
    /// The format of `torch.save` before torch 1.6.
    PytorchLegacy,
    Safetensors,
    TorchScript,
    /// The result of `torch.export`.
    TorchExport,
    Onnx,
    TensorRt,
    Hdf5,
    Keras,
    TfLite,
    TensorFlow,
    Gguf,
    Numpy,
    /// A pickle that is not a file of `torch.save`.
    Pickle,
    // Images and videos.
    Jpeg,
    Png,
    Gif,
    Bmp,
    WebP,
    Tiff,
    Heif,
    Avif,
    Video,
    // Bags.
    Mcap,
    Sqlite,
    Ros1Bag,
    // Archives and documents.
    Zip,
    /// A file with the signature of a zip archive whose directory cannot be read.
    DamagedZip,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
    SevenZip,
    Rar,
    Tar,
    Pdf,
    Unknown,
}

impl FileKind {
    /// The kind of a file.
    ///
    /// # Errors
    /// The file cannot be opened or read.
    pub(crate) fn of_file(path: &Path) -> io::Result<FileKind> {
        FileKind::of_reader(BufReader::new(File::open(path)?))
    }

    /// The kind of a file with this content.
    #[cfg(test)]
    pub(crate) fn of_bytes(content: &[u8]) -> FileKind {
        FileKind::of_reader(io::Cursor::new(content)).unwrap_or(FileKind::Unknown)
    }

    fn of_reader(mut reader: impl Read + Seek) -> io::Result<FileKind> {
        let mut first_bytes = Vec::new();
        (&mut reader).take(FIRST_BYTES).read_to_end(&mut first_bytes)?;
        let kind = from_first_bytes(&first_bytes);
        if kind != FileKind::Zip {
            return Ok(kind);
        }
        reader.rewind()?;
        Ok(from_entries(reader))
    }

    /// Whether [`Frame`](crate::frame::Frame) decodes it.
    pub(crate) fn is_decodable_image(self) -> bool {
        matches!(self, FileKind::Jpeg | FileKind::Png)
    }

    /// A noun phrase for messages: "the file is {name}".
    pub(crate) fn name(self) -> &'static str {
        match self {
            FileKind::Empty => "empty",
            FileKind::GitLfsPointer => "a Git LFS pointer, which stands for a file that was not downloaded",
            FileKind::Html => "a web page (HTML)",
            FileKind::Xml => "an XML document",
            FileKind::Json => "JSON text",
            FileKind::PytorchZip | FileKind::PytorchLegacy => "a PyTorch file",
            FileKind::Safetensors => "a safetensors file",
            FileKind::TorchScript => "a TorchScript module",
            FileKind::TorchExport => "a program of torch.export",
            FileKind::Onnx => "an ONNX model",
            FileKind::TensorRt => "a TensorRT engine",
            FileKind::Hdf5 => "an HDF5 file, as Keras writes it",
            FileKind::Keras => "a Keras model",
            FileKind::TfLite => "a TensorFlow Lite model",
            FileKind::TensorFlow => "a TensorFlow model",
            FileKind::Gguf => "a GGUF model",
            FileKind::Numpy => "a file of NumPy arrays",
            FileKind::Pickle => "a Python pickle that torch.save did not write",
            FileKind::Jpeg => "a JPEG image",
            FileKind::Png => "a PNG image",
            FileKind::Gif => "a GIF image",
            FileKind::Bmp => "a BMP image",
            FileKind::WebP => "a WebP image",
            FileKind::Tiff => "a TIFF image",
            FileKind::Heif => "a HEIF image (HEIC)",
            FileKind::Avif => "an AVIF image",
            FileKind::Video => "a video",
            FileKind::Mcap => "an MCAP bag",
            FileKind::Sqlite => "an SQLite database, as a rosbag2 bag is",
            FileKind::Ros1Bag => "a ROS 1 bag",
            FileKind::Zip => "a zip archive",
            FileKind::DamagedZip => "a damaged or truncated zip archive",
            FileKind::Gzip => "a gzip file",
            FileKind::Bzip2 => "a bzip2 file",
            FileKind::Xz => "an xz file",
            FileKind::Zstd => "a zstd file",
            FileKind::SevenZip => "a 7z archive",
            FileKind::Rar => "a RAR archive",
            FileKind::Tar => "a tar archive",
            FileKind::Pdf => "a PDF document",
            FileKind::Unknown => "of an unknown format",
        }
    }

    /// How to get the file that was meant, if that does not depend on what it was meant to be.
    pub(crate) fn fix(self) -> Option<&'static str> {
        Some(match self {
            FileKind::Empty | FileKind::DamagedZip => "copy or download it again",
            FileKind::GitLfsPointer => "download the file with `git lfs pull` in its repository",
            FileKind::Html | FileKind::Xml | FileKind::Json => {
                "the download probably returned an error or a login page; download the file itself"
            }
            FileKind::Zip
            | FileKind::Gzip
            | FileKind::Bzip2
            | FileKind::Xz
            | FileKind::Zstd
            | FileKind::SevenZip
            | FileKind::Rar
            | FileKind::Tar => "unpack it and use the file inside",
            _ => return None,
        })
    }

    /// Whether it is an image, of any format.
    pub(crate) fn is_image(self) -> bool {
        self.is_decodable_image()
            || matches!(
                self,
                FileKind::Gif
                    | FileKind::Bmp
                    | FileKind::WebP
                    | FileKind::Tiff
                    | FileKind::Heif
                    | FileKind::Avif
            )
    }
}

fn from_first_bytes(bytes: &[u8]) -> FileKind {
    const SIGNATURES: [(&[u8], FileKind); 24] = [
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
        (b"\x1aE\xdf\xa3", FileKind::Video),
        (b"\x89MCAP0\r\n", FileKind::Mcap),
        (b"SQLite format 3\0", FileKind::Sqlite),
        (b"#ROSBAG V", FileKind::Ros1Bag),
        (b"\x1f\x8b", FileKind::Gzip),
        (b"BZh", FileKind::Bzip2),
        (b"\xfd7zXZ\0", FileKind::Xz),
        (b"\x28\xb5\x2f\xfd", FileKind::Zstd),
        (b"7z\xbc\xaf\x27\x1c", FileKind::SevenZip),
        (b"Rar!\x1a\x07", FileKind::Rar),
        (b"%PDF-", FileKind::Pdf),
        (b"\0\0\x01\xba", FileKind::Video),
    ];
    if bytes.is_empty() {
        return FileKind::Empty;
    }
    if is_safetensors(bytes) {
        return FileKind::Safetensors;
    }
    if let Some((_, kind)) = SIGNATURES
        .iter()
        .find(|(signature, _)| bytes.starts_with(signature))
    {
        return *kind;
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
        return if pytorch::is_pytorch(bytes) {
            FileKind::PytorchLegacy
        } else {
            FileKind::Pickle
        };
    }
    from_protobuf(bytes).unwrap_or_else(|| from_text(bytes))
}

/// A safetensors file begins with the length of its header, which is a JSON object.
fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((length, [b'{', ..])) = bytes.split_first_chunk() else {
        return false;
    };
    (2..=MAX_SAFETENSORS_HEADER).contains(&u64::from_le_bytes(*length))
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

/// ONNX and TensorFlow models are protocol buffers, which have no signature, but their first fields are known.
fn from_protobuf(bytes: &[u8]) -> Option<FileKind> {
    // The tags of ONNX's fields 2, 3, 4, 6, 7, 8 and 14; each is followed by a length.
    const ONNX_TAGS: [u8; 7] = [0x12, 0x1a, 0x22, 0x32, 0x3a, 0x42, 0x72];
    match *bytes {
        [0x08, version, tag, ..] if ONNX_VERSIONS.contains(&version) && ONNX_TAGS.contains(&tag) => {
            Some(FileKind::Onnx)
        }
        [0x08, 1, 0x12, ..] => Some(FileKind::TensorFlow),
        _ => None,
    }
}

fn from_text(bytes: &[u8]) -> FileKind {
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
    if begins_with(b"<?xml") {
        return FileKind::Xml;
    }
    let rest = text.get(1..).unwrap_or_default().trim_ascii_start();
    match (text, rest) {
        ([b'{', ..], [b'"' | b'}', ..]) | ([b'[', ..], [b'{' | b'[' | b'"' | b']', ..]) => FileKind::Json,
        _ => FileKind::Unknown,
    }
}

fn from_entries(reader: impl Read + Seek) -> FileKind {
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

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn zip_of(entries: &[&str]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for entry in entries {
            zip.start_file(*entry, SimpleFileOptions::default())
                .expect("starts");
            zip.write_all(b"content").expect("writes");
        }
        zip.finish().expect("finishes").into_inner()
    }

    #[test]
    fn kinds_are_recognized_by_their_first_bytes() {
        let tar = [&[b'a'; 257][..], b"ustar\x0000"].concat();
        let cases: [(&[u8], FileKind); 33] = [
            (b"", FileKind::Empty),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n",
                FileKind::GitLfsPointer,
            ),
            (b"<!DOCTYPE html><html>", FileKind::Html),
            (b"\xef\xbb\xbf\r\n  <HTML lang=\"en\">", FileKind::Html),
            (b"<?xml version=\"1.0\"?><Error>", FileKind::Xml),
            (b"{\"error\": \"not found\"}", FileKind::Json),
            (b"[\n  {", FileKind::Json),
            (b"\x40\0\0\0\0\0\0\0{\"a\":", FileKind::Safetensors),
            // The length of this header begins like a pickle, and the next one like an ONNX model.
            (b"\x80\x02\0\0\0\0\0\0{\"a\":", FileKind::Safetensors),
            (b"\x08\x07\x12\0\0\0\0\0{\"a\":", FileKind::Safetensors),
            (
                b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.",
                FileKind::PytorchLegacy,
            ),
            (b"\x80\x04\x95\x10\0\0\0\0\0\0\0}", FileKind::Pickle),
            (b"\x08\x07\x12\x07pytorch", FileKind::Onnx),
            (b"\x08\x0a:\x10", FileKind::Onnx),
            (b"\x08\x01\x12\xa0", FileKind::TensorFlow),
            (b"ftrt\0\0\0\0", FileKind::TensorRt),
            (b"\x89HDF\r\n\x1a\n\0", FileKind::Hdf5),
            (b"\x1c\0\0\0TFL3\x14\0\0\0", FileKind::TfLite),
            (b"\x93NUMPY\x01\0", FileKind::Numpy),
            (b"\xff\xd8\xff\xe0", FileKind::Jpeg),
            (b"RIFF\x10\0\0\0WEBPVP8 ", FileKind::WebP),
            (b"RIFF\x10\0\0\0AVI LIST", FileKind::Video),
            (b"\0\0\0\x18ftypheic\0\0\0\0", FileKind::Heif),
            (b"\0\0\0\x18ftypavif\0\0\0\0", FileKind::Avif),
            (b"\0\0\0\x18ftypisom\0\0\0\0", FileKind::Video),
            (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0", FileKind::Bmp),
            (b"\x89MCAP0\r\n", FileKind::Mcap),
            (b"#ROSBAG V2.0\n", FileKind::Ros1Bag),
            (b"\x1f\x8b\x08\0", FileKind::Gzip),
            (&tar, FileKind::Tar),
            (b"plain text", FileKind::Unknown),
            (&[0; 600], FileKind::Unknown),
            (b"{", FileKind::Unknown),
        ];
        for (content, expected) in cases {
            let printed = String::from_utf8_lossy(content);
            assert_eq!(FileKind::of_bytes(content), expected, "{printed}");
        }
    }

    #[test]
    fn archives_are_recognized_by_their_entries() {
        let cases: [(&[&str], FileKind); 8] = [
            (&["model/data.pkl", "model/data/0"], FileKind::PytorchZip),
            (
                &["m/data.pkl", "m/code/__torch__.py", "m/constants.pkl"],
                FileKind::TorchScript,
            ),
            (
                &["m/archive_format", "m/models/model.json"],
                FileKind::TorchExport,
            ),
            (
                &["metadata.json", "config.json", "model.weights.h5"],
                FileKind::Keras,
            ),
            (&["a.npy", "b.npy"], FileKind::Numpy),
            (&["best_model.pth"], FileKind::Zip),
            (&["backup/models/best_model.pth"], FileKind::Zip),
            (&[], FileKind::Zip),
        ];
        for (entries, expected) in cases {
            assert_eq!(FileKind::of_bytes(&zip_of(entries)), expected, "{entries:?}");
        }
        let whole = zip_of(&["model/data.pkl"]);
        assert_eq!(
            FileKind::of_bytes(&whole[..whole.len() - 8]),
            FileKind::DamagedZip
        );
    }
}
