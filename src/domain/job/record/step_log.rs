//! The log of one step: everything it proposed, how it was judged, what it did and what it cost.

use serde_json::{Map, Value, json};

use super::current_and_previous_sprint;
use crate::domain::{
    job::{
        history::exit_description,
        outcome::StepOutcome,
        proposal,
        state::{CommandDisposition, JobLoopState, StepState},
    },
    model::ModelRole,
    policy::Decision,
    process::{CommandResult, ExitStatus},
    text,
    time::local_text,
};

const RAW: usize = 2000;
const PROMPT: usize = 300;
const PAYLOAD: usize = 2000;
const CUT: &str = "...(truncated)";

/// Returns the log of a step that has just ended; `state` is the state right after its end.
pub fn step_log(state: &JobLoopState, step: &StepState) -> Value {
    let Some(end) = &step.end else {
        return Value::Null;
    };
    let mut log = head(state, step.number, end.phase, &end.reason, end.stopped);
    log.insert("timestamp".into(), local_text(end.at).into());
    let fatal = end.phase == StepOutcome::FatalError;
    log.insert(
        "error".into(),
        if fatal {
            end.reason.clone().into()
        } else {
            Value::Null
        },
    );
    let denied = end.phase == StepOutcome::Deny;
    log.insert(
        "message".into(),
        if denied {
            end.reason.clone().into()
        } else {
            Value::Null
        },
    );
    log.insert(
        "job_index".into(),
        json!(state.facts.max_jobs.map(|_| step.job)),
    );
    bodies(&mut log, step);
    next(&mut log, end.phase);
    ours(&mut log, step);
    Value::Object(log)
}

/// Returns the log of a record without a step of its own: loop complete, or steps used up.
pub fn log_without_step(
    state: &JobLoopState,
    number: u32,
    phase: StepOutcome,
    reason: &str,
    at: &str,
) -> Value {
    let mut log = head(state, number, phase, reason, false);
    log.insert("timestamp".into(), at.into());
    if phase == StepOutcome::JobLoopComplete {
        log.insert("job_result_written".into(), true.into());
        log.insert(
            "job_result_path".into(),
            state.facts.job_result.clone().into(),
        );
    }
    Value::Object(log)
}

/// The keys of every step log, in the order of the original; later functions fill in.
fn head(
    state: &JobLoopState,
    number: u32,
    phase: StepOutcome,
    reason: &str,
    stopped: bool,
) -> Map<String, Value> {
    let facts = &state.facts;
    let payload = facts.payload.as_ref();
    let [draft, review, last] = &facts.models;
    let mut map = Map::new();
    let value = json!({
        "phase": phase.as_str(),
        "step_num": number,
        "timestamp": null,
        "done": phase.is_done(),
        "done_reason": reason,
        "error": null,
        "message": null,
        "stopped": stopped,
        "is_experimental": facts.experimental,
        "s5_flag": facts.experimental,
        "job_loop_enabled": facts.max_jobs.is_some(),
        "job_name": facts.job_name,
        "job_index": facts.max_jobs.map(|_| state.job_index),
        "job_payload": payload.map(|payload| text::head(&payload.json, PAYLOAD, CUT)),
        "job_payload_present": payload.is_some(),
        "job_payload_size": payload.map_or(0, |payload| payload.bytes),
        "job_result_written": false,
        "job_result_path": null,
        "models_used": { "draft": draft, "review": review, "final": last },
        "prompts_used": null,
        "final_commands": null,
        "allowlist_summary": null,
        "draft": null,
        "draft_raw": null,
        "review": null,
        "review_raw": null,
        "final": null,
        "final_raw": null,
        "execution": null,
        "next_phase_name": null,
        "next_phase_done_condition": null,
        "next_instruction_id": null,
        "next_instruction_summary": null,
        "next_instruction_inputs": null,
        "next_instruction_expected_outputs": null,
        "version": 1,
        "run_id": state.run,
        "confinement": facts.confinement,
        "sprint": current_and_previous_sprint(state).0,
    });
    if let Value::Object(keys) = value {
        map = keys;
    }
    map
}

