//! What people read while and after something runs.

pub mod job;
pub mod night;
mod page;
pub mod plan;
pub mod printer;

pub use printer::Printer;
