//! Plans on disk and as processes: loading, run directories, logs, outputs, the cache, and the tasks themselves.

mod cache;
mod confiner;
mod host;
mod import_orch;
mod launch;
mod loader;
mod log;
mod log_tail;
mod log_tee;
mod orphans;
mod outputs;
mod plan_copy;
mod plan_store;
mod run_dir;
pub(in crate::adapters) mod safe_open;
mod slots;
mod task_maker;
mod yaml;

pub use loader::{expanded_copy, load_bytes};
pub use plan_store::LocalPlanStore;
pub use task_maker::LocalTaskExecutor;