fn bodies(log: &mut Map<String, Value>, step: &StepState) {
    for role in ModelRole::ALL {
        let turn = step.turn(role);
        let raw = turn
            .reply
            .as_ref()
            .map(|reply| text::head(&reply.text, RAW, CUT));
        let parsed = turn.reply.as_ref().filter(|_| turn.accepted);
        let parsed = parsed.and_then(|reply| proposal::reply_object(role, &reply.text));
        log.insert(role.as_str().to_owned(), parsed.unwrap_or(Value::Null));
        log.insert(format!("{}_raw", role.as_str()), json!(raw));
    }
    if step.turns.iter().any(|turn| turn.prompt.is_some()) {
        log.insert("prompts_used".into(), prompts(step));
    }
    if !step.verdicts.is_empty() || step.accepted_reply(ModelRole::Final).is_some() {
        log.insert("final_commands".into(), json!(step.commands));
        log.insert("allowlist_summary".into(), verdicts(step));
        log.insert("execution".into(), execution(step));
    }
}

fn prompts(step: &StepState) -> Value {
    let mut prompts = Map::new();
    for role in ModelRole::ALL {
        let turn = step.turn(role);
        let Some(prompt) = &turn.prompt else { continue };
        let mut entry = json!({
            "template_name": format!("{}_prompt_template", role.as_str()),
            "prompt": text::head(prompt, PROMPT, CUT),
            "prompt_length": prompt.chars().count(),
        });
        if let (false, Some(reply), Some(entry)) =
            (turn.accepted, &turn.reply, entry.as_object_mut())
        {
            entry.insert(
                "extracted_text".into(),
                text::head(&reply.text, PROMPT, CUT).into(),
            );
        }
        prompts.insert(role.as_str().to_owned(), entry);
    }
    Value::Object(prompts)
}

fn verdicts(step: &StepState) -> Value {
    let lines = step.commands.iter().zip(&step.verdicts).enumerate();
    lines
        .map(|(index, (command, verdict))| {
            let (returncode, timeout) = match step.results.get(index) {
                Some(CommandDisposition::Ended { end }) => (code(end), end.exit.hit_limit()),
                _ => (None, false),
            };
            let ran = matches!(
                step.results.get(index),
                Some(CommandDisposition::Ended { .. } | CommandDisposition::Unknown)
            );
            json!({
                "type": command.kind,
                "code_snippet": text::head(&command.text(), 200, ""),
                "allowed": step.decision(index) == Decision::Allow,
                "decision": verdict.decision,
                "reason": verdict.reason,
                "matched": verdict.matched,
                "matched_pattern": verdict.matched,
                "findings": verdict.findings,
                "executed": ran,
                "returncode": returncode,
                "timeout": timeout,
            })
        })
        .collect()
}

const fn code(end: &CommandResult) -> Option<i32> {
    match end.exit {
        ExitStatus::Code { code } => Some(code),
        ExitStatus::Signal { .. }
        | ExitStatus::TimedOut { .. }
        | ExitStatus::Idle { .. }
        | ExitStatus::DiskTaken { .. }
        | ExitStatus::Cancelled => None,
    }
}

fn execution(step: &StepState) -> Value {
    let totals = step.totals();
    let results: Vec<Value> = (0..step.commands.len())
        .filter_map(|index| result(step, index))
        .collect();
    let denied = step
        .end
        .as_ref()
        .filter(|end| end.phase == StepOutcome::Deny);
    let first = (0..step.commands.len())
        .find(|index| step.decision(*index) == Decision::Deny)
        .and_then(|index| step.commands.get(index));
    let mut value = json!({
        "command_results": results,
        "execution_summary": {
            "executed_count": totals.executed,
            "denied_count": totals.denied,
            "timeout_count": totals.timeout,
            "failed_count": totals.failed,
        },
        "evidence": step.evidence,
    });
    if let (Some(end), Some(command), Some(map)) = (denied, first, value.as_object_mut()) {
        map.insert(
            "denied_command_snippet".into(),
            text::head(&command.text(), 200, "").into(),
        );
        map.insert(
            "denied_reason".into(),
            end.reason.trim_start_matches("deny: ").into(),
        );
    }
    value
}

