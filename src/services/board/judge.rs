//! One examination: the attempt merged with its branch, its files held against the task, its tests run on the result.
//!
//! Validators look at it, its tests run on it, and where that is configured a model reviews it. Whatever keeps the examination from being made is no verdict, and never an approval.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    ServicePorts,
    case::JudgementRequest,
    review::review,
    worker::{test_command, to_guarded_task},
};
use crate::{
    domain::{
        board::{ReviewDecision, Task, Verdict, patterns_overlap},
        command::Command,
        process::ExitStatus,
        text::{counted, one_line},
        validate,
        validate::Severity,
    },
    ports::{
        branch_merges::MergeResult,
        runner::{CommandRequest, CommandStreams, StopSignal},
        worktrees::{SharedPaths, Worktree},
    },
};

/// Names that no attempt may bring to a branch, whatever its task says.
const NEVER: [&str; 8] = [
    ".env",
    ".env.local",
    ".env.production",
    "*.pem",
    "*.key",
    "id_rsa",
    "id_ed25519",
    ".git",
];

/// Examines an attempt. The future may block, so it has a thread of its own.
pub(super) async fn judge_attempt(
    context: Arc<ServicePorts>,
    case: JudgementRequest,
    stop: watch::Receiver<u8>,
) -> Verdict {
    let verdict = elsewhere(&context, &case, stop).await;
    let verdict = verdict.unwrap_or_else(|detail| Verdict::NoVerdict { detail });
    let words = verdict.reasons().join("; ");
    context.logs.line(
        &case.agent,
        &format!("{}: {} {words}", case.task.id, verdict.as_str()),
    );
    verdict
}

/// Examines an attempt that may have been another controller's, and lets others have what is to be merged.
async fn elsewhere(
    context: &ServicePorts,
    case: &JudgementRequest,
    stop: watch::Receiver<u8>,
) -> Result<Verdict, String> {
    let Some(remote) = &context.remote else {
        return examined(context, case, stop).await;
    };
    let kept = case.task.kept.as_ref().map(|kept| kept.commit.as_str());
    for commit in case.base.as_deref().into_iter().chain(kept) {
        if !commit.is_empty() {
            let brought = remote.bring(commit).await;
            brought.map_err(|error| format!("{commit} is not here: {error}"))?;
        }
    }
    let verdict = examined(context, case, stop).await?;
    if let Verdict::Approve { commit, .. } = &verdict {
        // Whoever takes over before it is merged merges this very commit.
        let shared = remote.share(commit).await;
        shared.map_err(|error| format!("{commit} could not be kept for others: {error}"))?;
    }
    Ok(verdict)
}

async fn examined(
    context: &ServicePorts,
    case: &JudgementRequest,
    stop: watch::Receiver<u8>,
) -> Result<Verdict, String> {
    let kept = case
        .task
        .kept
        .as_ref()
        .ok_or("the attempt is not kept anywhere")?;
    let base = if let Some(base) = &case.base {
        base.clone()
    } else {
        let branch = context.branch(&case.branch)?;
        context.merges.tip(&branch).map_err(|error| error.0)?
    };
    let merged = if kept.commit.is_empty() {
        base.clone()
    } else {
        let message = format!("Merge {}: {}", case.task.id, case.task.spec.title);
        match context
            .merges
            .merge(&base, &kept.commit, &message)
            .map_err(|error| error.0)?
        {
            MergeResult::Merged(commit) => commit,
            MergeResult::Conflict(files) => return Ok(Verdict::Conflict { files }),
        }
    };
    let files = context
        .merges
        .changed_files(&base, &merged)
        .map_err(|error| error.0)?;
    let reasons = out_of_place(&case.task, &files);
    if !reasons.is_empty() {
        return Ok(Verdict::RequestChanges { reasons });
    }
    let reasons = tested(context, case, (&base, &merged), stop.clone()).await?;
    if !reasons.is_empty() {
        return Ok(Verdict::RequestChanges { reasons });
    }
    let files = counted(files.len() as u64, "file");
    let mut notes = vec![format!("{files}; the tests pass on the merge result")];
    let with = (case.payer.clone(), case.runtime.clone());
    let reviewed = if case.is_reviewed {
        review(context, case, (&base, &merged), with, stop).await?
    } else {
        notes.push("JUDGE_MODE is tests, so no model reviewed it".to_owned());
        None
    };
    match reviewed {
        None => {}
        Some(ReviewDecision::Approve { notes: said }) => {
            notes.push("reviewed".to_owned());
            notes.extend(
                said.iter()
                    .map(|note| format!("review: {}", one_line(note))),
            );
        }
        Some(ReviewDecision::RequestChanges { reasons }) => {
            let reasons = reasons.iter();
            return Ok(Verdict::RequestChanges {
                reasons: reasons
                    .map(|reason| format!("review: {}", one_line(reason)))
                    .collect(),
            });
        }
    }
    Ok(Verdict::Approve {
        base,
        commit: merged,
        notes,
    })
}

/// Says which files may not be changed by this task.
fn out_of_place(task: &Task, files: &[String]) -> Vec<String> {
    let never = |file: &String| {
        file.split('/')
            .any(|name| NEVER.iter().any(|pattern| patterns_overlap(pattern, name)))
    };
    let outside = |file: &String| {
        !task.spec.paths.is_empty()
            && !task
                .spec
                .paths
                .iter()
                .any(|pattern| patterns_overlap(pattern, file))
    };
    let mut reasons = Vec::new();
    for file in files {
        if never(file) {
            reasons.push(format!(
                "{} looks like a secret and may not be merged",
                one_line(file)
            ));
        } else if outside(file) {
            reasons.push(format!(
                "{} is outside of what the task may touch ({})",
                one_line(file),
                task.spec.paths.join(", ")
            ));
        }
    }
    reasons
}

