#![no_main]
//! A `sensor_msgs/Image`: encoding, sides, step and byte order are chosen by the first bytes.

use libfuzzer_sys::fuzz_target;
use thumb_gesture::frame::{Frame, RecentFrames};
use thumb_gesture_fuzz::take_array;

fuzz_target!(|data: &[u8]| {
    let mut data = data;
    let Some(
        [
            encoding_length,
            width_low,
            width_high,
            height_low,
            height_high,
            is_bigendian,
        ],
    ) = take_array(&mut data)
    else {
        return;
    };
    let Some(step) = take_array(&mut data).map(u32::from_le_bytes) else {
        return;
    };
    let (encoding, pixels) = data.split_at(data.len().min(encoding_length.into()));
    let sides = [
        u16::from_le_bytes([width_low, width_high]).into(),
        u16::from_le_bytes([height_low, height_high]).into(),
    ];
    let encoding = String::from_utf8_lossy(encoding);
    if let Ok(frame) = Frame::from_message(&encoding, sides, step, pixels.to_vec(), is_bigendian % 2 == 1) {
        assert_eq!(frame.rows().count(), frame.height() as usize);
        RecentFrames::default().repeats(&frame);
        frame.to_rgb_image();
    }
});
