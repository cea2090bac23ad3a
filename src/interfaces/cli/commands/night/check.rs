//! `tos night check`: everything a night needs, as a table.

use std::path::Path;

use serde_json::json;

use crate::{
    domain::{
        gates::GateRefusal,
        night::health::{self, HealthFinding},
        tasks::TaskList,
    },
    interfaces::cli::{
        commands::{session_client::SessionHost, task},
        common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        gate_services::GateServices,
        services,
        task_services::TaskServices,
    },
    ports::agent_runners::ConfinementFacts,
    services::night,
};

/// Shows the table; the exit code says whether a night could begin.
pub(super) fn main(
    file: &Path,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let list = task::read_list(file, services)?;
    task::require_checkout(global, services)?;
    task::warn_of_scripts(&list, global, services, printer);
    let engine = SessionHost::find(global, services);
    let (task_services, gate_services) =
        task::prepare_services(&engine, global, services, printer)?;
    let confined = task::list_confinement(&list, &task_services, services)?;
    let Some(findings) =
        health_findings(&list, &task_services, &gate_services, confined, services)?
    else {
        return Ok(CliExit::Cancelled);
    };
    printer.line(&health::table(&findings));
    let refusal = blocking_refusal(&findings);
    printer.document(&json!({ "healthy": refusal.is_none(), "findings": findings }));
    let Some(refusal) = refusal else {
        return Ok(CliExit::Success);
    };
    printer.alert(&format!("no night would begin: {}", refusal.why));
    Ok(CliExit::Refused)
}

/// Looks at everything and judges it by what the phase asks for; `None` = a person did not want to wait.
pub(super) fn health_findings(
    list: &TaskList,
    task_services: &TaskServices,
    gate_services: &GateServices,
    confined: ConfinementFacts,
    services: &dyn ServiceFactory,
) -> Result<Option<Vec<HealthFinding>>, CliError> {
    let permission = gate_services.report().permission;
    let records = gate_services.chain.records.clone();
    let (list, tools, run) = (
        list.clone(),
        task_services.tools.clone(),
        task_services.run.clone(),
    );
    let facts = services::block_on(services, move |mut stop| {
        Box::pin(async move {
            tokio::select! {
                facts = night::health::check_health(&list, &tools, &records, &confined, &run) => Some(facts),
                // Dropping the look ends what it started; its work tree is taken away at the next start.
                Ok(()) = stop.changed() => None,
            }
        })
    })?;
    Ok(facts.map(|facts| health::evaluate_health(&facts, &permission)))
}

/// Returns the refusal that the first red finding stands for.
pub(super) fn blocking_refusal(findings: &[HealthFinding]) -> Option<GateRefusal> {
    let red = health::first_blocking_finding(findings)?;
    let remedy = if red.remedy.is_empty() {
        String::new()
    } else {
        format!("; {}", red.remedy)
    };
    Some(GateRefusal {
        why: format!("unhealthy ({}): {}", red.what, red.seen),
        next: format!("tos night check LIST{remedy}"),
    })
}
