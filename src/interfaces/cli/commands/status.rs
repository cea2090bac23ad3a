//! `tos status`: where the job, the plans, the nights and the service of a root stand, and how to go on.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::service_client::ServiceClient;
use crate::{
    config::{Error, Settings, service as service_config},
    domain::{
        job::{
            outcome::{StepOutcome, shown_reason},
            record,
            state::{JobLoopState, cost_words},
        },
        night::{NightSummary, run_ids, summarise_run},
        plan::state::TaskStatus,
        state_folder::{TOS_FOLDER, tos_path},
        tasks::TaskList,
        text::counted,
    },
    interfaces::cli::common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
    services::job::recovery,
};

/// Says where everything stands; changes nothing and needs no lock.
pub fn main(
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let settings = services.settings(global)?;
    let plans = plans(services, &settings);
    let night = night(services, global, &settings, printer);
    let service = service(services, global, &settings);
    let missing = settings.require_file().err();
    if let Some(missing) = missing
        && plans.is_none()
        && night.is_none()
        && service.is_none()
    {
        return Err(missing.into());
    }
    printer.line(&format!("root      {}", settings.root.display()));
    let mut value = job(services, &settings, printer)?;
    // Agents of tasks leave some too.
    let open = services.open_questions(&settings);
    for question in &open {
        let id = question["id"].as_str().unwrap_or_default();
        let reason = question["reason"].as_str().unwrap_or_default();
        printer.line(&format!(
            "question  {reason}; answer with `tos answer {id} yes|no`"
        ));
    }
    for (title, part) in [("plans", &plans), ("night", &night), ("service", &service)] {
        for line in part.iter().flat_map(|part| &part.lines) {
            printer.line(&format!("{title:<9} {line}"));
        }
    }
    if let Some(map) = value.as_object_mut() {
        map.insert("questions".into(), open.into());
        map.insert("root".into(), settings.root.display().to_string().into());
        map.insert("plans".into(), plans.map_or(Value::Null, |part| part.value));
        map.insert("night".into(), night.map_or(Value::Null, |part| part.value));
        let service = service.map_or(Value::Null, |part| part.value);
        map.insert("service".into(), service);
    }
    printer.document(&value);
    Ok(CliExit::Success)
}

/// A part of the answer: lines for people, and the same for programs.
struct Part {
    lines: Vec<String>,
    value: Value,
}

fn job(
    services: &dyn ServiceFactory,
    settings: &Settings,
    printer: &Printer,
) -> Result<Value, CliError> {
    if let Err(Error::Missing { .. }) = settings.require_file() {
        printer.line("job       none here; `tos init` begins one");
        return Ok(json!({ "phase": null }));
    }
    let store = services.store(settings, None);
    let state = recovery::fold_events(JobLoopState::default(), &store.history()?);
    let holder = services.lock_holder(&settings.absolute(&settings.paths.logs).join("tos.lock"));
    let standing = standing(&state, holder.as_deref());
    printer.line(&format!("phase     {}", standing.words));
    if let Some(next) = standing.next {
        printer.line(&format!("next      {next}"));
    }
    if let Some(max_jobs) = state.facts.max_jobs {
        let next = if state.job_index > max_jobs {
            String::new()
        } else {
            format!(", next is {}", state.job_index)
        };
        printer.line(&format!(
            "jobs      {} of {max_jobs} done{next}",
            state.jobs_done
        ));
    }
    printer.line(&format!("steps     {}", state.steps.len()));
    let (tokens, cost) = state.tokens_and_cost();
    printer.line(&format!(
        "spent     {tokens} tokens, {}{}",
        cost_words(cost),
        share_of_job(&state, tokens)
    ));
    if let Some(parked) = &state.parked {
        printer.line(&format!(
            "waits     until {}",
            parked.until.format("%Y-%m-%d %H:%M:%S %:z")
        ));
    }
    let mut value = record::phase_state(&state);
    if let Some(map) = value.as_object_mut() {
        map.insert("running".into(), holder.is_some().into());
        map.insert("at_work".into(), holder.clone().into());
        let interrupted = state.running && holder.is_none();
        map.insert("interrupted".into(), interrupted.into());
        map.insert(
            "step_count".into(),
            store.record_files().step_logs.len().into(),
        );
        map.insert("tokens".into(), tokens.into());
        map.insert("cost".into(), cost.into());
        map.insert("end_reason".into(), state.last.end_reason.clone().into());
    }
    Ok(value)
}

