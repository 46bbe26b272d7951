//! Endless playback of a bag's images.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::{Context, anyhow};
use image::RgbImage;
use thumb_gesture::bag::image::{BagImage, image_topic, is_image_topic};
use thumb_gesture::bag::{Bag, BagError, DataLoss, ReasonCount, Topic};
use thumb_gesture::text::escape_controls;

/// Number of images that are read in advance.
const IMAGES_AHEAD: usize = 8;

/// An image and its `frame_id`.
type ImageWithFrameId = (RgbImage, String);

/// Images of a bag, which are read in a separate thread.
pub(crate) struct BagPlayer {
    images: Receiver<anyhow::Result<ImageWithFrameId>>,
}

impl BagPlayer {
    /// Starts to read a topic of the bag, by default the only one with images. The type is for a recording that does not say it.
    pub(crate) fn open(
        path: &Path,
        topic: Option<&str>,
        message_type: Option<&str>,
    ) -> anyhow::Result<BagPlayer> {
        let mut bag = Bag::open(path)?;
        if let (Some(topic), Some(message_type)) = (topic, message_type) {
            bag.assume_type(topic, message_type);
        }
        let topic = image_topic(&bag, topic)?;
        let (sender, images) = sync_channel(IMAGES_AHEAD);
        // The thread ends when the receiver is dropped, or after it has sent an error.
        thread::spawn(move || {
            for round in 0_u64.. {
                let played = play_once(&bag, &topic, &mut |image| sender.send(Ok(image)).is_ok());
                let error = match played {
                    Ok((played, warnings)) => {
                        // Each round has the same losses.
                        for warning in warnings.iter().filter(|_| round == 0) {
                            eprintln!("Warning: {}", escape_controls(warning));
                        }
                        if played > 0 {
                            continue;
                        }
                        anyhow!("{} has no valid images", bag.path().display())
                    }
                    Err(error) => error.into(),
                };
                // Fails if the receiver was dropped; then nobody needs the error.
                sender.send(Err(error)).ok();
                return;
            }
        });
        Ok(BagPlayer { images })
    }

    /// The next image, in its own size.
    pub(crate) fn next(&mut self) -> anyhow::Result<ImageWithFrameId> {
        self.images
            .recv()
            .context("the bag reader has ended after an error")?
    }
}

/// Passes each image of the bag to `send` until that returns `false`; returns the number of images and what could not be read.
fn play_once(
    bag: &Bag,
    topic: &Topic,
    send: &mut dyn FnMut(ImageWithFrameId) -> bool,
) -> Result<(usize, Vec<String>), BagError> {
    let (mut played, mut bad_reasons) = (0, Vec::new());
    let losses = bag.read(&|found| is_image_topic(found, topic), &mut |message| {
        let image = match BagImage::read(message.topic, message.data) {
            Ok(image) => image,
            Err(error) => {
                ReasonCount::add(&mut bad_reasons, error.to_string());
                return Ok(());
            }
        };
        played += 1;
        if send((image.frame.to_rgb_image(), image.frame_id)) {
            Ok(())
        } else {
            Err("playback was stopped".to_owned())
        }
    })?;
    let warnings = DataLoss::summaries(&losses)
        .into_iter()
        .chain(ReasonCount::summary(&bad_reasons));
    Ok((played, warnings.collect()))
}
