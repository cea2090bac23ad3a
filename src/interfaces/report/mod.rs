//! What people read while and after something runs.

pub mod job;
pub mod night;
pub(in crate::interfaces) mod page;
pub mod plan;
pub mod printer;

pub use printer::Printer;
