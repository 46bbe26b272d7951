//! What the fuzz targets share.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use tempfile::TempDir;
use thumb_gesture::bag::Bag;
use thumb_gesture::bag::image::BagImage;

/// Calls `read` with a directory that holds only a file of this name and content, below this process's own directory.
///
/// `make torture` puts it in memory: a disk would be slower than the readers.
pub fn with_file(name: &str, data: &[u8], read: impl FnOnce(&Path)) {
    static DIRECTORY: OnceLock<TempDir> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| tempfile::tempdir().expect("a directory"));
    let path = directory.path().join(name);
    fs::create_dir_all(path.parent().expect("below the directory")).expect("creates");
    fs::write(&path, data).expect("writes");
    read(&path);
}

/// Reads everything in a bag, and the images in it.
pub fn read_bag(path: &Path) {
    let Ok(bag) = Bag::open(path) else { return };
    let _ = bag.contents();
    let _ = bag.read(&|_| true, &mut |message| {
        let _ = BagImage::read(message.topic, message.data);
        Ok(())
    });
}

/// Takes the first bytes of the data, or nothing if there are fewer.
pub fn take_array<const N: usize>(data: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = data.split_first_chunk()?;
    *data = rest;
    Some(*first)
}
