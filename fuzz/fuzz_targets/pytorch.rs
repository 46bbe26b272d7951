#![no_main]
//! A file of `torch.save`, in both of its formats.

use libfuzzer_sys::fuzz_target;
use thumb_gesture::weights::pytorch;
use thumb_gesture_fuzz::with_file;

fuzz_target!(|data: &[u8]| with_file("model.pth", data, |path| drop(pytorch::read(path))));
