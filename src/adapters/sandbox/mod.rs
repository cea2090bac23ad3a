//! The wall around commands: bubblewrap, namespaces of our own, or Landlock, whichever is proved.
//!
//! [`BackendSandbox`] turns the start of a command into the start of a jailer with the command behind it. The
//! jailers are tos itself, started again with the hidden word `__jail` (see `jail`): nothing of ours
//! runs between `fork` and `exec` of the large process. `trial` runs probes behind each wall and
//! writes down what held; `proxy` is the only door when a few hosts are allowed. Danger: whatever is
//! added to a jailer runs with more rights than the command gets, so it must not read anything the
//! command can write.

mod backend;
mod bubblewrap;
mod confine;
pub mod isolation_probe;
mod jail;
mod proxy;
mod proxy_request;
mod self_test;
mod self_test_setup;
mod spec;
mod view;

pub use backend::BackendSandbox;
pub use confine::Options;
pub use jail::jail_main;
pub use spec::ResourceLimits;

/// Returns the places with keys and tokens that exist, except those `root` lies in; `home` is the home directory.
pub fn hidden_places(
    home: Option<&std::path::Path>,
    root: &std::path::Path,
) -> Vec<std::path::PathBuf> {
    view::hidden(home, &[], root)
}

/// The first word of the command line that makes tos a jailer.
pub const JAIL_WORD: &str = "__jail";