/// Says how much of it the job under way has spent, which its budget counts, where earlier jobs have spent some.
fn share_of_job(state: &JobLoopState, tokens: u64) -> String {
    let own = state.job.as_ref().map(|job| job.spent.tokens);
    let own = own.filter(|own| *own != tokens);
    own.map_or_else(String::new, |own| {
        format!(" in all jobs; {own} of the tokens in this one")
    })
}

/// Where a job stands, in one line, and what goes on from there.
struct Standing {
    words: String,
    next: Option<&'static str>,
}

/// Whoever holds the lock is alive: the record alone cannot tell a run from a dead one.
fn standing(state: &JobLoopState, holder: Option<&str>) -> Standing {
    let step = state.job.as_ref().and_then(|job| job.step.as_ref());
    let step = step.map_or(state.next_step, |step| step.number);
    if let Some(holder) = holder {
        let words = if state.running {
            format!("running, step {step} ({holder})")
        } else {
            format!("at work ({holder})")
        };
        return Standing { words, next: None };
    }
    if state.running {
        return Standing {
            words: format!("interrupted in step {step}: its tos is dead"),
            next: Some("`tos run` goes on where it was"),
        };
    }
    let Some(phase) = state.last.phase else {
        return Standing {
            words: "none yet".to_owned(),
            next: None,
        };
    };
    let reason = state
        .last
        .end_reason
        .as_deref()
        .unwrap_or(&state.last.reason);
    // The reason often begins with the phase itself.
    let reason = reason.strip_prefix(phase.as_str()).unwrap_or(reason);
    let reason = reason.trim_start_matches([':', ' ']);
    let reason = shown_reason(reason);
    let words = if reason.is_empty() {
        phase.as_str().to_owned()
    } else {
        format!("{}: {reason}", phase.as_str())
    };
    let next = match phase {
        StepOutcome::Deny => Some("`tos steps N` shows what was denied; `tos run` goes on"),
        StepOutcome::Paused => Some("`tos run` goes on when the limit allows it"),
        _ => None,
    };
    Standing { words, next }
}

/// Tells how the newest run of a plan stands.
fn plans(services: &dyn ServiceFactory, settings: &Settings) -> Option<Part> {
    let plan_store = services.plan_store();
    let homes = [settings.root.join(".orch"), settings.root.join(TOS_FOLDER)];
    let (home, all) = homes
        .into_iter()
        .map(|home| {
            let all = plan_store.runs(&home).unwrap_or_default();
            (home, all)
        })
        .find(|(_, all)| !all.is_empty())?;
    let count = all.len();
    let run = plan_store.open(&home, "latest").ok()?;
    let id = run.id().to_owned();
    let Ok(state) = run.state() else {
        let (words, status) = if run.never_began() {
            ("never began", "NEVER_BEGAN")
        } else {
            ("damaged", "DAMAGED")
        };
        let lines = vec![format!(
            "{}, the newest is {id}: {words}",
            counted(count as u64, "run")
        )];
        return Some(Part {
            lines,
            value: json!({ "runs": count, "latest": id, "status": status }),
        });
    };
    let is_open = matches!(state.status, TaskStatus::Running | TaskStatus::Pending);
    let status = if is_open && !run.is_live() {
        TaskStatus::Interrupted
    } else {
        state.status
    };
    let counts: Vec<String> = state
        .status_counts()
        .into_iter()
        .map(|(status, count)| format!("{count} {}", status.name()))
        .collect();
    let mut lines = vec![format!(
        "{count} run{}, the newest is {id}: {} ({})",
        if count == 1 { "" } else { "s" },
        status.name(),
        counts.join(", ")
    )];
    let next = match status {
        TaskStatus::Interrupted | TaskStatus::Canceled => Some("tos plan resume"),
        TaskStatus::Failed => Some("tos plan status"),
        _ => None,
    };
    lines.extend(next.map(|next| format!("next: {next}")));
    Some(Part {
        lines,
        value: json!({ "runs": count, "latest": id, "status": status.name(), "next": next }),
    })
}

/// Tells whether the service of the root runs, and where its tasks are; `None` = the root has none.
fn service(
    services: &dyn ServiceFactory,
    global: &GlobalArgs,
    settings: &Settings,
) -> Option<Part> {
    let running = || {
        let document = services.service_address(global)?;
        let figures = ServiceClient::read(&document)?.text("/metrics").ok()?;
        Some(service_part(&document, &figures))
    };
    running().or_else(|| {
        service_config::exists(&settings.root).then(|| Part {
            lines: vec!["none runs; `tos serve` starts it".to_owned()],
            value: json!({ "running": false, "next": "tos serve" }),
        })
    })
}

