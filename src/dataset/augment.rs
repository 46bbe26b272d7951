//! More of an image: the same hand a little elsewhere, turned, nearer, lit otherwise, in the mirror.
//!
//! Each change means what torchvision's transform of that name means: `RandomResizedCrop`, `RandomHorizontalFlip`,
//! `RandomAffine` and `ColorJitter`, in this order. A thumb up in the mirror is still a thumb up. Upside down it is not:
//! vertical flips and large rotations would swap the labels, and there are none. How much is drawn is left to [`ranges`],
//! where a pixel comes from to [`geometry`], what becomes of its colour to [`color`], and normalising to the caller.

pub mod color;
pub mod geometry;
pub mod ranges;

use rand::Rng;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, VariantNames};

pub use color::{Adjustment, Color};
pub use geometry::{Crop, Geometry};
pub use ranges::Ranges;

use crate::preprocess::INPUT_LEN;

/// How much the copies of an image differ from it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumIter, EnumString, VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Level {
    /// Not at all.
    Off,
    /// As if the robot and the lamp had moved a little; the colours change as in JetBot's notebooks.
    Light,
    /// As in another room, with another hand nearer to the camera or further from its middle.
    Strong,
}

/// One change of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augmentation {
    /// Where each pixel comes from.
    pub geometry: Geometry,
    /// What becomes of the colours afterwards.
    pub color: Color,
}

impl Level {
    /// What is drawn from; none where nothing is drawn.
    pub fn ranges(self) -> Option<&'static Ranges> {
        match self {
            Level::Off => None,
            Level::Light => Some(&ranges::LIGHT),
            Level::Strong => Some(&ranges::STRONG),
        }
    }
}

impl Augmentation {
    /// No change.
    pub const IDENTITY: Augmentation = Augmentation {
        geometry: Geometry::IDENTITY,
        color: Color::IDENTITY,
    };

    /// Draws a change; the same generator state gives the same change.
    ///
    /// [`Level::Off`] gives [`Augmentation::IDENTITY`] and leaves the generator as it is.
    pub fn random(level: Level, rng: &mut impl Rng) -> Augmentation {
        level
            .ranges()
            .map_or(Augmentation::IDENTITY, |ranges| ranges.draw(rng))
    }

    /// Writes the changed image: `image[channel][row][column]`, red first, 224 rows of 224 columns, values in 0..=1,
    /// and so is `changed`.
    ///
    /// # Panics
    /// If `image` or `changed` does not hold [`INPUT_LEN`] values.
    pub fn apply(&self, image: &[f32], changed: &mut [f32]) {
        assert_eq!(image.len(), INPUT_LEN, "an image is 3x224x224");
        assert_eq!(changed.len(), INPUT_LEN, "an image is 3x224x224");
        self.geometry.resample(image, changed);
        self.color.adjust(changed);
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

    /// Bright above and dark below, in every channel.
    fn bright_above() -> Vec<f32> {
        let row = |index: usize| index / INPUT_SIDE_PX % INPUT_SIDE_PX;
        (0..INPUT_LEN)
            .map(|index| 0.9 - 0.8 * row(index) as f32 / INPUT_SIDE_PX as f32)
            .collect()
    }

    fn applied(augmentation: &Augmentation, image: &[f32]) -> Vec<f32> {
        let mut changed = vec![f32::NAN; INPUT_LEN];
        augmentation.apply(image, &mut changed);
        changed
    }

    #[test]
    fn off_changes_nothing_and_draws_nothing() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let untouched = rng.clone();
        let augmentation = Augmentation::random(Level::Off, &mut rng);
        assert_eq!(rng, untouched);
        assert_eq!(applied(&augmentation, &bright_above()), bright_above());
    }

    #[test]
    fn what_is_up_stays_up() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let image = bright_above();
        for _ in 0..100 {
            let augmentation = Augmentation::random(Level::Strong, &mut rng);
            let changed = applied(&augmentation, &image);
            let below = &changed[INPUT_SIDE_PX..INPUT_SIDE_PX * INPUT_SIDE_PX];
            let is_darker = |(above, below): (&f32, &f32)| *below <= above + 1e-5;
            assert!(changed.iter().zip(below).all(is_darker), "{augmentation:?}");
            assert!(
                below[below.len() - 1] < changed[0] - 0.1,
                "{augmentation:?} leaves no difference"
            );
        }
    }

    #[test]
    fn a_changed_image_stays_within_black_and_white() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let image: Vec<f32> = (0..INPUT_LEN).map(|index| (index % 97) as f32 / 96.0).collect();
        for level in [Level::Light, Level::Strong].repeat(20) {
            let changed = applied(&Augmentation::random(level, &mut rng), &image);
            assert!(changed.iter().all(|value| (0.0..=1.0).contains(value)));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_changes() {
        for level in Level::iter() {
            let changes = || {
                let mut rng = ChaCha8Rng::seed_from_u64(9);
                [(); 5].map(|()| Augmentation::random(level, &mut rng))
            };
            assert_eq!(changes(), changes());
        }
    }

    #[test]
    fn a_level_is_found_by_its_name_and_an_unknown_name_lists_the_known() {
        for level in Level::iter() {
            assert_eq!(level.to_string().parse(), Ok(level));
            assert_eq!(
                serde_json::to_string(&level).expect("serialises"),
                format!("\"{level}\"")
            );
        }
        let error = parse_name::<Level>("augmentation level", "heavy").expect_err("no such level");
        assert_eq!(
            error.to_string(),
            "unknown augmentation level \"heavy\"; known: off, light, strong"
        );
    }
}
