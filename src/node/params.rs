//! The node's parameters: declarations, values and services.

pub mod declarations;
pub(crate) mod services;

pub use declarations::{DECLARATIONS, Declaration};
