//! The encodings of `sensor_msgs/image_encodings`: their memory layouts and their conversion to 8-bit RGB or gray.

mod fix;

use bytes::Bytes;

use super::{Frame, FrameError, PixelFormat};
use crate::text::shorten;
pub(super) use fix::fix;

/// All supported encodings.
const ENCODINGS: &[Encoding] = &[
    plain("rgb8", PixelFormat::Rgb8),
    plain("bgr8", PixelFormat::Bgr8),
    plain("rgba8", PixelFormat::Rgba8),
    plain("bgra8", PixelFormat::Bgra8),
    plain("mono8", PixelFormat::Mono8),
    // OpenCV's type names do not define colors; OpenCV itself uses BGR.
    plain("8UC1", PixelFormat::Mono8),
    plain("8UC3", PixelFormat::Bgr8),
    plain("8UC4", PixelFormat::Bgra8),
    encoding("mono16", Layout::Wide(PixelFormat::Mono8)),
    encoding("rgb16", Layout::Wide(PixelFormat::Rgb8)),
    encoding("bgr16", Layout::Wide(PixelFormat::Bgr8)),
    encoding("rgba16", Layout::Wide(PixelFormat::Rgba8)),
    encoding("bgra16", Layout::Wide(PixelFormat::Bgra8)),
    encoding("bayer_rggb8", bayer([0, 0], 1)),
    encoding("bayer_grbg8", bayer([0, 1], 1)),
    encoding("bayer_gbrg8", bayer([1, 0], 1)),
    encoding("bayer_bggr8", bayer([1, 1], 1)),
    encoding("bayer_rggb16", bayer([0, 0], 2)),
    encoding("bayer_grbg16", bayer([0, 1], 2)),
    encoding("bayer_gbrg16", bayer([1, 0], 2)),
    encoding("bayer_bggr16", bayer([1, 1], 2)),
    encoding("uyvy", Layout::Yuv422 { luma: 1 }),
    encoding("yuv422", Layout::Yuv422 { luma: 1 }),
    encoding("yuyv", Layout::Yuv422 { luma: 0 }),
    encoding("yuv422_yuy2", Layout::Yuv422 { luma: 0 }),
    encoding("nv12", semi_planar(0, true)),
    encoding("nv21", semi_planar(1, true)),
    encoding("nv24", semi_planar(0, false)),
];

#[derive(Clone, Copy, Debug)]
pub(super) struct Encoding {
    /// The name in messages.
    pub(super) name: &'static str,
    pub(super) layout: Layout,
}

/// The memory layout of an image.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layout {
    /// 8 bits per channel.
    Plain(PixelFormat),
    /// The same channels with 16 bits.
    Wide(PixelFormat),
    /// One value per pixel, behind a Bayer filter: each 2x2 block has one red, two green and one blue value.
    Bayer {
        /// Row and column of red in the first block; blue is diagonally opposite.
        red: [usize; 2],
        /// Bytes per value, 1 or 2.
        bytes: usize,
    },
    /// Four bytes for two pixels: a luma value for each and a chroma pair for both.
    Yuv422 {
        /// Offset of the first luma value, 0 or 1; Cb and Cr take the other offsets in this order.
        luma: usize,
    },
    /// A plane of luma, then a plane of chroma pairs.
    SemiPlanar {
        /// Offset of Cb in a pair, 0 or 1; Cr takes the other one.
        blue: usize,
        /// Whether a pair belongs to a 2x2 block of pixels instead of one pixel.
        is_subsampled: bool,
    },
}

/// The fields of a message, validated: `data` has all rows of the layout.
pub(super) struct RawImage {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Bytes from one row to the next.
    pub(super) step: usize,
    pub(super) data: Bytes,
    pub(super) is_bigendian: bool,
}

const fn encoding(name: &'static str, layout: Layout) -> Encoding {
    Encoding { name, layout }
}

const fn plain(name: &'static str, format: PixelFormat) -> Encoding {
    encoding(name, Layout::Plain(format))
}

const fn bayer(red: [usize; 2], bytes: usize) -> Layout {
    Layout::Bayer { red, bytes }
}

const fn semi_planar(blue: usize, is_subsampled: bool) -> Layout {
    Layout::SemiPlanar { blue, is_subsampled }
}

