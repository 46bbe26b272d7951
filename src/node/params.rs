//! The node's parameters: [`declarations`], typed [`values`], and the [`services`] of `rcl_interfaces`.

mod conversion;
mod declarations;
pub(crate) mod services;
mod validation;
mod values;

pub use declarations::DECLARATIONS;
pub(crate) use validation::MAX_ENTRIES;
pub use validation::{Declaration, DefaultValue, ParameterError};
pub(crate) use values::Params;
