//! `tos guard hook AGENT`: a call comes in, is judged, and goes out as an answer; all of it is logged.

use std::path::Path;

use crate::{
    domain::{
        guard::{
            AttendanceMode, GuardOutcome, HookAgent, HookAnswer, ToolAction, ToolCall, answer,
            checkpoint::CheckpointCause, log::LogEntry, parse_tool_call,
        },
        policy::Decision,
    },
    interfaces::cli::guard_services::{GuardServiceFactory, GuardedProject},
    services::guard::Guard,
};

/// Subjects longer than this are cut in the log.
const LONGEST: usize = 2_000;

/// Judges what an agent handed its hook; the error says why that was not possible.
pub fn answer_hook(
    agent: HookAgent,
    input: &[u8],
    observe: bool,
    services: &dyn GuardServiceFactory,
    seen: &dyn Fn(AttendanceMode, &str),
) -> Result<HookAnswer, String> {
    let call = parse_tool_call(agent, input).map_err(|error| error.to_string())?;
    seen(call.presence, &call.event);
    let folder = call.folder.as_deref().map(Path::new);
    if let Some(folder) = folder.filter(|folder| !folder.is_absolute()) {
        return Err(format!("its folder `{}` is not absolute", folder.display()));
    }
    let place = services.guard_project(folder);
    // Removing secrets from a long text is the dearest part of a call, and it is needed in two places.
    let subject = redacted_subject(&call, services);
    let outcome = judge_call(&call, &subject, &place, observe, services)?;
    let answered = answer::answer(&call, &outcome);
    if call.action != ToolAction::Other {
        let entry = entry(&call, subject, &outcome, &place, services);
        // A log that cannot be written keeps nobody from working; `tos guard status` says so.
        drop(services.guard_log().append(&entry));
    }
    Ok(answered)
}

/// Judges a call by the rules in force at its place.
pub(super) fn judge_call(
    call: &ToolCall,
    subject: &str,
    place: &GuardedProject,
    observe: bool,
    services: &dyn GuardServiceFactory,
) -> Result<GuardOutcome, String> {
    let settings = services.guard_settings(&place.root)?;
    let policy = settings.policy()?;
    let checkpoints = services.guard_checkpoints();
    let observe = observe || settings.observe;
    let project = services.project_view(place);
    let guard = Guard {
        project: Some(project.as_ref()),
        policy: &policy,
        world: services.guard_context(place, &settings),
        // Who only looks on keeps nothing either.
        checkpoints: (!observe).then_some(checkpoints.as_ref()),
        kept_anyway: Vec::new(),
        most_files: settings.max_files,
        most_bytes: settings.max_megabytes << 20,
        observe,
        own_folders: services.agents_own_folders(),
    };
    let cause = CheckpointCause {
        time: services.time_stamp(),
        agent: call.agent.as_str().to_owned(),
        session: call.session.clone(),
        command: subject.to_owned(),
    };
    Ok(guard.judge(call, &cause))
}

pub(super) fn redacted_subject(call: &ToolCall, services: &dyn GuardServiceFactory) -> String {
    let text = services.redact(&call.subject());
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain(['\u{2026}']).collect()
}

fn entry(
    call: &ToolCall,
    subject: String,
    outcome: &GuardOutcome,
    place: &GuardedProject,
    services: &dyn GuardServiceFactory,
) -> LogEntry {
    let told = outcome.decision_for(call.presence);
    let reason = services.redact(&outcome.reason);
    LogEntry {
        time: services.time_stamp(),
        kind: "judged".to_owned(),
        agent: call.agent.as_str().to_owned(),
        session: call.session.clone(),
        root: place.root.display().to_string(),
        tool: call.tool.clone(),
        subject,
        decision: outcome.decision.as_str().to_owned(),
        answer: told.as_str().to_owned(),
        reason: if outcome.decision == Decision::Allow {
            String::new()
        } else {
            reason
        },
        rule: outcome.rule.clone(),
        checkpoint: outcome.checkpoint.as_ref().map(|(number, _)| *number),
        observe: outcome.observe,
        micros: services.elapsed_micros(),
    }
}

/// Notes that a call could not be judged.
pub fn log_failure(agent: HookAgent, why: &str, services: &dyn GuardServiceFactory) {
    // Agents start a hook in the folder they work in.
    let place = services.guard_project(None);
    let entry = LogEntry {
        root: place.root.display().to_string(),
        time: services.time_stamp(),
        kind: "failed".to_owned(),
        agent: agent.as_str().to_owned(),
        reason: services.redact(why),
        ..LogEntry::default()
    };
    drop(services.guard_log().append(&entry));
}