/// Shows a service that runs: `document` is what it left for its user, `figures` what it says of itself.
fn service_part(document: &Value, figures: &str) -> Part {
    let tasks: BTreeMap<&str, u64> = figures
        .lines()
        .filter_map(|line| line.strip_prefix("tos_tasks{status=\"")?.split_once("\"} "))
        .filter_map(|(status, count)| Some((status, count.parse().ok()?)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let counts: Vec<String> = tasks
        .iter()
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    let counts = if counts.is_empty() {
        "no tasks".to_owned()
    } else {
        counts.join(", ")
    };
    let since = document["since"].as_str().and_then(|at| at.parse().ok());
    let since = since.map_or_else(String::new, |at: chrono::DateTime<chrono::FixedOffset>| {
        format!(" since {}", at.format("%Y-%m-%d %H:%M:%S %:z"))
    });
    Part {
        lines: vec![format!(
            "running{since}: {counts}; `tos open` shows its page, `tos board list` its tasks"
        )],
        value: json!({
            "running": true, "since": document["since"], "pid": document["pid"], "address": document["address"], "tasks": tasks,
        }),
    }
}

/// Tells how the newest night or list of tasks stands.
fn night(
    services: &dyn ServiceFactory,
    global: &GlobalArgs,
    settings: &Settings,
    printer: &Printer,
) -> Option<Part> {
    let read = services
        .ledger(global)
        .and_then(|ledger| Ok(ledger.read()?));
    let records = match read {
        Ok(chain) => chain.records,
        Err(trouble) => {
            printer.alert(&format!("warning: the ledger cannot be read: {trouble}"));
            return None;
        }
    };
    let run = run_ids(&records).pop()?;
    let summary = summarise_run(&records, &run)?;
    let holder = services.lock_holder(&settings.root.join(tos_path!("task.lock")));
    let list = services.read_state_file(global, &format!("nights/{run}/list.json"));
    let list = list.and_then(|text| crate::config::task_list::parse(&text, "list.json").ok());
    let taken = summary.tip.as_ref();
    let taken = taken.is_some_and(|tip| services.is_taken_over(global, tip));
    Some(night_part(
        &summary,
        holder.as_deref(),
        list.as_ref(),
        taken,
    ))
}

/// `taken` = the branch has its accepted work.
fn night_part(
    summary: &NightSummary,
    holder: Option<&str>,
    list: Option<&TaskList>,
    taken: bool,
) -> Part {
    let run = &summary.run;
    let open = summary.sessions.last().is_some_and(|one| one.end.is_none());
    let verdicts = summary.tasks.len();
    let all = list.map_or(summary.task_count(), |list| list.tasks.len());
    let left: Vec<&str> = list
        .iter()
        .flat_map(|list| &list.tasks)
        .map(|task| task.id.as_str())
        .filter(|id| !summary.tasks.iter().any(|end| end.task == *id))
        .collect();
    let is_running = open && holder.is_some();
    let state = match (open, is_running) {
        (true, true) => "running",
        (true, false) => "interrupted",
        // The next command closes what a crash left open.
        (false, _) if summary.last_session_end() == "crash" && !left.is_empty() => "interrupted",
        (false, _) => "over",
    };
    let mut lines = vec![format!(
        "{run} ({}): {state}, {} passed, {verdicts} of {all} done",
        summary.list, summary.counts.success
    )];
    let mut next = None;
    if is_running {
        let mut left = left.iter();
        lines.extend(left.next().map(|id| format!("running: {id}")));
        lines.extend(left.next().map(|id| format!("next: {id}")));
        lines.extend(holder.map(|holder| format!("by: {holder}")));
    } else if !left.is_empty() && list.is_some() {
        next = Some(summary.resume_command());
    } else if open {
        next = Some("run the list again: tos task run LIST".to_owned());
    } else if summary.counts.success > 0 && !taken {
        next = Some(format!(
            "tos night summary {run}, then tos night merge {run}"
        ));
    }
    lines.extend(next.iter().map(|next| format!("next: {next}")));
    Part {
        lines,
        value: json!({
            "run": run, "list": summary.list, "state": state, "passed": summary.counts.success, "done": verdicts,
            "tasks": all, "left": left, "next": next,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        ledger::{SessionEnd, SessionStart, TaskEnd},
        night::{OutcomeCounts, SessionSummary},
        time::Timestamp,
    };

    fn at() -> Timestamp {
        serde_json::from_str("\"2026-01-02T03:04:05+00:00\"").unwrap()
    }

    /// A night of three tasks of which the first has passed.
    fn night(end: Option<SessionEnd>) -> NightSummary {
        let session = SessionSummary {
            id: "s".to_owned(),
            began: at(),
            start: SessionStart::default(),
            end,
        };
        let passed = json!({
            "task": "a", "fingerprint": "", "class": "fix", "outcome": "success", "reason": "", "attempts": 1, "files": 0,
            "added": 0, "removed": 0, "seconds": 0, "real": true,
        });
        let passed: TaskEnd = serde_json::from_value(passed).unwrap();
        NightSummary {
            run: "r1".to_owned(),
            list: "l".to_owned(),
            sessions: vec![session],
            tasks: vec![passed],
            counts: OutcomeCounts {
                success: 1,
                ..OutcomeCounts::default()
            },
            ..NightSummary::default()
        }
    }

    fn list() -> TaskList {
        let task = |id: &str| json!({ "id": id, "goal": "g", "prompt": "p", "class": "fix", "test_command": ["true"] });
        let tasks = [task("a"), task("b"), task("c")];
        let list = json!({ "schema": 1, "id": "l", "agent": { "kind": "claude" }, "task": tasks });
        serde_json::from_value(list).unwrap()
    }

    #[test]
    fn a_night_under_way_shows_what_is_done_running_and_next() {
        let seen = night_part(
            &night(None),
            Some("pid 7: tos night start l.toml"),
            Some(&list()),
            false,
        );
        assert_eq!(
            seen.lines,
            [
                "r1 (l): running, 1 passed, 1 of 3 done",
                "running: b",
                "next: c",
                "by: pid 7: tos night start l.toml",
            ]
        );
    }

    #[test]
    fn a_night_whose_tos_is_dead_is_interrupted_and_says_how_to_go_on() {
        let seen = night_part(&night(None), None, Some(&list()), false);
        assert_eq!(
            seen.lines,
            [
                "r1 (l): interrupted, 1 passed, 1 of 3 done",
                "next: tos night resume r1",
            ]
        );
    }

    #[test]
    fn a_night_that_is_over_says_where_its_work_is() {
        let mut whole = list();
        whole.tasks.truncate(1);
        let seen = night_part(
            &night(Some(SessionEnd::default())),
            None,
            Some(&whole),
            false,
        );
        assert_eq!(
            seen.lines,
            [
                "r1 (l): over, 1 passed, 1 of 1 done",
                "next: tos night summary r1, then tos night merge r1",
            ]
        );
        let seen = night_part(
            &night(Some(SessionEnd::default())),
            None,
            Some(&whole),
            true,
        );
        assert_eq!(seen.lines, ["r1 (l): over, 1 passed, 1 of 1 done"]);
        assert_eq!(seen.value["next"], Value::Null);
    }

    #[test]
    fn a_crash_that_was_closed_is_an_interruption_still_and_who_began_it_goes_on() {
        let end = SessionEnd {
            ended_by: "crash".to_owned(),
            ..SessionEnd::default()
        };
        let mut crashed = night(Some(end));
        crashed.sessions[0].start.attended = true;
        let seen = night_part(&crashed, None, Some(&list()), false);
        assert_eq!(
            seen.lines,
            [
                "r1 (l): interrupted, 1 passed, 1 of 3 done",
                "next: tos night resume --attended r1",
            ]
        );
    }

    #[test]
    fn a_service_that_runs_is_shown_in_one_line() {
        let left = json!({ "since": "2026-01-02T03:04:05+00:00", "pid": 7, "address": "127.0.0.1:1", "token": "secret" });
        let figures = "# TYPE tos_tasks gauge\ntos_tasks{status=\"queued\"} 2\ntos_tasks{status=\"done\"} 0\n\
                       tos_tasks_blocked{reason=\"x\"} 1\ntos_tasks{status=\"running\"} 1\n";
        let seen = service_part(&left, figures);
        assert_eq!(
            seen.lines,
            [
                "running since 2026-01-02 03:04:05 +00:00: 2 queued, 1 running; `tos open` shows its page, `tos board list` its tasks"
            ]
        );
        assert_eq!(seen.value["tasks"], json!({ "queued": 2, "running": 1 }));
        assert!(!seen.value.to_string().contains("secret"));
    }
}
