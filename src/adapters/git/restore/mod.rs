//! The way back: from a snapshot or commit to the files on the disk.

pub(in crate::adapters::git) mod ignored;
pub(in crate::adapters::git) mod kept;
pub(in crate::adapters::git) mod repair;
pub(in crate::adapters::git) mod rewrite;
pub(in crate::adapters::git) mod rollback;
pub(in crate::adapters::git) mod target;
pub(in crate::adapters::git) mod tree;
pub(in crate::adapters::git) mod warnings;
pub(in crate::adapters::git) mod write_back;
