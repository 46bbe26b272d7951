#![no_main]
//! A model from another robot, as `models import` reads it.

use libfuzzer_sys::fuzz_target;
use thumb_gesture::model_store::ModelStore;
use thumb_gesture_fuzz::with_file;

fuzz_target!(|data: &[u8]| {
    with_file("model.zip", data, |path| {
        let root = path.parent().expect("a directory").join("store");
        let store = ModelStore::open(&root).expect("opens");
        if store.unpack(path, None).is_ok_and(|unpacked| unpacked.is_new) {
            std::fs::remove_dir_all(&root).expect("removes");
        }
    });
});
