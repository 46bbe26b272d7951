#![no_main]
//! A safetensors file.

use libfuzzer_sys::fuzz_target;
use thumb_gesture::weights::Weights;
use thumb_gesture_fuzz::with_file;

fuzz_target!(|data: &[u8]| with_file("weights.safetensors", data, |path| drop(Weights::read(path))));
