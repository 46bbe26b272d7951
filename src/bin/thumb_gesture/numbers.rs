//! Numbers as values of options.

use std::fmt::Display;
use std::str::FromStr;

/// Parses an angle of -180 to 180 degrees.
pub(crate) fn parse_degrees(text: &str) -> Result<f32, String> {
    parse_in_range(text, -180.0, 180.0)
}

/// Parses a share of 0 to 1.
pub(crate) fn parse_share<T: FromStr + PartialOrd + Display + From<u8>>(text: &str) -> Result<T, String> {
    parse_in_range(text, T::from(0), T::from(1))
}

/// Parses a number of `min` to `max`.
pub(crate) fn parse_in_range<T: FromStr + PartialOrd + Display>(
    text: &str,
    min: T,
    max: T,
) -> Result<T, String> {
    let number: T = text.parse().map_err(|_| "not a number".to_owned())?;
    if (&min..=&max).contains(&&number) {
        Ok(number)
    } else {
        Err(format!("must be {min} to {max}"))
    }
}
