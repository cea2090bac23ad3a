//! What the policy's judge asks of this machine.

pub mod filesystem_view;
mod parse_child;

pub use parse_child::{PARSE_CHILD_ARG, parse_main};
