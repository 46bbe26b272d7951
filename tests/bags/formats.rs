//! Each format, compression and byte order is read as the Python library rosbags reads it.

use std::collections::BTreeMap;
use std::fs;

use crate::support;
use crate::writing::*;

pub(crate) fn messages_are_the_same_as_read_by_rosbags() {
    let directory = support::reference("bags/reference.py", &[], |_| {});
    let cases = fs::read(directory.path().join("cases.json")).expect("exists");
    let cases: BTreeMap<String, Vec<MessageDigest>> = serde_json::from_slice(&cases).expect("JSON");
    assert_eq!(
        cases.len(),
        8,
        "SQLite3 and MCAP, uncompressed and with file, message and (MCAP) storage compression; big-endian"
    );
    for (name, expected) in cases {
        let (mut found, losses) = digests(&directory.path().join(&name));
        assert_eq!(losses, [], "{name}");
        assert_eq!(found.len(), expected.len(), "{name}");
        // Messages with equal times may come in any order.
        let sort = |digests: &mut Vec<MessageDigest>| digests.sort_by(|a, b| (a.2, &a.0).cmp(&(b.2, &b.0)));
        let mut expected = expected;
        assert!(
            found.is_sorted_by_key(|message| message.2),
            "{name} is sorted by time"
        );
        sort(&mut found);
        sort(&mut expected);
        assert_eq!(found, expected, "{name}");
        assert_eq!(
            count_frames(&directory.path().join(&name)),
            40,
            "{name} has images"
        );
    }
}

pub(crate) fn chunks_of_each_compression_are_read() {
    let messages = hands(4);
    for compression in [None, Some(mcap::Compression::Lz4), Some(mcap::Compression::Zstd)] {
        let (_directory, file) = write_bag(
            &messages,
            &WriteOptions {
                compression,
                ..LIKE_ROSBAG2
            },
        );
        let (found, losses) = digests(&file);
        assert_eq!((found.len(), losses), (messages.len(), vec![]));
    }
}
