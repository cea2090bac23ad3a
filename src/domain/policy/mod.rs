//! Which commands may run: decisions are ordered, the strictest wins, every verdict names its reasons.
//!
//! A command is judged in two layers. The first is the user's own list (`original`): the default action,
//! forbidden texts, allowed types, forbidden patterns. The second reads the command as its interpreter would,
//! collects what every part of it would do to the world, and holds each of these effects against the rules
//! of the configuration and of the chosen preset. What cannot be known from the text is an effect of its own.
//!
//! Nothing here touches the world: what has to be known about it comes in as a [`World`].

mod cmd;
mod decide;
mod granting;
mod judge;
mod original;
mod place;
mod powershell;
mod programs;
mod reading;
mod rule;
mod shell;
mod text;
mod verdict;
mod windows;
mod world;

pub use judge::{Error, Policy};
pub use rule::{Example, Preset, Rule, Trait};
pub use verdict::{Decision, Finding, Verdict};
pub use world::{Eyes, World};