impl Encoding {
    /// # Errors
    /// The encoding is not supported.
    pub(super) fn named(name: &str) -> Result<Encoding, FrameError> {
        let known = ENCODINGS.iter().find(|encoding| encoding.name == name);
        known.copied().ok_or_else(|| {
            if is_measurement(name) {
                FrameError::Measurements(shorten(name))
            } else {
                FrameError::UnsupportedEncoding(shorten(name))
            }
        })
    }
}

/// The names of all encodings, for error messages.
pub(super) fn supported() -> String {
    let names: Vec<&str> = ENCODINGS.iter().map(|encoding| encoding.name).collect();
    names.join(", ")
}

/// Whether an encoding is an OpenCV type such as `32FC1`, which is used for depth and other measurements.
fn is_measurement(name: &str) -> bool {
    let Some((bits, channels)) = name.split_once('C') else {
        return false;
    };
    let bits = bits.trim_end_matches(['U', 'S', 'F']);
    ["8", "16", "32", "64"].contains(&bits) && channels.parse::<u8>().is_ok()
}

impl Layout {
    /// Bytes of a row without padding.
    pub(super) fn row_bytes(self, width: usize) -> usize {
        match self {
            Layout::Plain(format) => width * format.bytes_per_pixel(),
            Layout::Wide(format) => 2 * width * format.bytes_per_pixel(),
            Layout::Bayer { bytes, .. } => width * bytes,
            Layout::Yuv422 { .. } => width * 2,
            Layout::SemiPlanar { .. } => width,
        }
    }

    /// Rows of `step` bytes, including those with chroma.
    pub(super) fn rows(self, height: usize) -> usize {
        match self {
            Layout::SemiPlanar { is_subsampled, .. } if is_subsampled => height + height / 2,
            Layout::SemiPlanar { .. } => height * 3,
            _ => height,
        }
    }

    /// Whether width and height must be even, because values belong to pairs of columns or rows.
    pub(super) fn needs_even(self) -> [bool; 2] {
        match self {
            Layout::Plain(_) | Layout::Wide(_) => [false, false],
            Layout::Yuv422 { .. } => [true, false],
            Layout::Bayer { .. } => [true, true],
            Layout::SemiPlanar { is_subsampled, .. } => [is_subsampled; 2],
        }
    }
}

impl RawImage {
    /// Shares the data of 8-bit layouts; converts others to 8 bits without padding.
    pub(super) fn into_frame(self, layout: Layout) -> Frame {
        let (width, height) = (self.width as u32, self.height as u32);
        let packed = |format, pixels| Frame::from_packed(width, height, format, pixels);
        let rgb_frame = |pixels| packed(PixelFormat::Rgb8, pixels);
        match layout {
            Layout::Plain(format) => Frame {
                width,
                height,
                step: self.step,
                format,
                data: self.data,
            },
            Layout::Wide(format) => {
                let values = self.rows(layout).flat_map(|row| self.wide_values(row));
                packed(format, values.map(narrow).collect())
            }
            Layout::Bayer { red, bytes } => {
                rgb_frame(demosaic(&self.bayer_values(layout, bytes), &self, red, bytes))
            }
            Layout::Yuv422 { luma } => {
                let pairs = self.rows(layout).flat_map(|row| row.chunks_exact(4));
                let pixels = pairs.flat_map(|bytes| {
                    let (blue, red) = (bytes[1 - luma], bytes[3 - luma]);
                    [bytes[luma], bytes[luma + 2]].map(|luma| rgb_from_ycbcr(luma, blue, red))
                });
                rgb_frame(pixels.flatten().collect())
            }
            Layout::SemiPlanar { blue, is_subsampled } => {
                let chroma = |pair: usize| (self.data[pair + blue], self.data[pair + 1 - blue]);
                rgb_frame(if is_subsampled {
                    self.semi_planar(layout, |row, column| {
                        chroma((self.height + row / 2) * self.step + column / 2 * 2)
                    })
                } else {
                    self.semi_planar(layout, |row, column| {
                        chroma((self.height + row * 2) * self.step + column * 2)
                    })
                })
            }
        }
    }

