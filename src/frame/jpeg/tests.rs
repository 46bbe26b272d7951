use super::*;

const SCAN: &[u8] = b"\xFF\xDA\x00\x03\x01ab\xFF\x00c\xFF\xD0d";
const END: &[u8] = b"\xFF\xD9";
const EXIF: &[u8] = b"\xFF\xE1\x00\x0CExif\0\0\xFF\xD8\xFF\xD9";
const TABLE: &[u8] = b"\xFF\xDB\x00\x03q";

fn is_whole(parts: &[&[u8]]) -> bool {
    Jpeg::parse(&[&[PREFIX, SOI], &parts.concat()[..]].concat()).is_ok()
}

#[test]
fn end_is_the_end_marker_after_the_last_scan() {
    assert!(is_whole(&[TABLE, SCAN, END]));
    assert!(is_whole(&[EXIF, SCAN, EXIF, SCAN, END, b"\xFF\xDA other bytes"]));
    assert!(
        is_whole(&[b"\xFF\xD8", SCAN, b"\xFF", END]),
        "repeated SOI, fill byte"
    );
    assert!(!is_whole(&[SCAN]));
    assert!(!is_whole(&[EXIF, SCAN]), "the end marker is a thumbnail's");
    assert!(!is_whole(&[SCAN, EXIF]), "the same after a scan");
    assert!(!is_whole(&[TABLE, END]), "no scan");
    assert!(
        !is_whole(&[SCAN, b"\xFF\xD8\xFF\xE0", SCAN, END]),
        "another image begins"
    );
}

#[test]
fn jpeg_truncated_anywhere_is_not_whole() {
    let whole = [TABLE, EXIF, SCAN, TABLE, SCAN, END].concat();
    for length in 0..whole.len() {
        assert!(!is_whole(&[&whole[..length]]), "{length} bytes");
    }
}

#[test]
fn segments_that_would_take_much_memory_are_rejected() {
    let comments = |count: usize| b"\xFF\xFE\x00\x02".repeat(count);
    assert!(is_whole(&[&comments(MAX_SEGMENTS), SCAN, END]));
    let jpeg = [b"\xFF\xD8", &comments(MAX_SEGMENTS + 1)[..], SCAN, END].concat();
    let error = Jpeg::parse(&jpeg).err().expect("too many segments");
    assert!(error.to_string().contains("too much metadata"), "{error}");
}

proptest::proptest! {
    #[test]
    fn arbitrary_segments_are_whole_or_not(
        bytes in proptest::collection::vec(proptest::sample::select(&b"\xFF\xFF\xFF\xD8\xD9\xDA\xE1\x00\x02\x05a"[..]), 0..60),
    ) {
        if let Ok(jpeg) = Jpeg::parse(&bytes)
            && let Ok(file) = jpeg.for_decoder()
        {
            proptest::prop_assert!(Jpeg::parse(&file).is_ok());
        }
    }
}

#[test]
fn decoder_gets_tables_and_scans_without_metadata() {
    let comment = b"\xFF\xFE\x00\x05abc";
    let color_space = b"\xFF\xEE\x00\x04ab";
    let rest = [&b"\xFF\xDB\x00\x03qgarbage"[..], color_space, SCAN, END].concat();
    let jpeg = [b"\xFF\xD8", EXIF, comment, &rest, b"more"].concat();
    let expected = [b"\xFF\xD8", STANDARD_TABLES, TABLE, color_space, SCAN, END].concat();
    assert_eq!(for_decoder(&jpeg), expected);
}

#[test]
fn file_that_the_decoder_accepts_is_not_copied() {
    let jfif = b"\xFF\xE0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";
    let tables: Vec<u8> = STANDARD_IDS.iter().flat_map(|id| table(*id)).collect();
    let baseline = [&b"\xFF\xD8"[..], jfif, TABLE, &tables, SCAN, END].concat();
    let progressive = [&b"\xFF\xD8"[..], b"\xFF\xC2\x00\x03\x08", SCAN, END].concat();
    for jpeg in [&baseline, &progressive] {
        let with_more = [jpeg, &b"more"[..]].concat();
        let accepted = for_decoder(&with_more);
        assert!(matches!(accepted, Cow::Borrowed(_)));
        assert_eq!(&accepted, jpeg);
    }
    let changes: [&dyn Fn() -> Vec<u8>; 3] = [
        &|| [&baseline[..2], EXIF, &baseline[2..]].concat(),
        &|| [&baseline[..2], b"\xFF\xD8", &baseline[2..]].concat(),
        &|| [&b"\xFF\xD8"[..], jfif, TABLE, &table(0x10), SCAN, END].concat(),
    ];
    for change in changes {
        assert!(matches!(for_decoder(&change()), Cow::Owned(_)));
    }
}

/// A segment with a Huffman table of three codes.
fn table(id: u8) -> Vec<u8> {
    let mut segment = b"\xFF\xC4\x00\x16".to_vec();
    segment.push(id);
    segment.extend([1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    segment.extend(b"abc");
    segment
}

fn for_decoder(jpeg: &[u8]) -> Cow<'_, [u8]> {
    Jpeg::parse(jpeg)
        .expect("is whole")
        .for_decoder()
        .expect("is supported")
}

#[test]
fn unsupported_coding_is_named() {
    let cases = [
        (0xC1, 12, "12-bit"),
        (0xC3, 8, "lossless"),
        (0xC6, 8, "hierarchical"),
        (0xC9, 8, "arithmetic-coded"),
        (0xCA, 8, "arithmetic-coded"),
    ];
    for (marker, bits, expected) in cases {
        let jpeg = [&[0xFF, 0xD8, 0xFF, marker, 0, 3, bits], SCAN, END].concat();
        let error = Jpeg::parse(&jpeg)
            .expect("is whole")
            .for_decoder()
            .expect_err("is not supported");
        assert!(
            error
                .to_string()
                .starts_with(&format!("the JPEG is {expected}, which")),
            "{error}"
        );
    }
}

#[test]
fn exif_is_that_of_the_first_exif_segment() {
    let other = b"\xFF\xE1\x00\x07http:";
    let second = b"\xFF\xE1\x00\x0AExif\0\0ab";
    let jpeg = [b"\xFF\xD8", &other[..], EXIF, second, SCAN, END].concat();
    let exif = Jpeg::parse(&jpeg).expect("is whole").exif();
    assert_eq!(exif, Some(&b"\xFF\xD8\xFF\xD9"[..]));
    let jpeg = [b"\xFF\xD8\xFF\xE1\x00\x07Exif\0", SCAN, END].concat();
    assert_eq!(Jpeg::parse(&jpeg).expect("is whole").exif(), None);
}
