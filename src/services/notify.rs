//! Tells people what a job does, beside the work.

use std::sync::Arc;

use crate::{
    domain::{
        job::{event::RunLogEvent, state::JobLoopState},
        notification::job_notification,
    },
    ports::notifier::Notifications,
    services::job::event_bus::EventReporter,
};

/// Tells people of waiting commands, pauses and ends of a job.
pub struct JobTeller(pub Arc<dyn Notifications>);

impl std::fmt::Debug for JobTeller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobTeller").finish_non_exhaustive()
    }
}

impl EventReporter for JobTeller {
    fn event(&mut self, event: &RunLogEvent, state: &JobLoopState) {
        if let Some(notification) = job_notification(event, state) {
            self.0.send(notification);
        }
    }
}
