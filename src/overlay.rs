//! The frame with its verdict drawn on it, for people who watch. Pure: what is drawn is the caller's to say.

use std::convert::Infallible;

use embedded_graphics::mono_font::iso_8859_1::{FONT_6X13_BOLD, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Baseline, Text};
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

const JPEG_QUALITY: u8 = 80;
const PAPER: Rgb888 = Rgb888::new(24, 24, 24);
const INK: Rgb888 = Rgb888::new(255, 255, 255);
const BAR: Rgb888 = Rgb888::new(64, 160, 96);
/// From this height on the larger font is used, pixels.
const TALL_PX: u32 = 400;

/// Draws a title and a bar for each label with its probability (0 to 1), and encodes the picture as JPEG.
pub fn jpeg<'a>(image: RgbImage, title: &str, bars: impl Iterator<Item = (&'a str, f32)>) -> Vec<u8> {
    let font = if image.height() < TALL_PX {
        FONT_6X13_BOLD
    } else {
        FONT_10X20
    };
    let mut canvas = Canvas(image);
    let line = font.character_size.height;
    line_of_text(&mut canvas, 0, title, 1.0, PAPER, &font);
    for (index, (label, probability)) in bars.enumerate() {
        let text = format!("{label} {:.0} %", probability * 100.0);
        let top = line * (index as u32 + 1);
        line_of_text(&mut canvas, top, &text, 1.0, PAPER, &font);
        line_of_text(&mut canvas, top, &text, probability.clamp(0.0, 1.0), BAR, &font);
    }
    let mut bytes = Vec::new();
    let encoded = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).encode_image(&canvas.0);
    encoded.expect("a picture can be encoded into memory");
    bytes
}

/// A line of text on a background that is `part` of the line's width long.
fn line_of_text(canvas: &mut Canvas, top: u32, text: &str, part: f32, background: Rgb888, font: &MonoFont) {
    let width = (canvas.0.width() / 2).max(20 * font.character_size.width);
    let size = Size::new((width as f32 * part) as u32, font.character_size.height);
    let corner = Point::new(0, top as i32);
    let Ok(()) = Rectangle::new(corner, size)
        .into_styled(PrimitiveStyle::with_fill(background))
        .draw(canvas);
    let style = MonoTextStyle::new(font, INK);
    let Ok(_) = Text::with_baseline(text, corner, style, Baseline::Top).draw(canvas);
}

/// A picture that embedded-graphics can draw on; what falls outside is left out.
struct Canvas(RgbImage);

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, colour) in pixels {
            let (Ok(x), Ok(y)) = (u32::try_from(point.x), u32::try_from(point.y)) else {
                continue;
            };
            if let Some(pixel) = self.0.get_pixel_mut_checked(x, y) {
                pixel.0 = [colour.r(), colour.g(), colour.b()];
            }
        }
        Ok(())
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(width: u32, height: u32, probability: f32) -> RgbImage {
        let grey = RgbImage::from_pixel(width, height, image::Rgb([128; 3]));
        let bytes = jpeg(grey, "thumbs_up 97 %", [("thumbs_up", probability)].into_iter());
        image::load_from_memory(&bytes).expect("a picture").into_rgb8()
    }

    #[test]
    fn a_bar_is_as_long_as_its_probability() {
        let green = |image: &RgbImage| {
            let is_green = |pixel: &&image::Rgb<u8>| pixel.0[1] > pixel.0[0] + 40;
            image.pixels().filter(is_green).count() as f32
        };
        let share = green(&drawn(640, 480, 0.5)) / green(&drawn(640, 480, 1.0));
        assert!((0.35..0.65).contains(&share), "{share}");
    }

    #[test]
    fn a_picture_smaller_than_the_text_is_drawn_as_far_as_it_goes() {
        assert_eq!(drawn(8, 8, 0.5).dimensions(), (8, 8));
    }
}
