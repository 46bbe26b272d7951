//! Parses the capture time or frame number from a file name. Names come from outside: any text is accepted, and most have neither.

use time::PrimitiveDateTime;
use time::macros::format_description;

/// What a file name says about when its frame was captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FileName {
    /// `<UTC time of the burst>_<number>`, or the same with `_<camera>` at the end: the names of [`crate::dataset::capture`].
    Burst {
        /// The time as written in the name.
        burst: String,
        /// The same time in milliseconds since 1970.
        time_ms: i64,
        /// The number of the frame in the burst.
        number: u64,
        /// The camera, if the node had several.
        camera: Option<String>,
    },
    /// A version 1 UUID, the names of JetBot's notebooks: its time in milliseconds since 1970.
    Uuid1(i64),
    /// A text, which may be empty, followed by a number.
    Numbered { prefix: String, number: u64 },
    /// Any other name.
    Other,
}

impl FileName {
    pub(super) fn parse(file_name: &str) -> FileName {
        let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
        if let Some(time_ms) = uuid1_time_ms(stem) {
            return FileName::Uuid1(time_ms);
        }
        if let Some(burst) = parse_burst(stem) {
            return burst;
        }
        let prefix = stem.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = &stem[prefix.len()..];
        if digits.is_empty() {
            return FileName::Other;
        }
        FileName::Numbered {
            prefix: prefix.to_owned(),
            number: number(digits),
        }
    }
}

fn parse_burst(stem: &str) -> Option<FileName> {
    let (burst, rest) = stem.split_once('_')?;
    let time_ms = burst_time_ms(burst)?;
    let (digits, camera) = match rest.split_once('_') {
        Some((digits, camera)) => (digits, Some(camera.to_owned())),
        None => (rest, None),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| FileName::Burst {
        burst: burst.to_owned(),
        time_ms,
        number: number(digits),
        camera,
    })
}

/// Numbers that do not fit share the maximum and stay in the order of their names.
fn number(digits: &str) -> u64 {
    digits.parse().unwrap_or(u64::MAX)
}

/// Parses the time of a burst to milliseconds since 1970.
fn burst_time_ms(burst: &str) -> Option<i64> {
    let format = format_description!("[year][month][day]T[hour][minute][second].[subsecond digits:3]Z");
    let time = PrimitiveDateTime::parse(burst, format).ok()?.assume_utc();
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// Parses the time of a version 1 UUID (RFC 9562, section 5.1) at the end of a text to milliseconds since 1970.
///
/// A prefix is allowed, because JetBot's road following example puts the target coordinates there.
fn uuid1_time_ms(stem: &str) -> Option<i64> {
    /// From 1582-10-15, the start of the Gregorian calendar, to 1970.
    const EPOCH_MS: i64 = 12_219_292_800_000;
    const TICKS_PER_MS: u64 = 10_000;
    let start = stem.len().checked_sub(36)?;
    let fields: Vec<&str> = stem.get(start..)?.split('-').collect();
    let is_hex = |field: &&str| field.bytes().all(|byte| byte.is_ascii_hexdigit());
    let [low, middle, high, variant, node] = fields[..] else {
        return None;
    };
    let is_uuid1 = fields.iter().all(is_hex)
        && [low.len(), middle.len(), high.len(), variant.len(), node.len()] == [8, 4, 4, 4, 12]
        && high.starts_with('1')
        && variant.starts_with(['8', '9', 'a', 'b', 'A', 'B']);
    if !is_uuid1 {
        return None;
    }
    let ticks = u64::from_str_radix(&format!("{}{middle}{low}", &high[1..]), 16).ok()?;
    Some(i64::try_from(ticks / TICKS_PER_MS).ok()? - EPOCH_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_captured_frame_has_burst_and_number() {
        let burst = |camera: Option<&str>| FileName::Burst {
            burst: "20260304T050607.089Z".to_owned(),
            time_ms: 1_772_600_767_089,
            number: 12,
            camera: camera.map(str::to_owned),
        };
        assert_eq!(FileName::parse("20260304T050607.089Z_0012.jpg"), burst(None));
        assert_eq!(
            FileName::parse("20260304T050607.089Z_0012_front_2.jpg"),
            burst(Some("front_2"))
        );
    }

    /// The expected times are from Python's `uuid.UUID(name).time`.
    #[test]
    fn name_of_a_jetbot_frame_has_a_time() {
        let expected = FileName::Uuid1(1_574_203_665_067);
        assert_eq!(
            FileName::parse("9a1c0f3e-0b1e-11ea-8f4c-16f63a1aa8c9.jpg"),
            expected
        );
        assert_eq!(
            FileName::parse("xy_050_112_9a1c0f3e-0b1e-11ea-8f4c-16f63a1aa8c9.jpg"),
            expected
        );
    }

    #[test]
    fn other_uuid_versions_have_no_time() {
        for name in [
            "9a1c0f3e-0b1e-41ea-8f4c-16f63a1aa8c9.jpg",
            "9a1c0f3e-0b1e-11ea-0f4c-16f63a1aa8c9.jpg",
            "9a1c0f3e-0b1e11ea-8f4c-16f63a1a-a8c9.jpg",
            "9a1c0f3e-0b1e-1+ea-8f4c-16f63a1aa8c9.jpg",
        ] {
            assert!(!matches!(FileName::parse(name), FileName::Uuid1(_)), "{name}");
        }
    }

    #[test]
    fn number_at_the_end_is_separated_from_its_prefix() {
        let numbered = |prefix: &str, number| FileName::Numbered {
            prefix: prefix.to_owned(),
            number,
        };
        assert_eq!(FileName::parse("thumbsup_07.jpg"), numbered("thumbsup_", 7));
        assert_eq!(FileName::parse("12.png"), numbered("", 12));
        assert_eq!(
            FileName::parse("20261304T050607.089Z_1.jpg"),
            numbered("20261304T050607.089Z_", 1)
        );
        let too_large = format!("a{}.jpg", "9".repeat(200));
        assert_eq!(FileName::parse(&too_large), numbered("a", u64::MAX));
    }

    #[test]
    fn other_names_have_neither_time_nor_number() {
        for name in ["", ".", "hand.jpg", "日本.png", "ab-cd-ef", &"é".repeat(40)] {
            assert_eq!(FileName::parse(name), FileName::Other, "{name}");
        }
    }
}
