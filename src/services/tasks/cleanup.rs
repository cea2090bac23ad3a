//! What is done before anything new starts: sessions that a crash left open are closed, their processes ended, their work
//! kept.

use std::path::Path;

use super::{Error, SessionPorts};
use crate::{
    domain::{
        ledger::LedgerEntry,
        night::{session_end_after_crash, unfinished_sessions},
        tasks::{RunProgress, SandboxDemand, run_of_session},
    },
    services::night::health::marker,
};

/// What was found and done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CleanupResult {
    /// Runs whose last session ended badly.
    pub runs: Vec<String>,
    /// One line each for people.
    pub lines: Vec<String>,
}

/// Closes what a crash left open. Whoever calls this holds the right to run tasks, so an open session is a dead one.
pub async fn clean_up_after_crash(
    tools: &SessionPorts,
    task_folder: &Path,
) -> Result<CleanupResult, Error> {
    let mut settled = CleanupResult::default();
    let chain = tools.ledger.read()?;
    let runner = tools.runners.test_runner(task_folder, SandboxDemand::Off);
    // A check that was killed has no session, but it may have left an agent.
    runner.kill_survivors(&marker(tools)).await;
    for session in unfinished_sessions(&chain.records) {
        let ended = runner.kill_survivors(&format!("{session}/")).await;
        if ended > 0 {
            let line = format!("{ended} of its processes were still at work and were ended");
            settled.lines.push(line);
        }
        let beat = tools.heartbeats.last(&session);
        let end = session_end_after_crash(&chain.records, &session, beat.as_ref());
        tools
            .ledger
            .append(Some(&session), LedgerEntry::SessionEnd { end })?;
        settled.lines.push(format!(
            "session {session} ended badly; it is on record as abnormal"
        ));
        let run = run_of_session(&chain.records, &session).unwrap_or_else(|| session.clone());
        settled.lines.extend(trim(tools, &run, &session)?);
        if !settled.runs.contains(&run) {
            settled.runs.push(run);
        }
    }
    settled.lines.extend(tools.runners.recover_logins());
    settled.lines.extend(tools.worktrees.recover_crashed()?);
    Ok(settled)
}

/// Puts the reference of a run back to what the ledger says. A crash between commit and record leaves a commit that
/// nobody vouches for; it is kept elsewhere.
fn trim(tools: &SessionPorts, run: &str, session: &str) -> Result<Option<String>, Error> {
    let reference = format!("refs/tos/runs/{run}");
    let Some(there) = tools.worktrees.resolve_ref(&reference) else {
        return Ok(None);
    };
    let progress = RunProgress::of(&tools.ledger.read()?.records, run);
    let tip = progress.tip.or(progress.base);
    let Some(tip) = tip.filter(|tip| *tip != there) else {
        return Ok(None);
    };
    let kept = format!("refs/tos/attempts/{session}/unrecorded");
    tools.worktrees.update_ref(&kept, &there)?;
    tools.worktrees.update_ref(&reference, &tip)?;
    Ok(Some(format!(
        "a commit without a record was taken out of the run and kept as {kept}"
    )))
}
