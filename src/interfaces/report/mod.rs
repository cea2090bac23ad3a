//! What people read while and after something runs.

pub mod live;
pub mod plain;
pub mod printer;

pub use printer::Printer;
