//! Draws a gesture, the probabilities of all labels and the landmarks of hands on a frame.

use std::convert::Infallible;
use std::time::Duration;

use embedded_graphics::mono_font::iso_8859_1::{FONT_6X13_BOLD, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{Circle, Line, PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Baseline, Text};
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

use crate::hand::Hand;

const JPEG_QUALITY: u8 = 80;
const BACKGROUND: Rgb888 = Rgb888::new(24, 24, 24);
const TEXT: Rgb888 = Rgb888::new(255, 255, 255);
const BAR: Rgb888 = Rgb888::new(64, 160, 96);
const STABLE_BACKGROUND: Rgb888 = Rgb888::new(32, 96, 192);
const BONE: Rgb888 = Rgb888::new(255, 208, 64);
const JOINT: Rgb888 = Rgb888::new(224, 48, 48);
const BONE_PX: u32 = 2;
const JOINT_PX: u32 = 5;
/// Landmarks that are connected: the palm, then the thumb and the fingers from the knuckle to the tip.
const BONES: [&[usize]; 6] = [
    &[0, 5, 9, 13, 17, 0],
    &[0, 1, 2, 3, 4],
    &[5, 6, 7, 8],
    &[9, 10, 11, 12],
    &[13, 14, 15, 16],
    &[17, 18, 19, 20],
];
/// Minimum image height for the larger font, pixels.
const MIN_TALL_PX: u32 = 400;
/// Image height per step of the text scale, pixels.
const PX_PER_SCALE: u32 = 360;
/// Minimum width of a line, characters.
const MIN_LINE_CHARS: u32 = 20;

/// The text and bars of an overlay.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caption<'a> {
    /// First line: the gesture.
    pub title: String,
    /// Whether the gesture is stable; the title's background is blue then.
    pub is_stable: bool,
    /// Each label with its probability, 0 to 1.
    pub bars: Vec<(&'a str, f32)>,
    /// How much the frame resembles those that the model was trained on, 0 to 1; `None` if it was not measured.
    pub familiarity: Option<f32>,
    /// Age of the frame when its gesture was published.
    pub age: Duration,
}

/// Draws hands and the caption on an image and encodes it as JPEG.
pub(crate) fn draw_jpeg(image: RgbImage, hands: &[Hand], caption: &Caption) -> Vec<u8> {
    let mut canvas = Canvas::new(image);
    hands.iter().for_each(|hand| canvas.draw_hand(hand));
    let title_background = if caption.is_stable {
        STABLE_BACKGROUND
    } else {
        BACKGROUND
    };
    canvas.draw_line(0, &caption.title, 1.0, title_background);
    for (index, (label, probability)) in (1..).zip(&caption.bars) {
        let text = format!("{label} {:.0} %", probability * 100.0);
        canvas.draw_line(index, &text, 1.0, BACKGROUND);
        canvas.draw_line(index, &text, probability.clamp(0.0, 1.0), BAR);
    }
    let last = caption.bars.len() as u32 + 1;
    let familiarity = caption
        .familiarity
        .map(|value| format!("familiar {:.0} %, ", value * 100.0));
    canvas.draw_line(
        last,
        &format!(
            "{}{} ms old",
            familiarity.unwrap_or_default(),
            caption.age.as_millis()
        ),
        1.0,
        BACKGROUND,
    );
    let mut bytes = Vec::new();
    let encoded = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).encode_image(&canvas.image);
    encoded.expect("encoding into memory does not fail");
    bytes
}

/// An image as a target of embedded-graphics, whose pixels are `scale` x `scale` pixels of the image. Ignores pixels outside the image.
struct Canvas {
    image: RgbImage,
    font: MonoFont<'static>,
    scale: u32,
}

impl Canvas {
    fn new(image: RgbImage) -> Canvas {
        let is_tall = image.height() >= MIN_TALL_PX;
        Canvas {
            font: if is_tall { FONT_10X20 } else { FONT_6X13_BOLD },
            scale: (image.height() / PX_PER_SCALE).max(1),
            image,
        }
    }

    fn draw_hand(&mut self, hand: &Hand) {
        let points = hand.landmarks.map(|[x, y, _]| self.point(x, y));
        for bone in BONES.iter().flat_map(|bones| bones.windows(2)) {
            let Ok(()) = Line::new(points[bone[0]], points[bone[1]])
                .into_styled(PrimitiveStyle::with_stroke(BONE, BONE_PX))
                .draw(self);
        }
        for point in points {
            let Ok(()) = Circle::with_center(point, JOINT_PX)
                .into_styled(PrimitiveStyle::with_fill(JOINT))
                .draw(self);
        }
    }

    /// The point of a pixel of the image. One far outside is moved closer, because lines are drawn pixel by pixel.
    fn point(&self, x: f32, y: f32) -> Point {
        let place = |pixel: f32, side: u32| {
            let side = side as f32;
            (pixel / self.scale as f32).clamp(-side, 2.0 * side) as i32
        };
        Point::new(place(x, self.size().width), place(y, self.size().height))
    }

