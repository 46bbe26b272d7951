#![no_main]
//! CDR: a message of an image topic; the first byte says whether it is compressed.

use libfuzzer_sys::fuzz_target;
use thumb_gesture::bag::Topic;
use thumb_gesture::bag::image::{BagImage, COMPRESSED_IMAGE, IMAGE};

fuzz_target!(|data: &[u8]| {
    let Some((kind, message)) = data.split_first() else {
        return;
    };
    let topic = Topic {
        name: "/camera/image_raw".to_owned(),
        message_type: if kind % 2 == 0 { IMAGE } else { COMPRESSED_IMAGE }.to_owned(),
        encoding: "cdr".to_owned(),
    };
    let _ = BagImage::read(&topic, message);
});