    /// The rows without padding and chroma planes, the top row first.
    fn rows(&self, layout: Layout) -> impl Iterator<Item = &[u8]> {
        let row_bytes = layout.row_bytes(self.width);
        let rows = self.data.chunks(self.step).take(self.height);
        rows.map(move |row| &row[..row_bytes])
    }

    fn wide_values<'a>(&'a self, row: &'a [u8]) -> impl Iterator<Item = u16> + 'a {
        row.chunks_exact(2).map(|pair| {
            if self.is_bigendian {
                u16::from_be_bytes([pair[0], pair[1]])
            } else {
                u16::from_le_bytes([pair[0], pair[1]])
            }
        })
    }

    fn bayer_values(&self, layout: Layout, bytes: usize) -> Vec<u16> {
        let rows = self.rows(layout);
        match bytes {
            1 => rows.flatten().copied().map(u16::from).collect(),
            _ => rows.flat_map(|row| self.wide_values(row)).collect(),
        }
    }

    /// Converts an image with separate luma and chroma planes; `chroma` returns Cb and Cr for a row and column.
    fn semi_planar(&self, layout: Layout, chroma: impl Fn(usize, usize) -> (u8, u8)) -> Vec<u8> {
        let mut pixels = Vec::with_capacity(self.width * self.height * 3);
        for (row, luma) in self.rows(layout).enumerate() {
            for (column, luma) in luma.iter().enumerate() {
                let (blue, red) = chroma(row, column);
                pixels.extend(rgb_from_ycbcr(*luma, blue, red));
            }
        }
        pixels
    }
}

/// Scales 16 bits to 8 bits, rounded to nearest.
fn narrow(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

/// Converts limited-range ITU-R BT.601 (luma 16 to 235, chroma 16 to 240) with OpenCV's fixed-point coefficients.
fn rgb_from_ycbcr(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    const SHIFT: u32 = 20;
    let luma = (i32::from(luma) - 16).max(0) * 1_220_542 + (1 << (SHIFT - 1));
    let (blue, red) = (i32::from(blue) - 128, i32::from(red) - 128);
    [
        luma + 1_673_527 * red,
        luma - 852_492 * red - 409_993 * blue,
        luma + 2_116_026 * blue,
    ]
    .map(|value| (value >> SHIFT).clamp(0, 255) as u8)
}

/// Bilinear demosaicing: each missing channel is the mean of the adjacent values of that channel. The image is mirrored at its borders,
/// which continues the filter pattern.
fn demosaic(values: &[u16], image: &RawImage, red: [usize; 2], bytes: usize) -> Vec<u8> {
    let (width, height) = (image.width, image.height);
    let level = |value: u32| {
        if bytes == 1 {
            value as u8
        } else {
            narrow(value as u16)
        }
    };
    let mut pixels = Vec::with_capacity(width * height * 3);
    for row in 0..height {
        let [above, here, below] = neighbors(row, height).map(|row| &values[row * width..(row + 1) * width]);
        for column in 0..width {
            let [left, middle, right] = neighbors(column, width);
            let own = u32::from(here[middle]);
            let horizontal = mean(&[here[left], here[right]]);
            let vertical = mean(&[above[middle], below[middle]]);
            let diagonal = mean(&[above[left], above[right], below[left], below[right]]);
            let adjacent = mean(&[above[middle], below[middle], here[left], here[right]]);
            let [is_red_row, is_red_column] = [row % 2 == red[0], column % 2 == red[1]];
            let pixel = match (is_red_row, is_red_column) {
                (true, true) => [own, adjacent, diagonal],
                (true, false) => [horizontal, own, vertical],
                (false, true) => [vertical, own, horizontal],
                (false, false) => [diagonal, adjacent, own],
            };
            pixels.extend(pixel.map(level));
        }
    }
    pixels
}

/// The previous index, the index and the next one, mirrored at 0 and `count`.
fn neighbors(index: usize, count: usize) -> [usize; 3] {
    let before = index.checked_sub(1).unwrap_or(1);
    let after = if index + 1 < count { index + 1 } else { count - 2 };
    [before, index, after]
}

fn mean(values: &[u16]) -> u32 {
    let count = values.len() as u32;
    (values.iter().copied().map(u32::from).sum::<u32>() + count / 2) / count
}