    /// Draws a line of text on a background whose length is this fraction of the line's width, 0 to 1.
    fn draw_line(&mut self, index: u32, text: &str, fraction: f32, background: Rgb888) {
        let (letter, font) = (self.font.character_size, self.font);
        let width = (self.size().width / 2).max(MIN_LINE_CHARS * letter.width);
        let size = Size::new((width as f32 * fraction) as u32, letter.height);
        let corner = Point::new(0, (letter.height * index) as i32);
        let Ok(()) = Rectangle::new(corner, size)
            .into_styled(PrimitiveStyle::with_fill(background))
            .draw(self);
        let style = MonoTextStyle::new(&font, TEXT);
        let Ok(_) = Text::with_baseline(text, corner, style, Baseline::Top).draw(self);
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, color) in pixels {
            let (Ok(x), Ok(y)) = (u32::try_from(point.x), u32::try_from(point.y)) else {
                continue;
            };
            for (dx, dy) in (0..self.scale).flat_map(|dx| (0..self.scale).map(move |dy| (dx, dy))) {
                let (x, y) = (x * self.scale + dx, y * self.scale + dy);
                if let Some(pixel) = self.image.get_pixel_mut_checked(x, y) {
                    pixel.0 = [color.r(), color.g(), color.b()];
                }
            }
        }
        Ok(())
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.image.width() / self.scale, self.image.height() / self.scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(width: u32, height: u32, probability: f32, is_stable: bool) -> RgbImage {
        let gray = RgbImage::from_pixel(width, height, image::Rgb([128; 3]));
        let caption = Caption {
            title: "thumbs_up 97 %".to_owned(),
            is_stable,
            bars: vec![("thumbs_up", probability)],
            familiarity: None,
            age: Duration::from_millis(12),
        };
        let bytes = draw_jpeg(gray, &[], &caption);
        image::load_from_memory(&bytes).expect("an image").into_rgb8()
    }

    fn count(image: &RgbImage, is_counted: impl Fn(&[u8; 3]) -> bool) -> f32 {
        image.pixels().filter(|pixel| is_counted(&pixel.0)).count() as f32
    }

    #[test]
    fn length_of_a_bar_is_proportional_to_its_probability() {
        let green = |image: &RgbImage| count(image, |pixel| pixel[1] > pixel[0] + 40);
        let share = green(&drawn(640, 480, 0.5, false)) / green(&drawn(640, 480, 1.0, false));
        assert!((0.35..0.65).contains(&share), "{share}");
    }

    #[test]
    fn hand_is_drawn_from_landmark_to_landmark_wherever_they_are() {
        let mut landmarks = [[160.0, 200.0, 0.0]; 21];
        landmarks[4] = [260.0, 200.0, 0.0];
        landmarks[20] = [f32::NAN, 1e9, 0.0];
        let hand = Hand {
            landmarks,
            world: [[0.0; 3]; 21],
            presence: 1.0,
            visible: 1.0,
            right: 0.5,
            region: crate::hand::Region {
                center: [0.0; 2],
                side_px: 1.0,
                rotation: 0.0,
            },
        };
        let mut canvas = Canvas::new(RgbImage::new(320, 240));
        canvas.draw_hand(&hand);
        let pixel = |x, y| canvas.image.get_pixel(x, y).0;
        assert_eq!(pixel(260, 200), [JOINT.r(), JOINT.g(), JOINT.b()]);
        assert_eq!(pixel(210, 200), [BONE.r(), BONE.g(), BONE.b()]);
        assert_eq!(pixel(210, 100), [0; 3]);
    }

    #[test]
    fn image_smaller_than_the_text_is_clipped() {
        assert_eq!(drawn(8, 8, 0.5, true).dimensions(), (8, 8));
    }

    #[test]
    fn title_of_a_stable_gesture_is_blue() {
        let title = |is_stable| drawn(320, 240, 0.5, is_stable).get_pixel(150, 6).0;
        assert!(title(true)[2] > title(true)[0] + 80, "{:?}", title(true));
        assert!(title(false)[2] < title(false)[0] + 20, "{:?}", title(false));
    }

    /// The height of a line is at least 1/25 of the image's height, five lines cover less than half of the image, and a line of minimum
    /// width fits.
    #[test]
    fn text_scales_with_the_image() {
        for (width, height) in [(320, 240), (640, 480), (1280, 720), (1920, 1080), (3840, 2160)] {
            let canvas = Canvas::new(RgbImage::new(width, height));
            let line = canvas.font.character_size.height * canvas.scale;
            assert!(line * 25 >= height && line * 5 < height / 2, "{line} on {height}");
            let narrowest = MIN_LINE_CHARS * canvas.font.character_size.width * canvas.scale;
            assert!(narrowest <= width, "{narrowest} on {width}");
        }
    }
}
