//! What an encoding of `sensor_msgs/image_encodings` means for the bytes of an image, and the image that they are in red, green, blue.

use bytes::Bytes;

use super::{Frame, FrameError, PixelFormat, shortened};

/// Every encoding that carries an image.
const ENCODINGS: &[Encoding] = &[
    plain("rgb8", PixelFormat::Rgb8),
    plain("bgr8", PixelFormat::Bgr8),
    plain("rgba8", PixelFormat::Rgba8),
    plain("bgra8", PixelFormat::Bgra8),
    plain("mono8", PixelFormat::Mono8),
    // OpenCV's types say nothing of colours; its own order is blue, green, red.
    plain("8UC1", PixelFormat::Mono8),
    plain("8UC3", PixelFormat::Bgr8),
    plain("8UC4", PixelFormat::Bgra8),
    of("mono16", Layout::Wide(PixelFormat::Mono8)),
    of("rgb16", Layout::Wide(PixelFormat::Rgb8)),
    of("bgr16", Layout::Wide(PixelFormat::Bgr8)),
    of("rgba16", Layout::Wide(PixelFormat::Rgba8)),
    of("bgra16", Layout::Wide(PixelFormat::Bgra8)),
    of("bayer_rggb8", bayer([0, 0], 1)),
    of("bayer_grbg8", bayer([0, 1], 1)),
    of("bayer_gbrg8", bayer([1, 0], 1)),
    of("bayer_bggr8", bayer([1, 1], 1)),
    of("bayer_rggb16", bayer([0, 0], 2)),
    of("bayer_grbg16", bayer([0, 1], 2)),
    of("bayer_gbrg16", bayer([1, 0], 2)),
    of("bayer_bggr16", bayer([1, 1], 2)),
    of("uyvy", Layout::Yuv422 { luma: 1 }),
    of("yuv422", Layout::Yuv422 { luma: 1 }),
    of("yuyv", Layout::Yuv422 { luma: 0 }),
    of("yuv422_yuy2", Layout::Yuv422 { luma: 0 }),
    of("nv21", Layout::Nv21),
    of("nv24", Layout::Nv24),
];

/// An encoding by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoding {
    /// As messages have it.
    pub name: &'static str,
    /// How its bytes lie.
    pub layout: Layout,
}

/// How the bytes of an image lie.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layout {
    /// Pixel after pixel, a byte for each value.
    Plain(PixelFormat),
    /// The same, but two bytes for each value.
    Wide(PixelFormat),
    /// One value a pixel, behind a mosaic of filters: in each square of four, one red, two green, one blue.
    Bayer {
        /// Row and column of red in the first square; blue is across from it.
        red: [usize; 2],
        /// Of a value.
        bytes: usize,
    },
    /// Two pixels in four bytes: each its own luma, and one pair of chroma for both.
    Yuv422 {
        /// Where the first luma stands, 0 or 1; the chroma, Cb first, take the other places.
        luma: usize,
    },
    /// First all luma, then chroma, Cr first, a pair for each square of four.
    Nv21,
    /// First all luma, then chroma, Cb first, a pair for each pixel.
    Nv24,
}

/// An image's bytes, known to be enough.
pub(super) struct Source {
    pub width: usize,
    pub height: usize,
    /// Bytes from one row to the next.
    pub step: usize,
    pub data: Bytes,
    pub is_bigendian: bool,
}

const fn of(name: &'static str, layout: Layout) -> Encoding {
    Encoding { name, layout }
}

const fn plain(name: &'static str, format: PixelFormat) -> Encoding {
    of(name, Layout::Plain(format))
}

const fn bayer(red: [usize; 2], bytes: usize) -> Layout {
    Layout::Bayer { red, bytes }
}

impl Encoding {
    /// The encoding of a name.
    ///
    /// # Errors
    /// A name that is not known, and one of what is no image.
    pub fn named(name: &str) -> Result<Encoding, FrameError> {
        let known = ENCODINGS.iter().find(|encoding| encoding.name == name);
        known.copied().ok_or_else(|| match is_measurement(name) {
            true => FrameError::Measurements(shortened(name)),
            false => FrameError::UnsupportedEncoding(shortened(name)),
        })
    }
}

/// The names of all encodings, for messages.
pub(super) fn supported() -> String {
    let names: Vec<&str> = ENCODINGS.iter().map(|encoding| encoding.name).collect();
    names.join(", ")
}

/// True for OpenCV's types, such as `32FC1`, which are given to depth and the like.
fn is_measurement(name: &str) -> bool {
    let Some((bits, channels)) = name.split_once('C') else {
        return false;
    };
    let bits = bits.trim_end_matches(['U', 'S', 'F']);
    ["8", "16", "32", "64"].contains(&bits) && channels.parse::<u8>().is_ok()
}

impl Layout {
    /// Bytes that a row's pixels take.
    pub fn row_bytes(self, width: usize) -> usize {
        match self {
            Layout::Plain(format) => width * format.bytes_per_pixel(),
            Layout::Wide(format) => 2 * width * format.bytes_per_pixel(),
            Layout::Bayer { bytes, .. } => width * bytes,
            Layout::Yuv422 { .. } => width * 2,
            Layout::Nv21 | Layout::Nv24 => width,
        }
    }

