#![no_main]
//! A SQLite3 bag.

use libfuzzer_sys::fuzz_target;
use thumb_gesture_fuzz::{read_bag, with_file};

fuzz_target!(|data: &[u8]| with_file("bag.db3", data, read_bag));
