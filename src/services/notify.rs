//! Tells people what a job does, beside the work.

use std::sync::Arc;

use crate::{
    domain::{
        job::{event::RunLogEvent, state::JobLoopState},
        notify::job_notification,
    },
    ports::notifier::NotificationSink,
    services::job::event_bus::EventReporter,
};

/// Tells people of waiting commands, pauses and ends of a job.
pub struct JobNotifier(pub Arc<dyn NotificationSink>);

impl std::fmt::Debug for JobNotifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobNotifier").finish_non_exhaustive()
    }
}

impl EventReporter for JobNotifier {
    fn event(&mut self, event: &RunLogEvent, state: &JobLoopState) {
        if let Some(notification) = job_notification(event, state) {
            self.0.send(notification);
        }
    }
}
