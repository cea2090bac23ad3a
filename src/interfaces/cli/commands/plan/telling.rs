//! Tells people how a run of a plan ended.

use std::{sync::Arc, time::Duration};

use super::{Desk, Trouble};
use crate::{
    domain::{notification::of_plan, plan::state::RunState},
    interfaces::cli::{gate_kit::Tellers, kit},
};

/// How long the end of a run waits for notifications that nobody has tried to deliver yet.
const SETTLE: Duration = Duration::from_secs(5);

/// Builds what tells people; a wrong configuration is said before anything runs.
pub(super) fn begin(desk: Desk<'_>) -> Result<Tellers, Trouble> {
    let root = desk.kit.root(desk.global);
    let tellers = desk.kit.told_of(&root);
    let tellers = tellers.map_err(|trouble| Trouble::Usage(trouble.to_string()))?;
    for warning in &tellers.warnings {
        desk.printer.alert(&format!("warning: {warning}"));
    }
    Ok(tellers)
}

/// Tells people; whatever comes of it, the run stands as it stands.
pub(super) fn end(desk: Desk<'_>, tellers: &Tellers, state: &RunState, run: &str) {
    let Some(notification) = of_plan(state, run) else {
        return;
    };
    let notifications = Arc::clone(&tellers.notifications);
    notifications.send(notification);
    let told = kit::block_on(desk.kit, move |_| {
        Box::pin(async move { notifications.settle(SETTLE).await })
    });
    for line in told.map(|told| told.failed).unwrap_or_default() {
        desk.printer.alert(&format!("warning: {line}"));
    }
}