    /// Rows of `step` bytes that an image takes, its chroma among them.
    pub fn rows(self, height: usize) -> usize {
        match self {
            Layout::Nv21 => height + height / 2,
            Layout::Nv24 => height * 3,
            _ => height,
        }
    }

    /// Whether width and height must be even: true for what shares something between neighbours.
    pub fn needs_even(self) -> [bool; 2] {
        match self {
            Layout::Plain(_) | Layout::Wide(_) | Layout::Nv24 => [false, false],
            Layout::Yuv422 { .. } => [true, false],
            Layout::Bayer { .. } | Layout::Nv21 => [true, true],
        }
    }
}

impl Source {
    /// The image: as it is where a byte is a value, else turned into bytes, without gaps between its rows.
    pub fn into_frame(self, layout: Layout) -> Frame {
        let (width, height) = (self.width as u32, self.height as u32);
        let packed = |format, pixels| Frame::packed_from(width, height, format, pixels);
        let in_colours = |pixels| packed(PixelFormat::Rgb8, pixels);
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
                in_colours(demosaiced(&self.mosaic(layout, bytes), &self, red, bytes))
            }
            Layout::Yuv422 { luma } => {
                let pairs = self.rows(layout).flat_map(|row| row.chunks_exact(4));
                let pixels = pairs.flat_map(|bytes| {
                    let (blue, red) = (bytes[1 - luma], bytes[3 - luma]);
                    [bytes[luma], bytes[luma + 2]].map(|luma| rgb_from_ycbcr(luma, blue, red))
                });
                in_colours(pixels.flatten().collect())
            }
            Layout::Nv21 => in_colours(self.semi_planar(layout, |row, column| {
                let pair = (self.height + row / 2) * self.step + column / 2 * 2;
                (self.data[pair + 1], self.data[pair])
            })),
            Layout::Nv24 => in_colours(self.semi_planar(layout, |row, column| {
                let pair = (self.height + row * 2) * self.step + column * 2;
                (self.data[pair], self.data[pair + 1])
            })),
        }
    }

    /// The rows from the top, each without the padding at its end.
    fn rows(&self, layout: Layout) -> impl Iterator<Item = &[u8]> {
        let row_bytes = layout.row_bytes(self.width);
        let rows = self.data.chunks(self.step).take(self.height);
        rows.map(move |row| &row[..row_bytes])
    }

    fn wide_values<'a>(&'a self, row: &'a [u8]) -> impl Iterator<Item = u16> + 'a {
        row.chunks_exact(2).map(|pair| match self.is_bigendian {
            true => u16::from_be_bytes([pair[0], pair[1]]),
            false => u16::from_le_bytes([pair[0], pair[1]]),
        })
    }

    /// The values behind a mosaic, row after row.
    fn mosaic(&self, layout: Layout, bytes: usize) -> Vec<u16> {
        let rows = self.rows(layout);
        match bytes {
            1 => rows.flatten().copied().map(u16::from).collect(),
            _ => rows.flat_map(|row| self.wide_values(row)).collect(),
        }
    }

    /// An image whose luma come first; `chroma` gives Cb and Cr of a row and column.
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

/// The nearest of 256 levels to one of 65536.
fn narrow(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

/// ITU-R BT.601, luma 16 to 235 and chroma 16 to 240, in the fixed point numbers that OpenCV has.
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

/// Bilinear: what a pixel lacks is the mean of its neighbours that have it. Beyond the border the image is mirrored, which keeps the
/// mosaic.
fn demosaiced(mosaic: &[u16], source: &Source, red: [usize; 2], bytes: usize) -> Vec<u8> {
    let (width, height) = (source.width, source.height);
    let level = |value: u32| {
        if bytes == 1 {
            value as u8
        } else {
            narrow(value as u16)
        }
    };
    let mut pixels = Vec::with_capacity(width * height * 3);
    for row in 0..height {
        let [above, here, below] = neighbours(row, height).map(|row| &mosaic[row * width..(row + 1) * width]);
        for column in 0..width {
            let [left, middle, right] = neighbours(column, width);
            let own = u32::from(here[middle]);
            let across = mean(&[here[left], here[right]]);
            let down = mean(&[above[middle], below[middle]]);
            let crosswise = mean(&[above[left], above[right], below[left], below[right]]);
            let around = mean(&[above[middle], below[middle], here[left], here[right]]);
            let of_red = [row % 2 == red[0], column % 2 == red[1]];
            let pixel = match of_red {
                [true, true] => [own, around, crosswise],
                [true, false] => [across, own, down],
                [false, true] => [down, own, across],
                [false, false] => [crosswise, around, own],
            };
            pixels.extend(pixel.map(level));
        }
    }
    pixels
}

/// A place and those beside it.
fn neighbours(place: usize, count: usize) -> [usize; 3] {
    let before = place.checked_sub(1).unwrap_or(1);
    let after = if place + 1 < count { place + 1 } else { count - 2 };
    [before, place, after]
}

fn mean(values: &[u16]) -> u32 {
    let count = values.len() as u32;
    (values.iter().copied().map(u32::from).sum::<u32>() + count / 2) / count
}
