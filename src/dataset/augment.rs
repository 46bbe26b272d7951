//! Augmentation: random changes of training images.
//!
//! Applies torchvision's `RandomResizedCrop`, `RandomHorizontalFlip`, `RandomAffine` and `ColorJitter`, in this order.
//! A horizontal flip keeps the label. Vertical flips and large rotations are not used, because they turn thumbs up into thumbs
//! down. `ranges` samples the parameters, `geometry` resamples the pixels, `color` changes their values. `scenes` changes what surrounds
//! the hand. The caller normalizes the result.

mod color;
mod geometry;
mod ranges;
mod scenes;

use rand::Rng;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, VariantNames};

pub use color::{Adjustment, ColorJitter};
pub use geometry::{Crop, Geometry};
pub use ranges::Ranges;
pub(crate) use scenes::{drawn_none, replace_background};

use crate::preprocess::INPUT_LEN;

/// How much augmented copies differ from their image.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumIter, EnumString, VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Level {
    /// No augmentation.
    Off,
    /// Flips, small rotations, shifts and zooms, and the color jitter of JetBot's notebooks.
    Light,
    /// Stronger color jitter and crops in addition, for other rooms, lighting and hands.
    Strong,
    /// As [`Level::Light`], with other scenes in some copies: random backgrounds behind the hand and, among the copies of `none`, drawn
    /// scenes.
    Scenes,
}

/// The sampled parameters of one augmentation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augmentation {
    /// Applied first.
    pub geometry: Geometry,
    /// Applied to the resampled image.
    pub color: ColorJitter,
}

impl Level {
    /// The ranges of the random parameters; `None` for [`Level::Off`].
    pub fn ranges(self) -> Option<&'static Ranges> {
        match self {
            Level::Off => None,
            Level::Light | Level::Scenes => Some(&ranges::LIGHT),
            Level::Strong => Some(&ranges::STRONG),
        }
    }
}

impl Augmentation {
    /// Leaves the image unchanged.
    pub const IDENTITY: Augmentation = Augmentation {
        geometry: Geometry::IDENTITY,
        color: ColorJitter::IDENTITY,
    };

    /// Samples the parameters; the result depends only on the level and on the state of the generator.
    ///
    /// For [`Level::Off`], returns [`Augmentation::IDENTITY`] without advancing the generator.
    pub fn random(level: Level, rng: &mut impl Rng) -> Augmentation {
        level
            .ranges()
            .map_or(Augmentation::IDENTITY, |ranges| ranges.sample(rng))
    }

    /// Writes the augmented image to `output`.
    ///
    /// Both are RGB, 3x224x224 (channel, row, column), with values in 0..=1.
    ///
    /// # Panics
    /// `image` or `output` does not have [`INPUT_LEN`] values.
    pub fn apply(&self, image: &[f32], output: &mut [f32]) {
        assert_eq!(image.len(), INPUT_LEN, "the image must be 3x224x224");
        assert_eq!(output.len(), INPUT_LEN, "the output must be 3x224x224");
        self.geometry.resample(image, output);
        self.color.apply(output);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use strum::IntoEnumIterator;

    use super::*;
    use crate::names::parse_name;
    use crate::preprocess::INPUT_SIDE_PX;

    /// A vertical gradient from bright at the top to dark at the bottom, in every channel.
    fn vertical_gradient() -> Vec<f32> {
        let row = |index: usize| index / INPUT_SIDE_PX % INPUT_SIDE_PX;
        (0..INPUT_LEN)
            .map(|index| 0.9 - 0.8 * row(index) as f32 / INPUT_SIDE_PX as f32)
            .collect()
    }

    fn applied(augmentation: &Augmentation, image: &[f32]) -> Vec<f32> {
        let mut output = vec![f32::NAN; INPUT_LEN];
        augmentation.apply(image, &mut output);
        output
    }

    #[test]
    fn off_keeps_the_image_and_the_generator_state() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let untouched = rng.clone();
        let augmentation = Augmentation::random(Level::Off, &mut rng);
        assert_eq!(rng, untouched);
        assert_eq!(applied(&augmentation, &vertical_gradient()), vertical_gradient());
    }

    #[test]
    fn strong_augmentation_keeps_the_top_at_the_top() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let image = vertical_gradient();
        for _ in 0..100 {
            let augmentation = Augmentation::random(Level::Strong, &mut rng);
            let augmented = applied(&augmentation, &image);
            let below = &augmented[INPUT_SIDE_PX..INPUT_SIDE_PX * INPUT_SIDE_PX];
            let is_darker = |(above, below): (&f32, &f32)| *below <= above + 1e-5;
            assert!(augmented.iter().zip(below).all(is_darker), "{augmentation:?}");
            assert!(
                below[below.len() - 1] < augmented[0] - 0.1,
                "{augmentation:?} removes the gradient"
            );
        }
    }

    #[test]
    fn augmented_values_stay_between_0_and_1() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let image: Vec<f32> = (0..INPUT_LEN).map(|index| (index % 97) as f32 / 96.0).collect();
        for level in [Level::Light, Level::Strong].repeat(20) {
            let augmented = applied(&Augmentation::random(level, &mut rng), &image);
            assert!(augmented.iter().all(|value| (0.0..=1.0).contains(value)));
        }
    }

    #[test]
    fn same_seed_gives_the_same_parameters() {
        for level in Level::iter() {
            let sample = || {
                let mut rng = ChaCha8Rng::seed_from_u64(9);
                [(); 5].map(|()| Augmentation::random(level, &mut rng))
            };
            assert_eq!(sample(), sample());
        }
    }

    #[test]
    fn level_is_parsed_from_its_name_and_unknown_names_list_the_known_ones() {
        for level in Level::iter() {
            assert_eq!(level.to_string().parse(), Ok(level));
            assert_eq!(
                serde_json::to_string(&level).expect("JSON"),
                format!("\"{level}\"")
            );
        }
        let error = parse_name::<Level>("augmentation level", "heavy").expect_err("no such level");
        assert_eq!(
            error.to_string(),
            "unknown augmentation level \"heavy\"; known: off, light, strong, scenes"
        );
    }
}
