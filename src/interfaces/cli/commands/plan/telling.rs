//! Tells people how a run of a plan ended.

use std::{sync::Arc, time::Duration};

use super::{PlanCliError, PlanCommands};
use crate::{
    domain::{notify::plan_notification, plan::state::RunState},
    interfaces::cli::{services, task_services::EventNotifiers},
};

/// How long the end of a run waits for notifications that nobody has tried to deliver yet.
const SETTLE: Duration = Duration::from_secs(5);

/// Builds what tells people; a wrong configuration is said before anything runs.
pub(super) fn open_notifiers(context: PlanCommands<'_>) -> Result<EventNotifiers, PlanCliError> {
    let root = context.services.root(context.global);
    let tellers = context.services.event_notifiers(&root);
    let tellers = tellers.map_err(|trouble| PlanCliError::Usage(trouble.to_string()))?;
    for warning in &tellers.warnings {
        context.printer.alert(&format!("warning: {warning}"));
    }
    Ok(tellers)
}

/// Tells people; whatever comes of it, the run stands as it stands.
pub(super) fn notify_run_end(
    context: PlanCommands<'_>,
    tellers: &EventNotifiers,
    state: &RunState,
    run: &str,
) {
    let Some(notification) = plan_notification(state, run) else {
        return;
    };
    let notifications = Arc::clone(&tellers.notifications);
    notifications.send(notification);
    let told = services::block_on(context.services, move |_| {
        Box::pin(async move { notifications.flush(SETTLE).await })
    });
    for line in told.map(|told| told.failed).unwrap_or_default() {
        context.printer.alert(&format!("warning: {line}"));
    }
}
