//! The lines of the original, for pipes and logs: after a run, and after a verification.

use crate::{
    domain::{
        command::Command,
        job::{
            event::{EventKind, RunLogEvent},
            history::exit_description,
            outcome::{JobRunOutcome, StepOutcome, shown_reason},
            record::{RecordFiles, VerifyReport, display_job_index, step_file, strip_phase_name},
            state::{CommandDisposition, JobLoopState},
        },
        model::ModelRole,
        policy::{Decision, PolicyVerdict},
        text,
    },
    interfaces::report::Printer,
    services::job::event_bus::EventReporter,
};

/// Says in a pipe or log that a question waits, and how it is answered.
#[derive(Debug)]
pub struct PendingApprovalReporter(pub Printer);

impl EventReporter for PendingApprovalReporter {
    fn event(&mut self, event: &RunLogEvent, state: &JobLoopState) {
        let EventKind::ApprovalAsked { index, id } = &event.event else {
            return;
        };
        let step = state.job.as_ref().and_then(|job| job.step.as_deref());
        let verdict = step.and_then(|step| step.verdicts.get(*index as usize));
        let reason = verdict.map_or("", |verdict| verdict.reason.as_str());
        self.0.alert(&format!(
            "question {id}: {reason}; answer with `tos answer {id} yes`, `no` or `always`"
        ));
    }
}

/// Says in a pipe or log what a run is doing, one line each, on stderr.
#[derive(Debug)]
pub struct ProgressReporter {
    printer: Printer,
    /// The step that began last: events come in groups, and the state is that at the end of the group.
    step: u32,
}

impl ProgressReporter {
    /// Begins to follow a run.
    pub const fn new(printer: Printer) -> Self {
        Self { printer, step: 0 }
    }

    fn judged(&self, step: u32, commands: &[Command], verdicts: &[PolicyVerdict]) {
        for (command, verdict) in commands.iter().zip(verdicts) {
            let word = match verdict.decision {
                Decision::Allow => "allow",
                Decision::Ask => "ask",
                Decision::Deny => "deny",
            };
            let kind = command.kind.as_str();
            let line = text::head(&command.text().replace('\n', " ⏎ "), 100, " …");
            let why = if verdict.decision == Decision::Allow {
                String::new()
            } else {
                format!("  ({})", verdict.reason)
            };
            self.printer
                .progress(&format!("step {step}: {word} {kind}: {line}{why}"));
        }
    }
}

impl EventReporter for ProgressReporter {
    fn event(&mut self, event: &RunLogEvent, state: &JobLoopState) {
        if self.step == 0 {
            // A run that goes on begins in the middle of a step.
            let open = state.job.as_ref().and_then(|job| job.step.as_deref());
            let last = open.or(state.closed.as_deref());
            self.step = last.map_or(0, |step| step.number);
        }
        let number = self.step;
        match &event.event {
            EventKind::StepStarted { step, .. } => self.step = *step,
            EventKind::QueryStarted { role, attempt, .. } => {
                let [draft, review, last] = &state.facts.models;
                let (what, model) = match role {
                    ModelRole::Draft => ("a draft", draft),
                    ModelRole::Review => ("a review", review),
                    ModelRole::Final => ("the final", last),
                };
                let again = if *attempt > 1 {
                    format!(" (attempt {attempt})")
                } else {
                    String::new()
                };
                self.printer
                    .progress(&format!("step {number}: asking {model} for {what}{again}"));
            }
            EventKind::QueryFailed {
                role,
                failure,
                wait_ms,
            } => {
                let then = wait_ms.map_or_else(String::new, |ms| {
                    format!("; again in {} s", text::format_ms_as_seconds(ms))
                });
                let (role, message) = (role.as_str(), &failure.message);
                self.printer
                    .progress(&format!("step {number}: {role}: {message}{then}"));
            }
            EventKind::Judged { commands, verdicts } => self.judged(number, commands, verdicts),
            EventKind::CommandEnded { index, end } => {
                let index = index + 1;
                let how = exit_description(&end.exit);
                self.printer
                    .progress(&format!("step {number}: command {index}: {how}"));
            }
            EventKind::StepEnded { phase, .. } => {
                self.printer
                    .progress(&format!("step {number}: {}", phase.as_str()));
            }
            _ => {}
        }
    }
}

