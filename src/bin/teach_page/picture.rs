//! A camera's picture, and its form for a browser.

use std::time::Instant;

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::{RgbImage, imageops};
use r2r::sensor_msgs::msg::CompressedImage;
use r2r::std_msgs::msg::Header;
use thumb_gesture::frame::{Frame, FrameError};
use thumb_gesture::node::ImageInPlace;
use tokio::sync::OnceCell;

/// JPEG quality of the live view, 1 to 100.
const VIEW_QUALITY: u8 = 80;
/// JPEG quality of what goes into the dataset.
const FILE_QUALITY: u8 = 95;
/// Maximum width and height of the live view, in pixels.
const MAX_VIEW_SIDE: u32 = 1280;
/// Maximum length of a JPEG that is passed on as it is: 79 ms at 5 Mbit/s.
const MAX_VIEW_BYTES: usize = 48 << 10;

/// A picture as it was received. It becomes a JPEG once, when the first viewer wants it.
pub(crate) struct Picture {
    /// Higher for later pictures, of any camera.
    pub(crate) sequence: u64,
    pub(crate) arrival: Instant,
    /// Seconds since the epoch.
    pub(crate) stamp: f64,
    source: Source,
    view: OnceCell<Option<View>>,
}

/// A picture for a browser.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) jpeg: Bytes,
}

/// A message with a picture.
#[derive(Clone)]
pub(crate) enum Source {
    Raw {
        encoding: String,
        sides: [u32; 2],
        step: u32,
        is_bigendian: bool,
        pixels: Bytes,
    },
    Compressed {
        format: String,
        data: Bytes,
    },
}

/// A message that holds a picture.
pub(crate) trait PictureMessage: Send + 'static {
    fn into_source(self) -> (Header, Source);
}

impl PictureMessage for ImageInPlace {
    fn into_source(self) -> (Header, Source) {
        let ImageInPlace { fields, pixels } = self;
        let source = Source::Raw {
            encoding: fields.encoding,
            sides: [fields.width, fields.height],
            step: fields.step,
            is_bigendian: fields.is_bigendian != 0,
            pixels,
        };
        (fields.header, source)
    }
}

impl PictureMessage for CompressedImage {
    fn into_source(self) -> (Header, Source) {
        let source = Source::Compressed {
            format: self.format,
            data: self.data.into(),
        };
        (self.header, source)
    }
}

impl Picture {
    pub(crate) fn new(sequence: u64, header: &Header, source: Source) -> Picture {
        Picture {
            sequence,
            arrival: Instant::now(),
            stamp: f64::from(header.stamp.sec) + f64::from(header.stamp.nanosec) / 1e9,
            source,
            view: OnceCell::new(),
        }
    }

    /// Length of the message's data.
    pub(crate) fn bytes(&self) -> usize {
        match &self.source {
            Source::Raw { pixels: data, .. } | Source::Compressed { data, .. } => data.len(),
        }
    }

    /// The picture for a browser; `None` if the message holds no valid image.
    pub(crate) async fn view(&self) -> Option<View> {
        let source = self.source.clone();
        let encode = || async {
            if let Some(view) = source.as_view() {
                return Some(view);
            }
            // The panic hook has reported a panic.
            tokio::task::spawn_blocking(move || source.encode_view().ok())
                .await
                .ok()?
        };
        self.view.get_or_init(encode).await.clone()
    }

    /// The picture as an image file. Blocks on encoding.
    ///
    /// # Errors
    /// The message holds no valid image.
    pub(crate) fn file(&self) -> Result<Vec<u8>, FrameError> {
        match &self.source {
            Source::Compressed { data, .. } => Ok(data.to_vec()),
            raw @ Source::Raw { .. } => encode(&raw.frame()?.to_rgb_image(), FILE_QUALITY),
        }
    }
}

impl Source {
    /// The data as they are, if they are a JPEG that a browser understands.
    fn as_view(&self) -> Option<View> {
        let Source::Compressed { data, .. } = self else {
            return None;
        };
        let [width, height] = jpeg_size(data)?;
        // A larger one takes longer to send than to encode anew.
        if width.max(height) > MAX_VIEW_SIDE || data.len() > MAX_VIEW_BYTES {
            return None;
        }
        let jpeg = data.clone();
        Some(View { width, height, jpeg })
    }

