//! More of a frame: its mirror image.
//!
//! A thumb up in the mirror is still a thumb up. Upside down it is not: vertical flips and large turns would swap the labels.

use crate::preprocess::INPUT_SIDE_PX;

/// Mirrors a network input left to right: each row of each channel is reversed.
pub fn flip_horizontally(input: &mut [f32]) {
    input.chunks_exact_mut(INPUT_SIDE_PX).for_each(<[f32]>::reverse);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;
    use crate::preprocess::{INPUT_LEN, Preprocessor};

    #[test]
    fn it_is_the_input_of_the_mirrored_picture() {
        let picture = image::RgbImage::from_fn(INPUT_SIDE_PX as u32, 50, |x, y| image::Rgb([x as u8, y as u8, 9]));
        let mirrored = image::imageops::flip_horizontal(&picture);
        let input = |picture: image::RgbImage| {
            let frame = Frame::from_image(picture.into()).expect("a good frame");
            let mut input = vec![0.0; INPUT_LEN];
            Preprocessor::new().tensor_from_frame(&frame, &mut input);
            input
        };
        let mut flipped = input(picture);
        flip_horizontally(&mut flipped);
        assert_eq!(flipped, input(mirrored));
    }
}
