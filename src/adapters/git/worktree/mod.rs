//! Work trees for agents, and those of the user that must not be disturbed.

pub(in crate::adapters::git) mod attempts;
pub(in crate::adapters::git) mod folders;
pub(in crate::adapters::git) mod kept_trees;
pub(in crate::adapters::git) mod known;
pub(in crate::adapters::git) mod merges;
pub(in crate::adapters::git) mod other_worktrees;
pub(in crate::adapters::git) mod promises;
pub(in crate::adapters::git) mod question_folder;
pub(in crate::adapters::git) mod reuse;
pub(in crate::adapters::git) mod shared_files;
pub(in crate::adapters::git) mod shared_folders;
pub(in crate::adapters::git) mod submodules;
pub(in crate::adapters::git) mod take_over;
pub(in crate::adapters::git) mod worktrees;
