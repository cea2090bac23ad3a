//! A change as validators need it: its files before and after, and what their grammars see.

pub mod changes;
pub mod syntax;
