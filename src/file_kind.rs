//! What a file is, by its content: its first bytes and, for a zip archive, the names of its entries.
//!
//! Readers of weights, models, images and bags use it to say what a file is that they cannot read, a dataset to find its images, and
//! [`Frame`](crate::frame::Frame) to choose a decoder.

use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use self::signatures::{from_entries, from_first_bytes};
use crate::disk;

mod signatures;
#[cfg(test)]
mod tests;

pub(crate) use self::signatures::{TORCH_MAGIC, is_torch_legacy};

/// Number of bytes that determine the kind; a tar archive has its signature at byte 257.
const FIRST_BYTES: u64 = 512;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Empty,
    /// Zeros alone, as far as it is looked at.
    Zeros,
    GitLfsPointer,
    WindowsShortcut,
    /// What macOS writes beside a file on a foreign file system, as `._name`.
    AppleDouble,
    /// UTF-8 text of no other kind.
    Text,
    Utf16,
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
    OpenVino,
    CoreMl,
    TensorRt,
    Hdf5,
    Keras,
    TfLite,
    TensorFlow,
    Gguf,
    Numpy,
    MessagePack,
    /// A pickle that is not a file of `torch.save`.
    Pickle,
    // Programs and libraries.
    Elf,
    /// ELF for another processor, which the dynamic loader reports as missing.
    ForeignElf,
    WindowsProgram,
    // Images and videos.
    Jpeg,
    Png,
    Gif,
    Bmp,
    WebP,
    Tiff,
    Heif,
    Avif,
    JpegXl,
    Jpeg2000,
    Qoi,
    Pnm,
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
    Lz4,
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
    /// The file cannot be opened or read, or is no regular file.
    pub(crate) fn of_file(path: &Path) -> io::Result<FileKind> {
        FileKind::of_reader(BufReader::new(disk::open_file(path)?))
    }

    /// The kind of a file with this content.
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
        matches!(
            self,
            FileKind::Jpeg | FileKind::Png | FileKind::Gif | FileKind::Bmp | FileKind::WebP | FileKind::Tiff
        )
    }

    /// A noun phrase for messages: "the file is {name}".
    pub(crate) fn name(self) -> &'static str {
        match self {
            FileKind::Empty => "empty",
            FileKind::Zeros => "filled with zeros, as an interrupted download or copy leaves it",
            FileKind::WindowsShortcut => "a Windows shortcut, which stands for another file",
            FileKind::AppleDouble => "macOS metadata of another file",
            FileKind::Text => "a text file",
            FileKind::Utf16 => "text in UTF-16",
            FileKind::GitLfsPointer => "a Git LFS pointer, which stands for a file that was not downloaded",
            FileKind::Html => "a web page (HTML)",
            FileKind::Xml => "an XML document",
            FileKind::Json => "JSON text",
            FileKind::PytorchZip | FileKind::PytorchLegacy => "a PyTorch file",
            FileKind::Safetensors => "a safetensors file",
            FileKind::TorchScript => "a TorchScript module",
            FileKind::TorchExport => "a program of torch.export",
            FileKind::Onnx => "an ONNX model",
            FileKind::OpenVino => "an OpenVINO model",
            FileKind::CoreMl => "a Core ML model",
            FileKind::TensorRt => "a TensorRT engine",
            FileKind::Hdf5 => "an HDF5 file, as Keras writes it",
            FileKind::Keras => "a Keras model",
            FileKind::TfLite => "a TensorFlow Lite model",
            FileKind::TensorFlow => "a TensorFlow model",
            FileKind::Gguf => "a GGUF model",
            FileKind::Numpy => "a file of NumPy arrays",
            FileKind::MessagePack => "MessagePack data, as Flax writes it",
            FileKind::Pickle => "a Python pickle that torch.save did not write",
            FileKind::Elf => "a program or library (ELF)",
            FileKind::ForeignElf => "a program or library for another processor",
            FileKind::WindowsProgram => "a program or library for Windows",
            FileKind::Jpeg => "a JPEG image",
            FileKind::Png => "a PNG image",
            FileKind::Gif => "a GIF image",
            FileKind::Bmp => "a BMP image",
            FileKind::WebP => "a WebP image",
            FileKind::Tiff => "a TIFF image",
            FileKind::Heif => "a HEIF image (HEIC)",
            FileKind::Avif => "an AVIF image",
            FileKind::JpegXl => "a JPEG XL image",
            FileKind::Jpeg2000 => "a JPEG 2000 image",
            FileKind::Qoi => "a QOI image",
            FileKind::Pnm => "a PNM image (PGM or PPM)",
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
            FileKind::Lz4 => "an lz4 file",
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
            FileKind::Empty | FileKind::Zeros | FileKind::DamagedZip => "copy or download it again",
            FileKind::WindowsShortcut => "copy the file that it stands for",
            FileKind::AppleDouble => "use the file whose name lacks the leading ._",
            FileKind::ForeignElf => "use the file for this processor",
            FileKind::Utf16 => "save it in UTF-8",
            FileKind::GitLfsPointer => "download the file with `git lfs pull` in its repository",
            FileKind::Html | FileKind::Xml | FileKind::Json => {
                "the download probably returned an error or a login page; download the file itself"
            }
            FileKind::Zip
            | FileKind::Gzip
            | FileKind::Bzip2
            | FileKind::Xz
            | FileKind::Zstd
            | FileKind::Lz4
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
                FileKind::Heif
                    | FileKind::Avif
                    | FileKind::JpegXl
                    | FileKind::Jpeg2000
                    | FileKind::Qoi
                    | FileKind::Pnm
            )
    }

    /// Why a file of this kind is not the expected one, and what to do: "is not a safetensors file: it is a web page (HTML); …".
    pub(crate) fn mismatch(self, expected: &str, fix: &str) -> String {
        let name = self.name();
        let fix = self.fix().unwrap_or(fix);
        format!("is not {expected}: it is {name}; {fix}")
    }
}
