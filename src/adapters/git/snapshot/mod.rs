//! A work tree as it is, turned into trees that a rollback can return to.

pub(in crate::adapters::git) mod attributes;
pub(in crate::adapters::git) mod capture;
pub(in crate::adapters::git) mod captured;
pub(in crate::adapters::git) mod conflict_markers;
pub(in crate::adapters::git) mod disk_records;
pub(in crate::adapters::git) mod fast_capture;
pub(in crate::adapters::git) mod ignore;
pub(in crate::adapters::git) mod index_delta;
pub(in crate::adapters::git) mod read_files;
pub(in crate::adapters::git) mod safety;
pub(in crate::adapters::git) mod scan;
pub(in crate::adapters::git) mod unchanged;
pub(in crate::adapters::git) mod worktree_files;
