//! Objects of git, written in one pack and read back.

pub(in crate::adapters::git) mod commit;
pub(in crate::adapters::git) mod missing;
pub(in crate::adapters::git) mod object;
pub(in crate::adapters::git) mod pack;
pub(in crate::adapters::git) mod tree_diff;
pub(in crate::adapters::git) mod trees;
