//! The network inputs of a frame and of its augmented copies.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::dataset::Label;
use crate::dataset::augment::{Augmentation, Level, drawn_none, replace_background};
use crate::frame::Frame;
use crate::gesture::Gesture;
use crate::preprocess::{INPUT_LEN, INPUT_SIDE_PX, image_from_square, normalize};

/// With [`Level::Scenes`], the share of the copies of `none` that are drawn scenes.
const DRAWN_SHARE: f64 = 0.25;
/// The share of the other copies with a hand that have another background.
const BACKGROUND_SHARE: f64 = 0.33;
/// Added to the number of a copy, for random numbers that are independent of those of its augmentation.
const SCENES_STREAM: u64 = 1 << 32;

/// The augmented copies of each frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Copies {
    /// Number per frame, not counting the frame itself.
    pub(super) count: usize,
    pub(super) level: Level,
    /// The same seed gives the same copies.
    pub(super) seed: u64,
}

/// A decoded file.
pub(super) struct ImageOfFile<'a> {
    label: &'a Label,
    /// Three planes with values from 0 to 1.
    image: Vec<f32>,
    /// The landmarks of the hand in pixels of the image.
    hand: Option<Vec<[f32; 2]>>,
    sha256: [u8; 32],
}

impl<'a> ImageOfFile<'a> {
    /// `square` is the resized `frame`, `hand` are landmarks in pixels of `frame`.
    pub(super) fn new(
        label: &'a Label,
        hand: Option<&[[f32; 2]]>,
        frame: &Frame,
        square: &[u8],
        sha256: [u8; 32],
    ) -> ImageOfFile<'a> {
        let side = INPUT_SIDE_PX as f32;
        let [x_scale, y_scale] = [frame.width(), frame.height()].map(|length| side / length as f32);
        let scaled = |[x, y]: &[f32; 2]| [x * x_scale, y * y_scale];
        ImageOfFile {
            label,
            image: image_from_square(square),
            hand: hand.map(|landmarks| landmarks.iter().map(scaled).collect()),
            sha256,
        }
    }

    /// The network input of the frame, which is copy 0, or of one of its copies.
    pub(super) fn input_of_copy(&self, copies: Copies, copy: usize) -> Vec<f32> {
        if copies.level == Level::Scenes && copy > 0 {
            let mut rng = rng_of_copy(&self.sha256, copies, SCENES_STREAM + copy as u64);
            if is_none(self.label) && rng.random_bool(DRAWN_SHARE) {
                let mut scene = drawn_none(&mut rng);
                normalize(&mut scene);
                return scene;
            }
            if let Some(hand) = &self.hand
                && rng.random_bool(BACKGROUND_SHARE)
            {
                let mut image = self.image.clone();
                replace_background(&mut image, hand, &mut rng);
                return input_of_copy(&image, &self.sha256, copies, copy);
            }
        }
        input_of_copy(&self.image, &self.sha256, copies, copy)
    }
}

/// Whether the frames of a label show no thumb.
pub(super) fn is_none(label: &Label) -> bool {
    Gesture::from_label(label.as_str()) == Gesture::None
}

/// Random numbers that depend on the file's content and the seed; those of two streams are independent.
fn rng_of_copy(sha256: &[u8; 32], copies: Copies, stream: u64) -> ChaCha8Rng {
    let mut seed = *sha256;
    seed.iter_mut()
        .zip(copies.seed.to_le_bytes())
        .for_each(|(byte, seed_byte)| *byte ^= seed_byte);
    let mut rng = ChaCha8Rng::from_seed(seed);
    rng.set_stream(stream);
    rng
}

/// The network input of an image with values from 0 to 1, or of one of its copies.
pub(super) fn input_of_copy(image: &[f32], sha256: &[u8; 32], copies: Copies, copy: usize) -> Vec<f32> {
    let mut input = image.to_vec();
    if copy > 0 {
        let mut rng = rng_of_copy(sha256, copies, copy as u64);
        let mut augmented = vec![0.0; INPUT_LEN];
        Augmentation::random(copies.level, &mut rng).apply(&input, &mut augmented);
        input = augmented;
    }
    normalize(&mut input);
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inputs of eight copies of a gray frame.
    fn copies(label: &str, hand: Option<&[[f32; 2]]>, level: Level) -> Vec<Vec<f32>> {
        let label: Label = Label::new(label).expect("a label");
        let gray = image::RgbImage::from_pixel(448, 224, image::Rgb([90; 3]));
        let frame = Frame::from_image(gray.into()).expect("a frame");
        let square = vec![90; INPUT_LEN];
        let image = ImageOfFile::new(&label, hand, &frame, &square, [5; 32]);
        let copies = Copies {
            count: 8,
            level,
            seed: 1,
        };
        (0..=copies.count)
            .map(|copy| image.input_of_copy(copies, copy))
            .collect()
    }

    /// The numbers of the copies that show something else than the gray frame.
    fn changed(inputs: &[Vec<f32>]) -> Vec<usize> {
        let is_uniform = |input: &Vec<f32>| {
            let plane = &input[..INPUT_SIDE_PX * INPUT_SIDE_PX];
            plane.iter().all(|value| (value - plane[0]).abs() < 1e-3)
        };
        (0..inputs.len())
            .filter(|&copy| !is_uniform(&inputs[copy]))
            .collect()
    }

    #[test]
    fn scenes_change_some_copies_of_frames_with_a_hand_or_of_none_but_never_the_frame() {
        let hand = vec![[224.0, 112.0]; 21];
        let hand = Some(hand.as_slice());
        assert!(changed(&copies("thumbs_up", hand, Level::Light)).is_empty());
        assert!(changed(&copies("thumbs_up", None, Level::Scenes)).is_empty());
        for (label, hand) in [("thumbs_up", hand), ("none", None), ("none", hand)] {
            let inputs = copies(label, hand, Level::Scenes);
            let changed = changed(&inputs);
            assert!(
                (1..8).contains(&changed.len()) && changed[0] > 0,
                "{label}: {changed:?}"
            );
            assert!(
                inputs == copies(label, hand, Level::Scenes),
                "the same copies again"
            );
        }
    }

    #[test]
    fn unchanged_copies_are_those_of_light_augmentation() {
        let light = copies("none", None, Level::Light);
        let scenes = copies("none", None, Level::Scenes);
        for copy in (0..light.len()).filter(|copy| !changed(&scenes).contains(copy)) {
            assert!(light[copy] == scenes[copy], "{copy}");
        }
    }
}
