//! Which commands may run: decisions are ordered, the strictest wins, every verdict names its reasons.
//!
//! A command is judged in two layers. The first is the user's own list (`original`): the default action,
//! forbidden texts, allowed types, forbidden patterns. The second reads the command as its interpreter would,
//! collects what every part of it would do to the world, and holds each of these effects against the rules
//! of the configuration and of the chosen preset. What cannot be known from the text is an effect of its own.
//!
//! Nothing here touches the world: what has to be known about it comes in as a [`PolicyContext`].

mod cmd;
mod context;
mod decide;
mod dialect;
mod git_reach;
mod git_use;
mod interpretation;
mod judge;
mod loss;
mod ordinary;
mod original_keys;
mod partial_text;
mod patch_paths;
mod powershell;
mod programs;
mod remembered_rule;
mod resolved_path;
mod rule;
mod shell;
mod verdict;
mod windows;

pub use context::{FilesystemView, ParseOutcome, PolicyContext};
pub use dialect::windows_dialect;
pub use git_reach::{LostReferences, WorktreeChange, WorktreeChangeKind};
pub use git_use::GitUse;
pub use judge::{Error, FileAccess, Policy};
pub use loss::{BulkWrite, BulkWriteKind, DataLoss, NamedPath};
pub use patch_paths::{PatchStrip, patch_paths, strip_of};
pub use rule::{EffectKind, PolicyPreset, PolicyRule, RuleExample};
pub use shell::parse_unbounded;
pub use verdict::{Decision, PolicyFinding, PolicyVerdict};
