#![no_main]
//! An MCAP file.

use libfuzzer_sys::fuzz_target;
use thumb_gesture_fuzz::{read_bag, with_file};

fuzz_target!(|data: &[u8]| with_file("bag.mcap", data, read_bag));
