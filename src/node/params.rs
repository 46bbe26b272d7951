pub mod declarations;
pub mod services;
