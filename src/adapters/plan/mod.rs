//! Plans on disk and as processes: loading, run directories, logs, outputs, the cache, and the tasks themselves.

mod adopt;
mod cache;
mod confiner;
mod emit;
pub(in crate::adapters) mod guard;
mod host;
mod launch;
mod loader;
mod log;
mod orphans;
mod outputs;
mod run_dir;
mod shelf;
mod slots;
mod tap;
mod yaml;

pub use loader::{copy_of, load_bytes};
pub use shelf::LocalShelf;
