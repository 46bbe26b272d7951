//! Photos or drawn hands by label, and which of them is published next.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use image::RgbImage;
use image::imageops::{self, FilterType};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use thumb_gesture::dataset::{Dataset, Label};
use thumb_gesture::drawn_hand;
use thumb_gesture::frame::Frame;
use thumb_gesture::gesture::Gesture;
use thumb_gesture::text::escape_controls;

/// Number of photos in a block. Bursts are split into blocks, so that odd and even blocks do not share near-duplicates.
const BLOCK_LENGTH: usize = 6;

/// The available images, and the position in them.
#[derive(Clone)]
pub(crate) struct LabeledImages {
    sources: Vec<LabelSource>,
    /// Width and height, pixels.
    size: (u32, u32),
    seed: u64,
    rng: ChaCha8Rng,
    next_index: u64,
}

/// The images of one label.
#[derive(Clone)]
struct LabelSource {
    label: Label,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Drawn(Gesture),
    Photos(Vec<Photo>),
}

#[derive(Clone)]
struct Photo {
    file: PathBuf,
    /// Number of the photo's block in its burst, from 1.
    block: usize,
}

/// Which images are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    subset: Subset,
    /// `None` for a random label per image.
    label: Option<String>,
}

/// Which blocks of photos are used. For drawn hands, [`Subset::Even`] uses another seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subset {
    All,
    Odd,
    Even,
}

impl LabeledImages {
    /// Images of `size`: the photos in a directory with one directory per label, or drawn hands without a directory.
    pub(crate) fn open(photos: Option<&Path>, seed: u64, size: (u32, u32)) -> anyhow::Result<LabeledImages> {
        let sources: Vec<LabelSource> = match photos {
            None => Gesture::ALL
                .into_iter()
                .map(drawn_source)
                .collect::<Result<_, _>>()?,
            Some(directory) => photo_sources(directory)?,
        };
        Ok(LabeledImages {
            sources,
            size,
            seed,
            rng: ChaCha8Rng::seed_from_u64(seed),
            next_index: 0,
        })
    }

    /// Returns the selection, with its label as the images spell it, if each of its labels exists and has images.
    pub(crate) fn validate(&self, mut selection: Selection) -> anyhow::Result<Selection> {
        let labels: Vec<Label> = self.sources.iter().map(|source| source.label.clone()).collect();
        if let Some(name) = &mut selection.label {
            let Some(index) = Label::find(&labels, name) else {
                let known: Vec<&str> = labels.iter().map(Label::as_str).collect();
                bail!("unknown label {name:?}; known: all, {}", known.join(", "));
            };
            *name = labels[index].to_string();
        }
        let is_selected = |source: &&LabelSource| {
            let selected = selection.label.as_ref();
            selected.is_none_or(|label| label == source.label.as_str())
        };
        let mut selected = self.sources.iter().filter(is_selected);
        if let Some(empty) = selected.find(|source| source.is_empty(selection.subset)) {
            bail!(
                "label {:?} has too few photos for odd and even blocks; it needs a burst of more than {BLOCK_LENGTH}",
                empty.label
            );
        }
        Ok(selection)
    }

    /// The next image of a valid selection, and its label.
    pub(crate) fn next(&mut self, selection: &Selection) -> anyhow::Result<(RgbImage, String)> {
        let source = match &selection.label {
            Some(label) => self.sources.iter().find(|source| source.label.as_str() == label),
            None => self.sources.get(self.rng.random_range(0..self.sources.len())),
        };
        let source = source.context("the selection was not validated")?;
        let index = self.next_index;
        self.next_index += 1;
        let (width, height) = self.size;
        let image = match &source.source {
            Source::Drawn(gesture) => {
                let seed = self.seed.wrapping_mul(2) + u64::from(selection.subset == Subset::Even);
                drawn_hand::draw(*gesture, seed, index, width, height)
            }
            Source::Photos(photos) => {
                let subset: Vec<&Photo> = photos
                    .iter()
                    .filter(|photo| selection.subset.contains(photo.block))
                    .collect();
                read_photo(&subset[index as usize % subset.len()].file, self.size)?
            }
        };
        Ok((image, source.label.to_string()))
    }
}

impl LabelSource {
    fn is_empty(&self, subset: Subset) -> bool {
        match &self.source {
            Source::Drawn(_) => false,
            Source::Photos(photos) => !photos.iter().any(|photo| subset.contains(photo.block)),
        }
    }
}

impl Subset {
    fn contains(self, block: usize) -> bool {
        match self {
            Subset::All => true,
            Subset::Odd => block % 2 == 1,
            Subset::Even => block.is_multiple_of(2),
        }
    }
}

