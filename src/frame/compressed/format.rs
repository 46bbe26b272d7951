//! The field `format` of a `sensor_msgs/CompressedImage`.

use crate::file_kind::FileKind;
use crate::frame::FrameError;
use crate::frame::encoding::{Encoding, Layout};
use crate::text::shorten;

const VIDEO: &str = "frames of a video depend on the ones before them; let the camera send JPEG, or convert the video with `ros2 run image_transport republish`";
/// Message types of the transports for video.
const VIDEO_TYPES: [&str; 3] = [
    "ffmpeg_image_transport_msgs/msg/FFMPEGPacket",
    "foxglove_msgs/msg/CompressedVideo",
    "theora_image_transport/msg/Packet",
];

/// Formats that are no still images of a camera, by a word in them, and what to use instead.
const OTHERS: [(&[&str], &str); 3] = [
    (
        &["compresseddepth"],
        "it is for depth; use the topic of the camera's color or gray images",
    ),
    (
        &["zstd"],
        "zstd_image_transport sends raw pixels; use the topic of the raw images, or the one of compressed_image_transport",
    ),
    (
        &[
            "h264", "x264", "avc", "h265", "x265", "hevc", "vp8", "vp9", "av1", "mpeg4", "theora",
        ],
        VIDEO,
    ),
];

/// The parsed field.
///
/// compressed_image_transport writes the encoding of the raw image, the codec, and the encoding that it passed to the codec:
/// `rgb8; jpeg compressed bgr8`, `bayer_rggb8; png compressed `. Other publishers write only the codec, or nothing.
pub(super) struct Format<'a> {
    text: &'a str,
    /// The part before the semicolon.
    raw: &'a str,
    /// The last word of the part after the semicolon: the encoding, or `compressed` if the raw image was passed as it is.
    passed: &'a str,
}

impl<'a> Format<'a> {
    pub(super) fn new(text: &'a str) -> Format<'a> {
        let (raw, codec) = text.split_once(';').unwrap_or((text, ""));
        Format {
            text,
            raw: raw.trim(),
            passed: codec.split_whitespace().last().unwrap_or_default(),
        }
    }

    /// # Errors
    /// The format is for depth or other measurements, which are encoded like images.
    pub(super) fn check(&self) -> Result<(), FrameError> {
        if self.text.to_ascii_lowercase().contains("compresseddepth") {
            return Err(self.error(FileKind::Unknown));
        }
        match Encoding::named(self.raw) {
            Err(error @ FrameError::Measurements(_)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether the channels of an RGB image were stored as if they were BGR, as compressed_image_transport does in a TIFF.
    pub(super) fn has_swapped_channels(&self) -> bool {
        self.passed == "compressed" && ["rgb8", "rgb16", "rgba8", "rgba16"].contains(&self.raw)
    }

    /// The encoding of a Bayer mosaic that was encoded like gray, and the row and column of red in it.
    ///
    /// # Errors
    /// The kind of mosaic is unknown.
    pub(super) fn mosaic(&self) -> Result<Option<(&'static str, [usize; 2])>, FrameError> {
        // Newer versions convert a mosaic to gray before JPEG.
        if self.passed.starts_with("mono") {
            return Ok(None);
        }
        match Encoding::named(self.raw) {
            Ok(Encoding {
                name,
                layout: Layout::Bayer { red, .. },
            }) => Ok(Some((name, red))),
            Err(error) if self.raw.starts_with("bayer_") => Err(error),
            // Other formats, such as `jpeg`, do not name an encoding.
            _ => Ok(None),
        }
    }

    /// Why content of this kind, which cannot be decoded, is no image.
    pub(super) fn error(&self, kind: FileKind) -> FrameError {
        let lower_case = self.text.to_ascii_lowercase();
        let is_in_format = |word: &&str| lower_case.contains(word);
        let other = OTHERS.iter().find(|(words, _)| words.iter().any(is_in_format));
        let fix = other.map(|(_, fix)| *fix).or_else(|| {
            Encoding::named(self.raw)
                .is_ok_and(|_| may_be_pixels(kind) && !self.text.contains(';'))
                .then_some("it is an encoding of raw images, which belong in sensor_msgs/Image")
        });
        match fix {
            Some(fix) => FrameError::UnsupportedFormat {
                format: shorten(self.text),
                fix,
            },
            None => FrameError::Content {
                format: shorten(self.text),
                found: kind.name(),
                fix: fix_of(kind),
            },
        }
    }
}

/// Whether raw pixels may look like this kind: a black image is all zeros.
fn may_be_pixels(kind: FileKind) -> bool {
    matches!(kind, FileKind::Unknown | FileKind::Zeros | FileKind::Text)
}

/// What to do about messages that hold video, if one of their types is in a text.
pub(crate) fn fix_of_video(types: &str) -> Option<&'static str> {
    VIDEO_TYPES
        .iter()
        .any(|video| types.contains(video))
        .then_some(VIDEO)
}

/// How to get an image that can be decoded.
fn fix_of(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Empty => "its camera or the copying of the file was interrupted",
        kind if kind.is_image() => "convert it to JPEG or PNG",
        FileKind::Video => "save its frames as JPEG or PNG",
        _ => kind.fix().unwrap_or("supported: JPEG, PNG, WebP, GIF, BMP, TIFF"),
    }
}
