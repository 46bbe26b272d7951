//! Endless playback of a bag's images.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::{Context, anyhow};
use image::RgbImage;
use thumb_gesture::bag::image::{BagImage, image_topic};
use thumb_gesture::bag::{Bag, BagError, Topic};

/// Number of images that are read in advance.
const IMAGES_AHEAD: usize = 8;

/// An image and its `frame_id`.
type ImageWithFrameId = (RgbImage, String);

/// Images of a bag, which are read in a separate thread.
pub(crate) struct BagPlayer {
    images: Receiver<anyhow::Result<ImageWithFrameId>>,
}

impl BagPlayer {
    /// Starts to read the only topic of the bag with images.
    pub(crate) fn open(path: &Path) -> anyhow::Result<BagPlayer> {
        let bag = Bag::open(path)?;
        let topic = image_topic(&bag, None)?;
        let (sender, images) = sync_channel(IMAGES_AHEAD);
        // The thread ends when the receiver is dropped, or after it has sent an error.
        thread::spawn(move || {
            loop {
                let played = play_once(&bag, &topic, &mut |image| sender.send(Ok(image)).is_ok());
                let error = match played {
                    Ok(0) => anyhow!("{} has no valid images", bag.path().display()),
                    Ok(_) => continue,
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

/// Passes each image of the bag to `send` until that returns `false`; returns the number of images.
fn play_once(
    bag: &Bag,
    topic: &Topic,
    send: &mut dyn FnMut(ImageWithFrameId) -> bool,
) -> Result<usize, BagError> {
    let mut played = 0;
    bag.read(&|found| found == topic, &mut |message| {
        let Ok(image) = BagImage::read(message.topic, message.data) else {
            return Ok(());
        };
        played += 1;
        if send((image.frame.to_rgb_image(), image.frame_id)) {
            Ok(())
        } else {
            Err("playback was stopped".to_owned())
        }
    })?;
    Ok(played)
}
