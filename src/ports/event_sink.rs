//! What happens in a run, told to whoever collects it: never needed for a decision, never in the way.

use crate::domain::night::RunEvent;

/// Takes events of a run.
pub trait EventSink: Send + Sync {
    /// Takes one event. What cannot be written is lost; work does not stop for it.
    fn emit(&self, event: &RunEvent);
}