const fn python(truth: bool) -> &'static str {
    if truth { "True" } else { "False" }
}

/// Prints what the original's launcher prints after a run, in its order.
pub fn print_run_end(
    printer: &Printer,
    state: &JobLoopState,
    disk: &RecordFiles,
    outcome: &JobRunOutcome,
) {
    let phase = outcome.phase();
    let step = state.last.step;
    let experimental = if crate::domain::job::record::current_and_previous_sprint(state).0 == "S-5"
    {
        " (experimental)"
    } else {
        ""
    };
    printer.line(&format!(
        "phase_state phase={} step={step} done={}{experimental}",
        phase.as_str(),
        python(phase.is_done())
    ));
    ending(printer, state, disk, outcome);
    if let Some(max_jobs) = state.facts.max_jobs {
        let completed = state.complete.is_some() && state.job_index > max_jobs;
        printer.line(&format!(
            "job_loop enabled=True job_name={} job_index={} max_jobs={max_jobs} completed={}",
            state.facts.job_name,
            display_job_index(state),
            python(completed)
        ));
    }
    if let Some(line) = state.steps.last().filter(|line| line.stopped) {
        printer.line(&format!(
            "stopped phase={} step={}",
            line.phase.as_str(),
            line.step
        ));
    }
    match disk.step_logs.last() {
        Some(last) => printer.line(&format!(
            "latest_step {} total={}",
            step_file(*last),
            disk.step_logs.len()
        )),
        None => printer.line("latest_step none"),
    }
    if disk.phase_summary {
        printer.line(&format!(
            "phase_summary exists stop_on_deny={}",
            python(state.facts.stop_on_deny)
        ));
    } else {
        printer.line("phase_summary none");
    }
    printer.line(&format!("end_reason {}", shown_reason(outcome.reason())));
}

fn ending(printer: &Printer, state: &JobLoopState, disk: &RecordFiles, outcome: &JobRunOutcome) {
    let reason = strip_phase_name(outcome.reason(), outcome.phase());
    match outcome.phase() {
        StepOutcome::Done | StepOutcome::Execute => {}
        StepOutcome::JobLoopComplete => {
            printer.line(&format!("job_loop_complete {}", shown_reason(reason)));
            printer.line(&format!("job_index {}", state.job_index));
            match &disk.job_result {
                Some(_) => {
                    printer.line("job_result.json exists");
                    printer.line(&format!("job_result_path_posix {}", state.facts.job_result));
                }
                None => printer.line("WARNING: job_result.json not found"),
            }
        }
        phase => printer.line(&format!("{} {reason}", phase.as_str())),
    }
}

/// Shows what the last step of a finished job printed and why the goal counts as reached.
pub fn print_result(printer: &Printer, state: &JobLoopState) {
    let Some(step) = state.closed.as_deref() else {
        return;
    };
    for fate in &step.results {
        if let CommandDisposition::Ended { end } = fate {
            for line in end.stdout.text().lines().take(40) {
                printer.note(&format!("  | {line}"));
            }
        }
    }
    for seen in &step.evidence {
        printer.note(&format!("goal reached: {} ({})", seen.check, seen.seen));
    }
}

/// Prints a verification and its verdict.
pub fn print_verification(printer: &Printer, report: &VerifyReport) {
    for line in report
        .notes
        .iter()
        .chain(&report.failures)
        .chain(&report.warnings)
    {
        printer.line(line);
    }
    printer.line(if report.passed() {
        "test passed"
    } else {
        "test failed"
    });
}
