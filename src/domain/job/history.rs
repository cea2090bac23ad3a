//! What the models are told about earlier steps: summaries, verdicts, exit codes, ends of outputs.
//!
//! Kept with the job's state, so a run that goes on after a crash tells the same story. Sizes are
//! bounded: the oldest steps lose their command details first, and never their summaries.

use serde::{Deserialize, Serialize};

use crate::domain::{
    job::{
        outcome::StepOutcome,
        proposal,
        state::step::{CommandDisposition, StepState},
    },
    model::ModelRole,
    policy::Decision,
    process::{CapturedOutput, ExitStatus},
    text,
};

/// Longest code of a command in the history, in characters.
const CODE: usize = 500;
/// Longest end of an output in the history, in characters.
const TAIL: usize = 1000;
/// Size above which older steps lose their details, in bytes of JSON.
const WHOLE: usize = 24_000;

/// One earlier step, as the models see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepHistory {
    /// Its number.
    pub step: u32,
    /// How it ended.
    pub phase: StepOutcome,
    /// The model's own summary.
    pub summary: String,
    /// Why it ended so, for every end but plain execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The reviewer's words, when the review stopped the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<String>,
    /// The commands and what became of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<CommandHistory>,
    /// What is still missing for the goal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// One command, as the models see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandHistory {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its text, shortened.
    pub code: String,
    /// What became of it: `denied: …`, `exit 0`, `timed out`, ….
    pub result: String,
    /// The end of its standard output.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    /// The end of its standard error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
}

/// Returns the history entry of an ended step.
pub fn step_history(step: &StepState) -> StepHistory {
    let end = step.end.as_ref();
    let phase = end.map_or(StepOutcome::Unknown, |end| end.phase);
    StepHistory {
        step: step.number,
        phase,
        summary: step_summary(step),
        reason: end
            .filter(|_| phase != StepOutcome::Execute)
            .map(|end| end.reason.clone()),
        review: (phase == StepOutcome::ReviewRejected).then(|| review(step)),
        commands: (0..step.commands.len())
            .filter_map(|index| told(step, index))
            .collect(),
        missing: step
            .evidence
            .iter()
            .filter(|seen| !seen.met)
            .map(|seen| format!("{}: {}", seen.check, seen.seen))
            .collect(),
    }
}

/// Returns the model's own summary of a step; empty where the step did not come so far.
pub fn step_summary(step: &StepState) -> String {
    let reply = step
        .accepted_reply(ModelRole::Final)
        .map(proposal::parse_final);
    reply
        .and_then(Result::ok)
        .map_or_else(String::new, |reply| reply.summary)
}

fn review(step: &StepState) -> String {
    let reply = step
        .accepted_reply(ModelRole::Review)
        .map(proposal::parse_review);
    reply
        .and_then(Result::ok)
        .map_or_else(String::new, |reply| reply.review)
}

/// Returns the whole history as one line of JSON, bounded.
pub fn bounded_json(items: &[StepHistory]) -> String {
    let mut items = items.to_vec();
    for index in 0..items.len() {
        let text = serde_json::to_string(&items).unwrap_or_else(|_| "[]".to_owned());
        if text.len() <= WHOLE {
            return text;
        }
        if let Some(item) = items.get_mut(index) {
            item.commands.clear();
        }
    }
    serde_json::to_string(&items).unwrap_or_else(|_| "[]".to_owned())
}

fn told(step: &StepState, index: usize) -> Option<CommandHistory> {
    let command = step.commands.get(index)?;
    let fate = step.results.get(index)?;
    let (stdout, stderr) = match fate {
        CommandDisposition::Ended { end } => (tail(&end.stdout), tail(&end.stderr)),
        CommandDisposition::Waiting
        | CommandDisposition::NotStarted { .. }
        | CommandDisposition::Unknown => (String::new(), String::new()),
    };
    Some(CommandHistory {
        kind: command.kind.as_str().to_owned(),
        code: text::head(&command.text(), CODE, "..."),
        result: result(step, index, fate),
        stdout,
        stderr,
    })
}

fn tail(stream: &CapturedOutput) -> String {
    text::tail(&stream.text(), TAIL)
}

/// Returns what became of command `index`, in words.
fn result(step: &StepState, index: usize, fate: &CommandDisposition) -> String {
    let reason = || {
        step.verdicts
            .get(index)
            .map_or_else(String::new, |verdict| verdict.reason.clone())
    };
    match fate {
        CommandDisposition::Ended { end } => exit_description(&end.exit),
        CommandDisposition::NotStarted { why } => format!("not started: {why}"),
        CommandDisposition::Unknown => "started before a crash, its end is unknown".to_owned(),
        CommandDisposition::Waiting if step.decision(index) == Decision::Allow => {
            "not run".to_owned()
        }
        CommandDisposition::Waiting => format!("denied: {}; do not propose it again", reason()),
    }
}

/// Returns how a command ended, in a few words.
pub fn exit_description(exit: &ExitStatus) -> String {
    match exit {
        ExitStatus::Code { code } => format!("exit {code}"),
        ExitStatus::Signal { signal } => format!("ended by signal {signal}"),
        ExitStatus::TimedOut { after_ms } => {
            format!(
                "timed out after {} s",
                text::format_ms_as_seconds(*after_ms)
            )
        }
        ExitStatus::Idle { after_ms } => {
            format!(
                "ended after {} s without a sign of life",
                text::format_ms_as_seconds(*after_ms)
            )
        }
        ExitStatus::DiskTaken { taken_bytes } => format!(
            "ended because the disk lost {} MiB while it ran",
            taken_bytes >> 20
        ),
        ExitStatus::Cancelled => "cancelled".to_owned(),
    }
}
