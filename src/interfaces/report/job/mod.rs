//! A job while it runs and afterwards, as text.

pub mod live;
pub mod plain;