impl FromStr for Selection {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Selection> {
        let (subset, label) = text.split_once(':').unwrap_or(("all", text));
        let subset = match subset {
            "all" => Subset::All,
            "odd" => Subset::Odd,
            "even" => Subset::Even,
            _ => bail!("unknown prefix {subset:?} in {text:?}; known: all, odd, even"),
        };
        let label = (label != "all").then(|| label.to_owned());
        Ok(Selection { subset, label })
    }
}

fn drawn_source(gesture: Gesture) -> anyhow::Result<LabelSource> {
    Ok(LabelSource {
        label: Label::new(gesture.label())?,
        source: Source::Drawn(gesture),
    })
}

fn photo_sources(directory: &Path) -> anyhow::Result<Vec<LabelSource>> {
    let dataset = Dataset::read(directory)?;
    for warning in dataset.warnings() {
        eprintln!("Warning: {}", escape_controls(&warning));
    }
    if dataset.frame_count() == 0 {
        bail!(
            "{} has no images; it needs one directory of images per label",
            directory.display()
        );
    }
    let labels = dataset
        .labels
        .into_iter()
        .filter(|frames| !frames.files.is_empty());
    let sources = labels.map(|frames| LabelSource {
        label: frames.label,
        source: Source::Photos(number_blocks(frames.files)),
    });
    Ok(sources.collect())
}

/// Numbers the blocks of each burst from 1. The files of a burst have the same path up to the last underscore of the name.
fn number_blocks(files: Vec<PathBuf>) -> Vec<Photo> {
    let burst_of = |file: &Path| {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let burst = stem.rsplit_once('_').map_or("", |(burst, _)| burst);
        file.with_file_name(burst)
    };
    let (mut burst, mut index) = (None, 0);
    let number = |file: PathBuf| {
        let burst_of_file = burst_of(&file);
        if burst.as_ref() != Some(&burst_of_file) {
            (burst, index) = (Some(burst_of_file), 0);
        }
        let block = index / BLOCK_LENGTH + 1;
        index += 1;
        Photo { file, block }
    };
    files.into_iter().map(number).collect()
}

fn read_photo(file: &Path, (width, height): (u32, u32)) -> anyhow::Result<RgbImage> {
    let frame = Frame::from_file(file).with_context(|| file.display().to_string())?;
    let image = frame.to_rgb_image();
    if image.dimensions() == (width, height) {
        return Ok(image);
    }
    Ok(imageops::resize(&image, width, height, FilterType::Triangle))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(text: &str) -> Selection {
        text.parse().expect(text)
    }

    #[test]
    fn selections_are_parsed() {
        assert_eq!(
            selection("all"),
            Selection {
                subset: Subset::All,
                label: None
            }
        );
        let even_none = Selection {
            subset: Subset::Even,
            label: Some("none".to_owned()),
        };
        assert_eq!(selection("even:none"), even_none);
        "second:none".parse::<Selection>().expect_err("unknown prefix");
    }

    #[test]
    fn unknown_label_is_rejected_with_the_known_ones() {
        let images = LabeledImages::open(None, 1, (64, 48)).expect("drawn hands");
        let error = images.validate(selection("wave")).expect_err("unknown label");
        assert!(error.to_string().contains("thumbs_up"), "{error}");
    }

    #[test]
    fn another_spelling_of_a_label_selects_it() {
        let images = LabeledImages::open(None, 1, (64, 48)).expect("drawn hands");
        let selected = images.validate(selection("odd:Thumbs-Up")).expect("known");
        assert_eq!(selected, selection("odd:thumbs_up"));
    }

    #[test]
    fn bursts_are_numbered_in_blocks_of_six() {
        let names = (0..8)
            .map(|i| format!("a_{i:02}.jpg"))
            .chain((0..2).map(|i| format!("b_{i:02}.jpg")));
        let files = names.map(PathBuf::from).collect();
        let blocks: Vec<usize> = number_blocks(files)
            .into_iter()
            .map(|photo| photo.block)
            .collect();
        assert_eq!(blocks, [1, 1, 1, 1, 1, 1, 2, 2, 1, 1]);
    }

    #[test]
    fn odd_and_even_drawn_hands_differ() {
        let first_image = |text: &str| {
            let mut images = LabeledImages::open(None, 1, (64, 48)).expect("drawn hands");
            images.next(&selection(text)).expect("an image").0
        };
        assert_eq!(first_image("odd:none"), first_image("odd:none"));
        assert_ne!(first_image("odd:none"), first_image("even:none"));
    }
}
