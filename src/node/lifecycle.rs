pub mod machine;
pub mod services;
pub mod transitions;
