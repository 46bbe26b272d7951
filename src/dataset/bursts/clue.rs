//! What a file's name says of when its frame was taken. Names come from outside: any text is fine, most say nothing.

use time::PrimitiveDateTime;
use time::macros::format_description;

/// What a name tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clue {
    /// `<UTC time of the burst>_<number>`, as [`crate::dataset::capture`] names frames.
    Burst {
        /// The time as it stands in the name.
        burst: String,
        /// The same in milliseconds since 1970.
        time_ms: i64,
        /// The frame's number.
        number: u64,
    },
    /// A UUID of version 1, as JetBot's notebooks name frames: milliseconds since 1970.
    Time(i64),
    /// A number behind a text, which may be empty.
    Numbered {
        /// The text.
        prefix: String,
        /// The number.
        number: u64,
    },
    /// Nothing.
    Nothing,
}

impl Clue {
    /// What the name of a file tells.
    pub fn of(file_name: &str) -> Clue {
        let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
        if let Some(time_ms) = uuid1_time_ms(stem) {
            return Clue::Time(time_ms);
        }
        let prefix = stem.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = &stem[prefix.len()..];
        if digits.is_empty() {
            return Clue::Nothing;
        }
        // Numbers that are too large stay in the order of their names.
        let number = digits.parse().unwrap_or(u64::MAX);
        let burst = prefix.strip_suffix('_').unwrap_or_default();
        match burst_time_ms(burst) {
            Some(time_ms) => Clue::Burst {
                burst: burst.to_owned(),
                time_ms,
                number,
            },
            None => Clue::Numbered {
                prefix: prefix.to_owned(),
                number,
            },
        }
    }
}

/// The time of a burst; none where the text is no such time.
fn burst_time_ms(burst: &str) -> Option<i64> {
    let format = format_description!("[year][month][day]T[hour][minute][second].[subsecond digits:3]Z");
    let time = PrimitiveDateTime::parse(burst, format).ok()?.assume_utc();
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// The time in the UUID of version 1 (RFC 9562, section 5.1) that a text ends in.
///
/// JetBot's road following puts the target's place before it.
fn uuid1_time_ms(stem: &str) -> Option<i64> {
    /// From the first day of the Gregorian calendar, 1582-10-15, to 1970.
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
    fn our_own_names_tell_the_burst() {
        let clue = Clue::of("20260304T050607.089Z_0012.jpg");
        let expected = Clue::Burst {
            burst: "20260304T050607.089Z".to_owned(),
            time_ms: 1_772_600_767_089,
            number: 12,
        };
        assert_eq!(clue, expected);
    }

    /// The times are those that Python's `uuid.UUID(name).time` gives.
    #[test]
    fn jetbot_s_names_tell_the_time() {
        let expected = Clue::Time(1_574_203_665_067);
        assert_eq!(Clue::of("9a1c0f3e-0b1e-11ea-8f4c-16f63a1aa8c9.jpg"), expected);
        assert_eq!(
            Clue::of("xy_050_112_9a1c0f3e-0b1e-11ea-8f4c-16f63a1aa8c9.jpg"),
            expected
        );
    }

    #[test]
    fn other_versions_of_uuids_tell_no_time() {
        for name in [
            "9a1c0f3e-0b1e-41ea-8f4c-16f63a1aa8c9.jpg",
            "9a1c0f3e-0b1e-11ea-0f4c-16f63a1aa8c9.jpg",
            "9a1c0f3e-0b1e11ea-8f4c-16f63a1a-a8c9.jpg",
            "9a1c0f3e-0b1e-1+ea-8f4c-16f63a1aa8c9.jpg",
        ] {
            assert!(!matches!(Clue::of(name), Clue::Time(_)), "{name}");
        }
    }

    #[test]
    fn a_number_behind_a_text_is_a_frame_of_a_take() {
        let numbered = |prefix: &str, number| Clue::Numbered {
            prefix: prefix.to_owned(),
            number,
        };
        assert_eq!(Clue::of("thumbsup_07.jpg"), numbered("thumbsup_", 7));
        assert_eq!(Clue::of("12.png"), numbered("", 12));
        assert_eq!(
            Clue::of("20261304T050607.089Z_1.jpg"),
            numbered("20261304T050607.089Z_", 1)
        );
        let endless = format!("a{}.jpg", "9".repeat(200));
        assert_eq!(Clue::of(&endless), numbered("a", u64::MAX));
    }

    #[test]
    fn other_names_tell_nothing() {
        for name in ["", ".", "hand.jpg", "日本.png", "ab-cd-ef", &"é".repeat(40)] {
            assert_eq!(Clue::of(name), Clue::Nothing, "{name}");
        }
    }
}
