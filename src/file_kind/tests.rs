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
    let cases: [(&[u8], FileKind); 55] = [
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
        (b"\x08\x08\x12\0\x1a\0", FileKind::Onnx),
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
        (b"\0\0\0\x01\x67\x42", FileKind::Video),
        (b"MM\0+\0\x08", FileKind::Tiff),
        (b"\0\0\0\x0cJXL \r\n\x87\n", FileKind::JpegXl),
        (b"\xff\x0a\xfa\x1f", FileKind::JpegXl),
        (b"\0\0\0\x0cjP  \r\n\x87\n", FileKind::Jpeg2000),
        (b"qoif\0\0\x02\x80", FileKind::Qoi),
        (b"P6\n640 480\n255\n", FileKind::Pnm),
        (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0", FileKind::Bmp),
        (b"\x89MCAP0\r\n", FileKind::Mcap),
        (b"#ROSBAG V2.0\n", FileKind::Ros1Bag),
        (b"\x1f\x8b\x08\0", FileKind::Gzip),
        (b"\x04\x22\x4d\x18\x40", FileKind::Lz4),
        (&tar, FileKind::Tar),
        (
            b"<?xml version=\"1.0\"?>\n<net name=\"m\" version=\"11\">",
            FileKind::OpenVino,
        ),
        (b"\x08\x04\x12\xd2\x01\x0a\x1c", FileKind::CoreMl),
        (b"\x08\x07\x12\x0a\x0a\x08", FileKind::CoreMl),
        (b"\x82\xa6params\x82\xa5Conv0", FileKind::MessagePack),
        (
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x08\0",
            FileKind::ForeignElf,
        ),
        (b"L\0\0\0\x01\x14\x02\0\0\0", FileKind::WindowsShortcut),
        (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", FileKind::AppleDouble),
        (b"\xff\xfe<\0h\0t\0m\0l\0", FileKind::Utf16),
        (b"404: Not Found", FileKind::Text),
        // A character that is cut off after its first byte.
        (b"na\xc3\xafve \xc3", FileKind::Text),
        (b"{", FileKind::Text),
        (b"a\x01b", FileKind::Unknown),
        (b"na\xefve", FileKind::Unknown),
        (b"\x88\xa6par", FileKind::Unknown),
        (&[0; 600], FileKind::Zeros),
        (&[0; 3], FileKind::Zeros),
    ];
    for (content, expected) in cases {
        let printed = String::from_utf8_lossy(content);
        assert_eq!(FileKind::of_bytes(content), expected, "{printed}");
    }
}

#[test]
fn this_program_is_an_elf_file_for_this_processor() {
    let program = std::env::current_exe().expect("a path");
    assert_eq!(FileKind::of_file(&program).expect("reads"), FileKind::Elf);
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
