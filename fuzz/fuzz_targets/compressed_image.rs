#![no_main]
//! A `sensor_msgs/CompressedImage`: the format up to the first line break, then the file.

use libfuzzer_sys::fuzz_target;
use thumb_gesture::frame::Frame;

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (format, file) = data.split_at(end);
    let file = file.strip_prefix(b"\n").unwrap_or(file);
    if let Ok(frame) = Frame::from_compressed(&String::from_utf8_lossy(format), file) {
        frame.to_rgb_image();
    }
});
