//! The images of a bag, in their order, over and over.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::Context;
use image::RgbImage;
use thumb_gesture::bag::image::BagImage;
use thumb_gesture::bag::predictions::image_topic;
use thumb_gesture::bag::{Bag, BagError, Topic};

/// Images that are read before they are shown.
const AHEAD: usize = 8;

/// A bag that a thread of its own reads.
pub struct BagImages {
    images: Receiver<anyhow::Result<(RgbImage, String)>>,
}

impl BagImages {
    /// Begins to read the bag's only topic with images.
    pub fn open(path: &Path) -> anyhow::Result<BagImages> {
        let bag = Bag::open(path)?;
        let topic = image_topic(&bag, None)?;
        let (sender, images) = sync_channel(AHEAD);
        thread::spawn(move || {
            // It ends when nobody takes the images any more, or with a word to the one who does.
            loop {
                let shown = show(&bag, &topic, &mut |image| sender.send(Ok(image)).is_ok());
                let error = match shown {
                    Ok(0) => anyhow::anyhow!("{} holds no images", bag.path().display()),
                    Ok(_) => continue,
                    Err(error) => error.into(),
                };
                let _nobody_listens = sender.send(Err(error));
                return;
            }
        });
        Ok(BagImages { images })
    }

    /// The next image and its frame of reference.
    pub fn next(&mut self) -> anyhow::Result<(RgbImage, String)> {
        self.images.recv().context("the bag cannot be read any more")?
    }
}

/// Hands over each image once, as long as they are taken; how many there were.
fn show(
    bag: &Bag,
    topic: &Topic,
    take: &mut dyn FnMut((RgbImage, String)) -> bool,
) -> Result<usize, BagError> {
    let mut shown = 0;
    bag.read(&|found| found == topic, &mut |message| {
        let Ok(image) = BagImage::read(message.topic, message.data) else {
            return Ok(());
        };
        shown += 1;
        match take((image.frame.to_rgb_image(), image.frame_id)) {
            true => Ok(()),
            false => Err("nobody takes the images any more".to_owned()),
        }
    })?;
    Ok(shown)
}
