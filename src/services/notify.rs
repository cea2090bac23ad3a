//! Tells people what a job does, beside the work.

use std::sync::Arc;

use crate::{
    domain::{event::Event, notification::of_job, state::State},
    ports::notifier::Notifications,
    services::bus::Reporter,
};

/// Tells people of waiting commands, pauses and ends of a job.
pub struct JobTeller(pub Arc<dyn Notifications>);

impl std::fmt::Debug for JobTeller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobTeller").finish_non_exhaustive()
    }
}

impl Reporter for JobTeller {
    fn event(&mut self, event: &Event, state: &State) {
        if let Some(notification) = of_job(event, state) {
            self.0.send(notification);
        }
    }
}
