//! What a person sees while a job runs: one moving line, and a short account of every step above it.
//!
//! On a terminal only. Piped output gets nothing from here: its lines come after the run.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    domain::{
        command::Command,
        job::{
            event::{EventKind, RunLogEvent},
            history::exit_description,
            outcome::StepOutcome,
            state::{JobLoopState, StepState},
        },
        model::ModelRole,
        policy::{Decision, PolicyVerdict},
        process::ExitStatus,
        text,
    },
    interfaces::report::{Printer, printer::TextStyle},
    services::job::event_bus::EventReporter,
};

/// Shows a run on a terminal.
pub struct LiveJobView {
    printer: Printer,
    bar: ProgressBar,
    asks_here: bool,
}

impl std::fmt::Debug for LiveJobView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveJobView").finish_non_exhaustive()
    }
}

impl LiveJobView {
    /// Starts the moving line. With `asks_here` questions about commands are asked on this terminal, and the line
    /// stands back for them.
    pub fn new(printer: &Printer, asks_here: bool) -> Self {
        Self {
            printer: printer.clone(),
            bar: spinner(Duration::ZERO),
            asks_here,
        }
    }

    fn asked(&self, state: &JobLoopState, id: &str) {
        if self.asks_here {
            self.bar.finish_and_clear();
        } else {
            self.doing(state, &format!("waiting for `tos answer {id} yes` or `no`"));
        }
    }

    fn answered(&mut self) {
        if self.bar.is_finished() {
            self.bar = spinner(self.bar.elapsed());
        }
    }

    fn say(&self, text: &str) {
        self.bar.println(self.printer.escape_for_terminal(text));
    }

    /// Says what is being done now, with the place and the bill so far in front.
    fn doing(&self, state: &JobLoopState, what: &str) {
        let step = state.job.as_ref().and_then(|job| job.step.as_ref());
        let step = step.map_or(state.next_step, |step| step.number);
        let jobs = state.facts.max_jobs.map_or_else(String::new, |max_jobs| {
            format!("job {}/{max_jobs} · ", state.job_index.min(max_jobs))
        });
        let spent = state.job.as_ref().map(|job| job.spent).unwrap_or_default();
        let cost = if spent.cost > 0.0 {
            format!(" · {:.4}", spent.cost)
        } else {
            String::new()
        };
        self.bar.set_message(format!(
            "{jobs}step {step} · {what} · {} tokens{cost}",
            spent.tokens
        ));
    }

    fn judged(&self, commands: &[Command], verdicts: &[PolicyVerdict]) {
        for (command, verdict) in commands.iter().zip(verdicts) {
            let (tone, word) = match verdict.decision {
                Decision::Allow => (TextStyle::Good, "allow"),
                Decision::Ask => (TextStyle::Warn, "ask  "),
                Decision::Deny => (TextStyle::Bad, "deny "),
            };
            let line = text::head(&command.text().replace('\n', " ⏎ "), 100, " …");
            let kind = command.kind.as_str();
            self.say(&format!(
                "  {} {kind}: {line}",
                self.printer.paint(tone, word)
            ));
            if verdict.decision != Decision::Allow {
                self.say(&format!(
                    "        {}",
                    self.printer.paint(TextStyle::Faint, &verdict.reason)
                ));
            }
        }
    }

    fn step_ended(&self, state: &JobLoopState, phase: StepOutcome, reason: &str) {
        let tone = match phase {
            StepOutcome::Done | StepOutcome::JobLoopComplete => TextStyle::Good,
            StepOutcome::Execute | StepOutcome::Paused => TextStyle::Faint,
            StepOutcome::Deny
            | StepOutcome::ReviewRejected
            | StepOutcome::Cancelled
            | StepOutcome::Unknown => TextStyle::Warn,
            StepOutcome::FatalError | StepOutcome::MaxStepsReached | StepOutcome::NoProgress => {
                TextStyle::Bad
            }
        };
        let number = state.closed.as_ref().map_or(0, |step| step.number);
        let (tokens, cost) = state
            .closed
            .as_ref()
            .map(|step| step.tokens_and_cost())
            .unwrap_or_default();
        let cost = cost.filter(|cost| *cost > 0.0);
        let cost = cost.map_or_else(String::new, |cost| format!(", cost {cost:.4}"));
        self.say(&format!(
            "{} step {number}: {reason} ({tokens} tokens{cost})",
            self.printer.paint(tone, phase.as_str())
        ));
    }

    fn ended(&self, step: Option<&StepState>, index: u32, exit: &ExitStatus) {
        let text = step
            .and_then(|step| step.commands.get(index as usize))
            .map_or_else(String::new, |command| {
                text::head(&command.text().replace('\n', " ⏎ "), 60, " …")
            });
        let tone = if *exit == (ExitStatus::Code { code: 0 }) {
            TextStyle::Faint
        } else {
            TextStyle::Warn
        };
        self.say(&format!(
            "        {} {}",
            self.printer.paint(tone, &exit_description(exit)),
            self.printer.paint(TextStyle::Faint, &text)
        ));
    }
}

impl Drop for LiveJobView {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn spinner(elapsed: Duration) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_elapsed(elapsed);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

const fn turn_word(role: ModelRole) -> &'static str {
    match role {
        ModelRole::Draft => "asking for a draft",
        ModelRole::Review => "asking for a review",
        ModelRole::Final => "asking for the final",
    }
}

impl EventReporter for LiveJobView {
    fn event(&mut self, event: &RunLogEvent, state: &JobLoopState) {
        let step = state.job.as_ref().and_then(|job| job.step.as_deref());
        match &event.event {
            EventKind::Repaired { note } => self.say(&self.printer.paint(TextStyle::Warn, note)),
            EventKind::StepStarted { step, .. } => {
                self.say(
                    &self
                        .printer
                        .paint(TextStyle::Strong, &format!("step {step}")),
                );
            }
            EventKind::QueryStarted { role, attempt, .. } => {
                let [draft, review, last] = &state.facts.models;
                let model = match role {
                    ModelRole::Draft => draft,
                    ModelRole::Review => review,
                    ModelRole::Final => last,
                };
                let again = if *attempt > 1 {
                    format!(" (attempt {attempt})")
                } else {
                    String::new()
                };
                self.doing(state, &format!("{} · {model}{again}", turn_word(*role)));
            }
            EventKind::ReplyUnusable { role, why } => {
                self.say(
                    &self
                        .printer
                        .paint(TextStyle::Warn, &format!("  {}: {why}", role.as_str())),
                );
            }
            EventKind::QueryFailed {
                role,
                failure,
                wait_ms,
            } => {
                let then = wait_ms.map_or_else(String::new, |ms| {
                    format!("; again in {} s", text::format_ms_as_seconds(ms))
                });
                let line = format!("  {}: {}{then}", role.as_str(), failure.message);
                self.say(&self.printer.paint(TextStyle::Warn, &line));
            }
            EventKind::Judged { commands, verdicts } => self.judged(commands, verdicts),
            EventKind::ApprovalAsked { id, .. } => self.asked(state, id),
            EventKind::ApprovalGiven { .. } => self.answered(),
            EventKind::CommandStarted { index } => {
                self.doing(state, &format!("running command {}", index + 1));
            }
            EventKind::CommandEnded { index, end } => {
                self.ended(step.or(state.closed.as_deref()), *index, &end.exit);
            }
            EventKind::StepEnded { phase, reason, .. } => self.step_ended(state, *phase, reason),
            _ => {}
        }
    }
}
