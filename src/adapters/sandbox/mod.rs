//! The wall around commands: bubblewrap, namespaces of our own, or Landlock, whichever is proved.
//!
//! [`BackendSandbox`] turns the start of a command into the start of a jailer with the command behind it. The
//! jailers are tos itself, started again with the hidden word `__jail`; `jail` holds them and can be read alone, in the
//! order of the table in its `mod.rs`. `self_test` runs probes behind each wall and writes down what held; `view` decides
//! what a command sees, by what `lookup` finds; `taken_away` what becomes of protected places that it made; `proxy` is the only way outside when a few hosts are allowed. Danger: whatever is added to a jailer runs
//! with more rights than the command gets, so it must not read anything the command can write.

mod backend;
pub mod isolation_probe;
mod jail;
mod jailer;
mod lookup;
mod options;
mod program_folders;
mod proxy;
mod proxy_request;
mod self_test;
mod spec;
mod taken_away;
mod view;

pub use backend::BackendSandbox;
pub use jailer::jail_main;
pub use options::Options;
pub use spec::{JAILER_ARG, ResourceLimits};

/// Returns the places with keys and tokens that exist, except those `root` lies in; `home` is the home directory.
pub fn secret_paths(
    home: Option<&std::path::Path>,
    root: &std::path::Path,
) -> Vec<std::path::PathBuf> {
    view::secret_paths(home, &[], root, &lookup::Lookup::new())
}
