//! Which image comes next.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use image::RgbImage;
use image::imageops::{self, FilterType};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use thumb_gesture::dataset::Dataset;
use thumb_gesture::drawn_hand;
use thumb_gesture::frame::Frame;
use thumb_gesture::gesture::Gesture;

/// Photos of a take that stay together when takes are parted into odd and even.
const BLOCK_LENGTH: usize = 6;

/// Where images come from, and how far it has come.
#[derive(Clone)]
pub struct Images {
    labels: Vec<Labelled>,
    size: (u32, u32),
    seed: u64,
    rng: ChaCha8Rng,
    shown: u64,
}

#[derive(Clone)]
struct Labelled {
    label: String,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Drawn(Gesture),
    /// Photos with the number of their block in their take.
    Photos(Vec<(PathBuf, usize)>),
}

/// Which of the images to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    part: Part,
    /// None: all labels, mixed.
    label: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    All,
    Odd,
    Even,
}

impl Images {
    /// The photos of a directory, or without one drawn hands, all of one size.
    pub fn open(photos: Option<&Path>, seed: u64, size: (u32, u32)) -> anyhow::Result<Images> {
        let labels: Vec<Labelled> = match photos {
            None => Gesture::ALL.map(drawn).into(),
            Some(directory) => photos_in(directory)?,
        };
        Ok(Images {
            labels,
            size,
            seed,
            rng: ChaCha8Rng::seed_from_u64(seed),
            shown: 0,
        })
    }

    /// The selection, where there are such images.
    pub fn checked(&self, selection: Selection) -> anyhow::Result<Selection> {
        if let Some(wished) = &selection.label
            && !self.labels.iter().any(|labelled| labelled.label == *wished)
        {
            let known: Vec<&str> = self
                .labels
                .iter()
                .map(|labelled| labelled.label.as_str())
                .collect();
            bail!(
                "there are no images of {wished:?}; there are: all, {}",
                known.join(", ")
            );
        }
        let is_wished = |labelled: &&Labelled| {
            selection
                .label
                .as_ref()
                .is_none_or(|wished| *wished == labelled.label)
        };
        if let Some(empty) = self
            .labels
            .iter()
            .filter(is_wished)
            .find(|labelled| labelled.is_empty(selection.part))
        {
            bail!(
                "{} has too few photos for odd and even blocks of six",
                empty.label
            );
        }
        Ok(selection)
    }

    /// The next image and its label.
    pub fn next(&mut self, selection: &Selection) -> anyhow::Result<(RgbImage, String)> {
        let labelled = match &selection.label {
            Some(wished) => self.labels.iter().find(|labelled| labelled.label == *wished),
            None => self.labels.get(self.rng.random_range(0..self.labels.len())),
        };
        let labelled = labelled.context("a selection is checked before it is used")?;
        let index = self.shown;
        self.shown += 1;
        let (width, height) = self.size;
        let image = match &labelled.source {
            Source::Drawn(gesture) => {
                let seed = self.seed.wrapping_mul(2) + u64::from(selection.part == Part::Even);
                drawn_hand::draw(*gesture, seed, index, width, height)
            }
            Source::Photos(files) => {
                let part: Vec<&PathBuf> = files
                    .iter()
                    .filter(|(_, block)| selection.part.has(*block))
                    .map(|(file, _)| file)
                    .collect();
                photo(part[index as usize % part.len()], self.size)?
            }
        };
        Ok((image, labelled.label.clone()))
    }
}

impl Labelled {
    /// True where there is no image in that part.
    fn is_empty(&self, part: Part) -> bool {
        match &self.source {
            Source::Drawn(_) => false,
            Source::Photos(files) => !files.iter().any(|(_, block)| part.has(*block)),
        }
    }
}

impl Part {
    /// Blocks are counted from 1, as people do.
    fn has(self, block: usize) -> bool {
        match self {
            Part::All => true,
            Part::Odd => block % 2 == 1,
            Part::Even => block.is_multiple_of(2),
        }
    }
}

impl FromStr for Selection {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Selection> {
        let (part, label) = text.split_once(':').unwrap_or(("all", text));
        let part = match part {
            "all" => Part::All,
            "odd" => Part::Odd,
            "even" => Part::Even,
            _ => bail!("{text:?}: before the colon stands odd or even"),
        };
        let label = (label != "all").then(|| label.to_owned());
        Ok(Selection { part, label })
    }
}

fn drawn(gesture: Gesture) -> Labelled {
    Labelled {
        label: gesture.label().to_owned(),
        source: Source::Drawn(gesture),
    }
}

fn photos_in(directory: &Path) -> anyhow::Result<Vec<Labelled>> {
    let dataset = Dataset::read(directory)?;
    if dataset.labels.is_empty() {
        bail!(
            "{} holds no images: it needs one directory of them for each label",
            directory.display()
        );
    }
    let labelled = dataset.labels.into_iter().map(|frames| Labelled {
        label: frames.label.to_string(),
        source: Source::Photos(with_blocks(frames.files)),
    });
    Ok(labelled.collect())
}

/// Numbers the blocks of each take from 1. Files of one take have one name up to the last underscore.
fn with_blocks(files: Vec<PathBuf>) -> Vec<(PathBuf, usize)> {
    let take_of = |file: &Path| {
        let stem = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        stem.rsplit_once('_')
            .map_or(String::new(), |(take, _)| take.to_owned())
    };
    let (mut take, mut place) = (None, 0);
    let number = |file: PathBuf| {
        let of_file = take_of(&file);
        if take.as_ref() != Some(&of_file) {
            (take, place) = (Some(of_file), 0);
        }
        place += 1;
        (file, (place - 1) / BLOCK_LENGTH + 1)
    };
    files.into_iter().map(number).collect()
}

fn photo(file: &Path, (width, height): (u32, u32)) -> anyhow::Result<RgbImage> {
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
    fn selections_are_understood() {
        assert_eq!(
            selection("all"),
            Selection {
                part: Part::All,
                label: None
            }
        );
        let even_none = Selection {
            part: Part::Even,
            label: Some("none".to_owned()),
        };
        assert_eq!(selection("even:none"), even_none);
        "second:none".parse::<Selection>().expect_err("no such part");
    }

    #[test]
    fn a_label_without_images_is_refused_with_those_there_are() {
        let images = Images::open(None, 1, (64, 48)).expect("drawn");
        let error = images.checked(selection("wave")).expect_err("not drawn");
        assert!(error.to_string().contains("thumbs_up"), "{error}");
    }

    #[test]
    fn takes_are_numbered_in_blocks_of_six() {
        let names = (0..8)
            .map(|i| format!("a_{i:02}.jpg"))
            .chain((0..2).map(|i| format!("b_{i:02}.jpg")));
        let files = names.map(PathBuf::from).collect();
        let blocks: Vec<usize> = with_blocks(files).into_iter().map(|(_, block)| block).collect();
        assert_eq!(blocks, [1, 1, 1, 1, 1, 1, 2, 2, 1, 1]);
    }

    #[test]
    fn odd_and_even_scenes_differ() {
        let first = |text: &str| {
            let mut images = Images::open(None, 1, (64, 48)).expect("drawn");
            images.next(&selection(text)).expect("draws").0
        };
        assert_eq!(first("odd:none"), first("odd:none"));
        assert_ne!(first("odd:none"), first("even:none"));
    }
}
