//! Reads shell text the way the shell would, without running anything.
//!
//! The text is parsed by a parser crate; this module follows the tree in order, keeps the variables,
//! functions, aliases, folder and written files the text itself sets, and hands every simple command to
//! [`super::programs`]. Where a value cannot be known the word carries a mark (see [`super::text`]); where a
//! branch may or may not be taken, variables keep all the values they may have.
//!
//! Danger: everything here works on hostile text. All loops spend from the budget of the [`Reading`].

mod and_or;
mod arithmetic;
mod braces;
mod builtins;
mod documents;
mod emptied;
mod endless;
mod expand;
mod parameter;
mod parse;
mod quoting;
mod redirect;
mod size;
mod state;
mod walk;
mod wild;
mod written;

pub use parse::parse_unbounded;
pub(super) use quoting::{ansi_text, bracketed};
pub(super) use state::{ShellInterpreter, WrittenFiles};
pub(super) use wild::wild_fits;
