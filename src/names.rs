//! Values that go by a name on the command line, in a parameter and in a manifest.

/// A name that is none of those there are.
#[derive(Debug, thiserror::Error)]
#[error("unknown {what} {name:?}; known: {known}")]
pub struct UnknownName {
    what: &'static str,
    name: String,
    known: String,
}

/// The value of that name among all there are; `what` they are.
///
/// # Errors
/// [`UnknownName`], which lists the known ones.
pub fn named<T: Copy>(
    all: &[T],
    what: &'static str,
    name: &str,
    name_of: impl Fn(T) -> &'static str,
) -> Result<T, UnknownName> {
    let found = all.iter().find(|&&one| name_of(one) == name);
    found.copied().ok_or_else(|| UnknownName {
        what,
        name: name.to_owned(),
        known: all.iter().map(|&one| name_of(one)).collect::<Vec<_>>().join(", "),
    })
}
