//! `tos status`.

use crate::{
    domain::{
        record,
        state::{State, bill},
    },
    interfaces::{
        cli::{
            args::Global,
            exit::{Exit, Trouble},
            kit::Kit,
        },
        report::Printer,
    },
    services::recovery,
};

/// Says where the job stands, from the run log; changes nothing and needs no lock.
pub fn main(global: &Global, kit: &dyn Kit, printer: &Printer) -> Result<Exit, Trouble> {
    let settings = kit.settings(global)?;
    settings.require_file()?;
    let store = kit.store(&settings, None);
    let state = recovery::fold(State::default(), &store.history()?);
    let disk = store.disk();
    printer.line(&format!("root      {}", settings.root.display()));
    printer.line(&format!(
        "phase     {}",
        state
            .last
            .phase
            .map_or("none yet", crate::domain::outcome::Phase::as_str)
    ));
    if let Some(max_jobs) = state.facts.max_jobs {
        printer.line(&format!(
            "jobs      {} of {max_jobs} done, next is {}",
            state.jobs_done, state.job_index
        ));
    }
    printer.line(&format!("steps     {}", state.steps.len()));
    let (tokens, cost) = bill(&state.steps);
    printer.line(&format!("spent     {tokens} tokens, cost {cost:.4}"));
    if let Some(parked) = &state.parked {
        printer.line(&format!(
            "waits     until {}",
            parked.until.format("%Y-%m-%d %H:%M:%S %:z")
        ));
    }
    let open = kit.questions(&settings);
    for question in &open {
        let id = question["id"].as_str().unwrap_or_default();
        let reason = question["reason"].as_str().unwrap_or_default();
        printer.line(&format!(
            "question  {reason}; answer with `tos answer {id}`"
        ));
    }
    if state.running {
        printer.line("running   a run is under way, or was interrupted");
    }
    if let Some(reason) = &state.last.end_reason {
        printer.line(&format!("end       {reason}"));
    }
    let mut value = record::phase_state(&state);
    if let Some(map) = value.as_object_mut() {
        map.insert("root".into(), settings.root.display().to_string().into());
        map.insert("questions".into(), open.into());
        map.insert("running".into(), state.running.into());
        map.insert("step_count".into(), disk.step_logs.len().into());
        map.insert("tokens".into(), tokens.into());
        map.insert("cost".into(), cost.into());
        map.insert("end_reason".into(), state.last.end_reason.clone().into());
    }
    printer.document(&value);
    Ok(Exit::Success)
}
