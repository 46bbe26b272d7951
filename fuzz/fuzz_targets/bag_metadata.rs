#![no_main]
//! `metadata.yaml` of a bag whose file is missing.

use libfuzzer_sys::fuzz_target;
use thumb_gesture_fuzz::{read_bag, with_file};

fuzz_target!(|data: &[u8]| with_file("metadata.yaml", data, read_bag));
