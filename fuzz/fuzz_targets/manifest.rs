#![no_main]
//! The manifest of a model in a store.

use libfuzzer_sys::fuzz_target;
use thumb_gesture::model_store::ModelStore;
use thumb_gesture_fuzz::with_file;

fuzz_target!(|data: &[u8]| {
    with_file("models/alexnet/manifest.json", data, |path| {
        let root = path.ancestors().nth(3).expect("the store");
        let store = ModelStore::open_existing(root).expect("opens");
        let _ = store.list();
        let _ = store.model("alexnet");
    });
});
