//! Names of enumerations in parameters, service requests and manifests.

use std::str::FromStr;

use strum::VariantNames;

use crate::text::shorten;

/// No variant of the enumeration has this name.
#[derive(Debug, thiserror::Error)]
#[error("unknown {what} {name:?}; known: {}", known.join(", "))]
pub struct UnknownName {
    what: &'static str,
    name: String,
    known: &'static [&'static str],
}

/// Parses the name of a variant; `what` is the noun for the enumeration in the error message, such as `strategy`.
///
/// # Errors
/// No variant has this name.
pub(crate) fn parse_name<T: FromStr + VariantNames>(
    what: &'static str,
    name: &str,
) -> Result<T, UnknownName> {
    name.parse().map_err(|_| UnknownName {
        what,
        name: shorten(name),
        known: T::VARIANTS,
    })
}