    fn frame(&self) -> Result<Frame, FrameError> {
        match self {
            Source::Compressed { format, data } => Frame::from_compressed(format, data),
            Source::Raw {
                encoding,
                sides,
                step,
                is_bigendian,
                pixels,
            } => Frame::from_message(encoding, *sides, *step, pixels.clone(), *is_bigendian),
        }
    }

    fn encode_view(&self) -> Result<View, FrameError> {
        let mut image = self.frame()?.to_rgb_image();
        let long_side = image.width().max(image.height());
        if long_side > MAX_VIEW_SIDE {
            let scaled =
                |side: u32| (u64::from(side) * u64::from(MAX_VIEW_SIDE) / u64::from(long_side)).max(1) as u32;
            image = imageops::thumbnail(&image, scaled(image.width()), scaled(image.height()));
        }
        Ok(View {
            width: image.width(),
            height: image.height(),
            jpeg: encode(&image, VIEW_QUALITY)?.into(),
        })
    }
}

/// An image file as JPEG. Blocks on decoding.
///
/// # Errors
/// The file holds no valid image.
pub(crate) fn jpeg_of_file(file: &[u8]) -> Result<Vec<u8>, FrameError> {
    encode(&Frame::from_compressed("", file)?.to_rgb_image(), FILE_QUALITY)
}

fn encode(image: &RgbImage, quality: u8) -> Result<Vec<u8>, FrameError> {
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, quality).encode_image(image)?;
    Ok(jpeg)
}

/// Width and height of a JPEG that has its Huffman tables, which those of many USB cameras have not; `None` for other data.
fn jpeg_size(data: &[u8]) -> Option<[u32; 2]> {
    const START_OF_SCAN: u8 = 0xda;
    const HUFFMAN_TABLES: u8 = 0xc4;
    let (mut size, mut has_tables) = (None, false);
    let mut rest = data.strip_prefix(&[0xff, 0xd8])?;
    loop {
        let &[0xff, marker, high, low, ref segment @ ..] = rest else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([high, low])).checked_sub(2)?;
        match marker {
            START_OF_SCAN => return size.filter(|_| has_tables),
            HUFFMAN_TABLES => has_tables = true,
            // Start of a frame: baseline, extended or progressive.
            0xc0..=0xc2 => {
                let &[_, h1, h0, w1, w0, ..] = segment else {
                    return None;
                };
                size = Some([[w1, w0], [h1, h0]].map(|side| u32::from(u16::from_be_bytes(side))));
            }
            _ => {}
        }
        rest = segment.get(length..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_of_a_jpeg_is_read_from_its_header() {
        let jpeg = encode(&RgbImage::new(40, 30), VIEW_QUALITY).expect("encodes");
        assert_eq!(jpeg_size(&jpeg), Some([40, 30]));
        for end in 0..jpeg.len() {
            // Never a panic, whatever is missing.
            jpeg_size(&jpeg[..end]);
        }
        assert_eq!(jpeg_size(b"\x89PNG"), None);
        assert_eq!(jpeg_size(&[]), None);
    }

    #[tokio::test]
    async fn raw_picture_is_encoded_and_scaled_down() {
        let source = Source::Raw {
            encoding: "mono8".to_owned(),
            sides: [2560, 1280],
            step: 2560,
            is_bigendian: false,
            pixels: vec![7; 2560 * 1280].into(),
        };
        let picture = Picture::new(1, &Header::default(), source);
        let view = picture.view().await.expect("a view");
        assert_eq!((view.width, view.height), (1280, 640));
        assert_eq!(jpeg_size(&view.jpeg), Some([1280, 640]));
    }

    #[tokio::test]
    async fn message_without_an_image_has_no_view() {
        let source = Source::Compressed {
            format: "jpeg".to_owned(),
            data: vec![0xff, 0xd8, 0xff].into(),
        };
        assert!(Picture::new(1, &Header::default(), source).view().await.is_none());
    }
}
