//! `tos night check`: everything a night needs, as a table.

use std::path::Path;

use serde_json::json;

use crate::{
    domain::{
        gates::Refusal,
        guarded::TaskList,
        night::health::{self, Finding},
    },
    interfaces::{
        cli::{
            args::Global,
            commands::task,
            exit::{Exit, Trouble},
            gate_kit::{Court, Desk},
            kit::{self, Kit},
        },
        report::Printer,
    },
    ports::hands::Confined,
    services::night,
};

/// Shows the table; the exit code says whether a night could begin.
pub(super) fn main(
    file: &Path,
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let list = task::read(file, kit)?;
    let desk = kit.task_desk(global)?;
    let mut court = Court::convene(kit, global)?;
    task::settle_crash(&mut court, &desk, global, kit, printer)?;
    let confined = task::confined(&list, &desk, kit)?;
    let Some(findings) = look(&list, &desk, &court, confined, kit)? else {
        return Ok(Exit::Cancelled);
    };
    printer.line(&health::table(&findings));
    let refusal = refusal(&findings);
    printer.document(&json!({ "healthy": refusal.is_none(), "findings": findings }));
    let Some(refusal) = refusal else {
        return Ok(Exit::Success);
    };
    printer.alert(&format!("no night would begin: {}", refusal.why));
    Ok(Exit::Refused)
}

/// Looks at everything and judges it by what the phase asks for; `None` = a person did not want to wait.
pub(super) fn look(
    list: &TaskList,
    desk: &Desk,
    court: &Court,
    confined: Confined,
    kit: &dyn Kit,
) -> Result<Option<Vec<Finding>>, Trouble> {
    let permission = court.report().permission;
    let records = court.chain.records.clone();
    let (list, tools, run) = (list.clone(), desk.tools.clone(), desk.run.clone());
    let facts = kit::block_on(kit, move |mut stop| {
        Box::pin(async move {
            tokio::select! {
                facts = night::health::look(&list, &tools, &records, &confined, &run) => Some(facts),
                // Dropping the look ends what it started; its work tree is taken away at the next start.
                Ok(()) = stop.changed() => None,
            }
        })
    })?;
    Ok(facts.map(|facts| health::examine(&facts, &permission)))
}

/// Returns the refusal that the first red finding stands for.
pub(super) fn refusal(findings: &[Finding]) -> Option<Refusal> {
    let red = health::first_red(findings)?;
    let remedy = if red.remedy.is_empty() {
        String::new()
    } else {
        format!("; {}", red.remedy)
    };
    Some(Refusal {
        why: format!("unhealthy ({}): {}", red.what, red.seen),
        next: format!("tos night check LIST{remedy}"),
    })
}
