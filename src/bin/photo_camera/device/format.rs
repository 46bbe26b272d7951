//! The formats of a camera, and images in them.

use std::fmt;
use std::path::Path;

use r2r::sensor_msgs::msg::{CompressedImage, Image};
use thumb_gesture::node::ImageTransport;

use super::error::DeviceError;

/// A format of Video4Linux, by its four characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FourCc(pub(super) [u8; 4]);

/// Those that are published as they come, as `sensor_msgs/CompressedImage`; the preferred one first.
const COMPRESSED: [FourCc; 2] = [FourCc(*b"MJPG"), FourCc(*b"JPEG")];

/// Those that are published as `sensor_msgs/Image`, the preferred one first.
const RAW: [RawFormat; 6] = [
    RawFormat(FourCc(*b"YUYV"), "yuyv", 2),
    RawFormat(FourCc(*b"UYVY"), "uyvy", 2),
    RawFormat(FourCc(*b"NV12"), "nv12", 1),
    RawFormat(FourCc(*b"BGR3"), "bgr8", 3),
    RawFormat(FourCc(*b"RGB3"), "rgb8", 3),
    RawFormat(FourCc(*b"GREY"), "mono8", 1),
];

/// A format, its name in `sensor_msgs`, and the bytes of a pixel in a row.
#[derive(Clone, Copy)]
struct RawFormat(FourCc, &'static str, u32);

/// What is in the frames of a camera.
pub(super) struct Layout {
    pub(super) code: FourCc,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Bytes from one row to the next; 0 if the driver does not say it.
    pub(super) step: u32,
}

/// A frame without its header.
#[derive(Debug)]
pub(crate) enum DeviceImage {
    Raw(Image),
    Compressed(CompressedImage),
}

impl fmt::Display for FourCc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.escape_ascii())
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} with {}x{} pixels",
            self.code, self.width, self.height
        )
    }
}

/// The preferred format for a transport.
///
/// # Errors
/// None is offered.
pub(super) fn choose(
    path: &Path,
    offered: &[FourCc],
    transport: ImageTransport,
) -> Result<FourCc, DeviceError> {
    let raw = RAW.map(|format| format.0);
    let (wanted, others) = match transport {
        ImageTransport::Raw => (&raw[..], &COMPRESSED[..]),
        ImageTransport::Compressed => (&COMPRESSED[..], &raw[..]),
    };
    let find = |codes: &[FourCc]| codes.iter().copied().find(|code| offered.contains(code));
    let list = |codes: &[FourCc]| codes.iter().map(FourCc::to_string).collect::<Vec<_>>().join(", ");
    find(wanted).ok_or_else(|| DeviceError::Format {
        path: path.to_owned(),
        wanted: list(wanted),
        offered: match offered {
            [] => "nothing".to_owned(),
            _ => list(offered),
        },
        fix: match (find(others), transport) {
            (Some(_), ImageTransport::Raw) => "use --compressed",
            (Some(_), ImageTransport::Compressed) => "leave out --compressed",
            (None, _) => "use another camera, or another driver for it",
        },
    })
}