fn result(step: &StepState, index: usize) -> Option<Value> {
    let (command, verdict) = (step.commands.get(index)?, step.verdicts.get(index)?);
    let fate = step.results.get(index)?;
    let kind = command.kind.as_str();
    let refused = step.decision(index) != Decision::Allow;
    Some(match fate {
        CommandDisposition::Waiting if refused => json!({
            "type": kind, "code": text::head(&command.text(), 200, "..."), "allowed": false,
            "deny_reason": verdict.reason, "matched_pattern": verdict.matched, "executed": false,
        }),
        CommandDisposition::Waiting => json!({
            "type": kind, "code": text::head(&command.text(), 500, "..."), "allowed": true,
            "allow_reason": verdict.reason, "executed": false,
        }),
        CommandDisposition::NotStarted { why } => json!({
            "type": kind, "code": text::head(&command.text(), 500, "..."), "allowed": true,
            "allow_reason": verdict.reason, "executed": false, "error": why,
        }),
        CommandDisposition::Unknown => json!({
            "type": kind, "code": text::head(&command.text(), 500, "..."), "allowed": true,
            "allow_reason": verdict.reason, "executed": true, "unknown": true,
            "error": "started before a crash; its end was not recorded",
        }),
        CommandDisposition::Ended { end } => ended(kind, &command.text(), &verdict.reason, end),
    })
}

fn ended(kind: &str, code_text: &str, allow_reason: &str, end: &CommandResult) -> Value {
    let timeout = end.exit.hit_limit();
    let mut value = json!({
        "type": kind,
        "code": text::head(code_text, 500, "..."),
        "allowed": true,
        "allow_reason": allow_reason,
        "executed": true,
        "returncode": code(end),
        "stdout": end.stdout.text(),
        "stderr": end.stderr.text(),
        "timeout": timeout,
        "end": exit_description(&end.exit),
        "elapsed_ms": end.elapsed_ms,
        "stdout_file": end.stdout.file,
        "stderr_file": end.stderr.file,
        "stdout_bytes": end.stdout.bytes,
        "stderr_bytes": end.stderr.bytes,
        "leftover_processes_ended": end.leftovers,
    });
    if let (true, Some(map)) = (timeout, value.as_object_mut()) {
        map.insert("error".into(), exit_description(&end.exit).into());
    }
    value
}

/// What the original says about the next step of work, once a job is done.
fn next(log: &mut Map<String, Value>, phase: StepOutcome) {
    if phase != StepOutcome::Done {
        return;
    }
    for (key, value) in [
        ("next_phase_name", json!(log.get("sprint"))),
        (
            "next_phase_done_condition",
            json!("the done condition of the configuration holds"),
        ),
        ("next_instruction_id", json!("next_job")),
        (
            "next_instruction_summary",
            json!("run again for the next job of the loop"),
        ),
        ("next_instruction_inputs", json!([])),
        ("next_instruction_expected_outputs", json!([])),
    ] {
        log.insert(key.to_owned(), value);
    }
}

/// What the original does not have: usage, cost, trouble on the way.
fn ours(log: &mut Map<String, Value>, step: &StepState) {
    let (tokens, cost) = step.tokens_and_cost();
    let roles: Map<String, Value> = ModelRole::ALL
        .into_iter()
        .map(|role| {
            let turn = step.turn(role);
            let reply = turn.reply.as_ref();
            let value = json!({
                "provider": reply.map(|reply| &reply.provider),
                "model": reply.map(|reply| &reply.model),
                "usage": reply.map(|reply| reply.usage),
                "cost": turn.cost,
                "elapsed_ms": reply.map(|reply| reply.elapsed_ms),
                "request_id": reply.and_then(|reply| reply.request_id.as_ref()),
                "unusable": turn.unusable,
                "failures": turn.failures,
            });
            (role.as_str().to_owned(), value)
        })
        .collect();
    let replayed = ModelRole::ALL.into_iter().any(|role| {
        let reply = step.turn(role).reply.as_ref();
        reply.is_some_and(|reply| reply.provider == "replay")
    });
    log.insert("calls".into(), Value::Object(roles));
    log.insert("tokens".into(), tokens.into());
    log.insert("cost".into(), json!(cost));
    log.insert("replayed".into(), replayed.into());
    log.insert("started_at".into(), local_text(step.started_at).into());
    log.insert("carried_from".into(), json!(step.carried_from));
}