/// Lets the validators look at the merge result and runs the tests on it; returns what does not pass.
async fn tested(
    context: &ServicePorts,
    case: &JudgementRequest,
    (base, commit): (&str, &str),
    stop: watch::Receiver<u8>,
) -> Result<Vec<String>, String> {
    let worktrees = &context.tools.worktrees;
    let run = format!("{}-{}", context.instance, case.name);
    let place = worktrees
        .make(&run, &case.task.id.to_string(), commit)
        .map_err(|error| error.0)?;
    // Where nothing was to be changed, there is nothing to look at.
    let looked = if base == commit {
        Ok(Vec::new())
    } else {
        validated(context, case, &place, base)
    };
    let ended = match looked {
        Ok(faults) if faults.is_empty() => {
            let failed = run_tests(context, case, &place, stop).await;
            failed.map(|reason| reason.into_iter().collect())
        }
        other => other,
    };
    let removed = worktrees.remove(&place).map_err(|error| error.0);
    let verdict = ended?;
    removed?;
    Ok(verdict)
}

/// Returns what the validators find in what the merge changes.
fn validated(
    context: &ServicePorts,
    case: &JudgementRequest,
    place: &Worktree,
    base: &str,
) -> Result<Vec<String>, String> {
    if !context.brain.validates {
        return Ok(Vec::new());
    }
    let since = Worktree {
        base: base.to_owned(),
        ..place.clone()
    };
    let seen = context.tools.worktrees.changes(&since);
    let seen = seen.map_err(|error| error.0)?;
    let walled = is_walled(context);
    let rules = context
        .list
        .validation_rules(&to_guarded_task(&context.test_command, &case.task), walled);
    let findings = validate::judge(&rules, &seen.project, &seen.changes);
    let failures = findings
        .iter()
        .filter(|finding| finding.weight == Severity::Failure);
    Ok(failures
        .map(|finding| {
            format!(
                "the merge result is refused ({}): {}",
                finding.group.as_str(),
                one_line(&finding.text())
            )
        })
        .collect())
}

fn is_walled(context: &ServicePorts) -> bool {
    let mut proved = context.start.capabilities.iter();
    proved.any(|word| word == "fs_confined")
}

async fn run_tests(
    context: &ServicePorts,
    case: &JudgementRequest,
    place: &Worktree,
    mut stop: watch::Receiver<u8>,
) -> Result<Option<String>, String> {
    let runners = &context.tools.runners;
    let (_, home) = runners.prepare_home(&place.task_folder, &context.list.agent)?;
    // Tests see no credentials and no network.
    runners.remove_credentials(&place.task_folder);
    let wish = SharedPaths {
        folders: &context.list.share,
        files: &context.list.share_files,
    };
    let walled = is_walled(context);
    let shared = context
        .tools
        .worktrees
        .share(place, &wish, walled)
        .map_err(|error| error.0)?;
    runners.redact_values(&shared.secrets);
    let runner = runners.test_runner(&place.task_folder, context.list.sandbox);
    let order = order(context, case, place, home);
    let mut running = runner.run(&order);
    let ended = loop {
        tokio::select! {
            ended = &mut running => break ended,
            changed = stop.changed() => {
                if changed.is_err() {
                    break (&mut running).await;
                }
                let how = if *stop.borrow() > 1 { StopSignal::Kill } else { StopSignal::Terminate };
                runner.interrupt(how);
            }
        }
    };
    drop(running);
    let end =
        ended.map_err(|error| format!("the tests could not be started: {}", error.message))?;
    let said = format!("{}\n{}", end.stdout.text(), end.stderr.text());
    let last = said
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .unwrap_or_default();
    match end.exit {
        ExitStatus::Code { code: 0 } => Ok(None),
        ExitStatus::Code { code } => Ok(Some(format!(
            "the tests fail on the merge result (exit {code}): {}",
            one_line(&last)
        ))),
        ExitStatus::Signal { signal } => Ok(Some(format!(
            "the tests were ended by signal {signal} on the merge result"
        ))),
        ExitStatus::TimedOut { .. } | ExitStatus::Idle { .. } => Ok(Some(
            "the tests take too long on the merge result".to_owned(),
        )),
        ExitStatus::DiskTaken { .. } => Err("the tests took too much of the disk".to_owned()),
        ExitStatus::Cancelled => Err("the judge was stopped".to_owned()),
    }
}

fn order(
    context: &ServicePorts,
    case: &JudgementRequest,
    place: &Worktree,
    home: String,
) -> CommandRequest {
    let list = &context.list;
    let environment = [
        ("HOME", home),
        ("TMPDIR", "/tmp".to_owned()),
        ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
        ("TOS_TASK", case.task.id.to_string()),
    ];
    let state = place
        .task_folder
        .ancestors()
        .nth(3)
        .unwrap_or(&place.task_folder);
    CommandRequest {
        command: Command::exec(test_command(&context.test_command, &case.task)),
        directory: place.top.clone(),
        // Nothing is built there yet.
        deadline: Duration::from_secs(list.full_test_seconds.max(list.test_seconds)),
        idle_deadline: (list.test_idle_seconds > 0)
            .then_some(Duration::from_secs(list.test_idle_seconds)),
        grace: Some(Duration::from_secs(list.grace_seconds)),
        environment: environment
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        output_directory: state.join("task-logs").join(&case.name),
        index: 1,
        token: format!("{}/{}/1", context.instance, case.name),
        streams: CommandStreams::default(),
    }
}
