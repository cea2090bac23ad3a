//! Containers in which attempts run instead of on the machine itself.

use std::sync::Arc;

use super::agent_runners::AgentSandboxes;

/// Makes runners whose commands run in containers.
pub trait Containers: Send + Sync {
    /// Returns runners for an image and for a network of agents (tests have none), or says what is missing here.
    fn runners(&self, image: &str, network: &str) -> Result<Arc<dyn AgentSandboxes>, String>;

    /// Removes containers that an earlier service left behind; returns how many.
    fn remove_leftovers(&self) -> usize;
}