impl Layout {
    /// The image of a frame; `None` if it is damaged.
    pub(super) fn image(&self, mut data: Vec<u8>) -> Option<DeviceImage> {
        let Some(RawFormat(_, encoding, pixel_bytes)) = RAW.into_iter().find(|format| format.0 == self.code)
        else {
            return data.starts_with(&[0xff, 0xd8]).then(|| {
                DeviceImage::Compressed(CompressedImage {
                    format: "jpeg".to_owned(),
                    data,
                    ..CompressedImage::default()
                })
            });
        };
        let step = match self.step {
            0 => self.width * pixel_bytes,
            step => step,
        };
        // A plane of chroma follows that of luma, with half as many rows.
        let rows = match encoding {
            "nv12" => self.height + self.height.div_ceil(2),
            _ => self.height,
        };
        let length = step as usize * rows as usize;
        // A buffer may be longer than its image.
        (length > 0 && data.len() >= length).then(|| {
            data.truncate(length);
            DeviceImage::Raw(Image {
                height: self.height,
                width: self.width,
                encoding: encoding.to_owned(),
                step,
                data,
                ..Image::default()
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use thumb_gesture::frame::Frame;

    use super::*;

    fn chosen(offered: &[&[u8; 4]], transport: ImageTransport) -> Result<String, String> {
        let offered: Vec<FourCc> = offered.iter().map(|&&code| FourCc(code)).collect();
        let code = choose(Path::new("/dev/video0"), &offered, transport);
        code.map(|code| code.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn format_is_one_of_the_transport() {
        let webcam: &[&[u8; 4]] = &[b"MJPG", b"YUYV"];
        assert_eq!(chosen(webcam, ImageTransport::Raw).expect("is offered"), "YUYV");
        assert_eq!(
            chosen(webcam, ImageTransport::Compressed).expect("is offered"),
            "MJPG"
        );
        for (offered, transport, parts) in [
            (
                &[b"MJPG"][..],
                ImageTransport::Raw,
                ["offers MJPG", "--compressed"],
            ),
            (
                &[b"YUYV"],
                ImageTransport::Compressed,
                ["offers YUYV", "leave out --compressed"],
            ),
            (
                &[b"H264", b"a\0\x1b\xff"],
                ImageTransport::Raw,
                ["offers H264, a\\x00\\x1b\\xff", "another camera"],
            ),
            (&[], ImageTransport::Raw, ["offers nothing", "another camera"]),
        ] {
            let error = chosen(offered, transport).expect_err("is not offered");
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }

    fn layout(code: &[u8; 4], step: u32) -> Layout {
        Layout {
            code: FourCc(*code),
            width: 2,
            height: 2,
            step,
        }
    }

    #[test]
    fn node_reads_the_images_of_each_raw_format() {
        // One row each, of red; without chroma of black.
        let red = |code: &[u8; 4]| match code {
            b"YUYV" => vec![76, 85, 76, 255],
            b"UYVY" => vec![85, 76, 255, 76],
            b"NV12" => vec![76, 76],
            b"BGR3" => vec![0, 0, 255, 0, 0, 255],
            b"RGB3" => vec![255, 0, 0, 255, 0, 0],
            _ => vec![0, 0],
        };
        for RawFormat(FourCc(code), ..) in RAW {
            let mut data = red(&code).repeat(2);
            if code == *b"NV12" {
                data.extend([85, 255]);
            }
            // The padding of the last page.
            data.extend([7; 9]);
            for step in [0, red(&code).len() as u32] {
                let Some(DeviceImage::Raw(image)) = layout(&code, step).image(data.clone()) else {
                    panic!("{} is an image", FourCc(code));
                };
                let frame =
                    Frame::from_raw(&image.encoding, image.width, image.height, image.step, image.data);
                let rgb = frame.expect("a valid frame").to_rgb_image();
                let expected = if code == *b"GREY" { [0; 3] } else { [255, 0, 0] };
                for pixel in rgb.pixels() {
                    let is_close = pixel.0.iter().zip(expected).all(|(a, b)| a.abs_diff(b) < 12);
                    assert!(is_close, "{}: {pixel:?}", FourCc(code));
                }
            }
        }
    }

    #[test]
    fn damaged_frames_are_no_images() {
        for length in [0, 7] {
            assert!(layout(b"YUYV", 4).image(vec![0; length]).is_none());
            assert!(layout(b"MJPG", 0).image(vec![0; length]).is_none());
        }
        let jpeg = vec![0xff, 0xd8, 0xff, 0xd9];
        let Some(DeviceImage::Compressed(image)) = layout(b"MJPG", 0).image(jpeg.clone()) else {
            panic!("is an image");
        };
        assert_eq!((image.format.as_str(), image.data), ("jpeg", jpeg));
    }
}
