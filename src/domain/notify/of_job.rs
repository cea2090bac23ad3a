//! What is told of a job: a command that waits for a yes, a pause, an end.

use super::{Notification, NotificationEvent as What};
use crate::domain::job::{
    event::{EventKind, RunLogEvent},
    outcome::{JobRunOutcome, shown_reason},
    state::JobLoopState,
};

/// Returns what an event of a job is worth telling; `state` is the state after it.
pub fn job_notification(event: &RunLogEvent, state: &JobLoopState) -> Option<Notification> {
    if let EventKind::ApprovalAsked { index, id } = &event.event {
        return Some(asked(*index, id, event, state));
    }
    if let EventKind::RunEnded { outcome } = &event.event {
        return Some(ended(outcome, event, state));
    }
    None
}

fn asked(index: u32, id: &str, event: &RunLogEvent, state: &JobLoopState) -> Notification {
    let step = state.job.as_ref().and_then(|job| job.step.as_deref());
    let place = index as usize;
    let command = step.and_then(|step| step.commands.get(place));
    let verdict = step.and_then(|step| step.verdicts.get(place));
    let command = command.map_or_else(String::new, |command| {
        format!("{}: {}", command.kind.as_str(), command.text())
    });
    let reason = verdict.map_or("", |verdict| verdict.reason.as_str());
    let title = format!("job `{}` waits for a yes", state.facts.job_name);
    Notification::new(What::ApprovalWaiting, title, &event.run)
        .text(format!("{command}\n{reason}"))
        .next_command(format!("tos answer {id} yes   (or: tos answer {id} no)"))
}

fn ended(outcome: &JobRunOutcome, event: &RunLogEvent, state: &JobLoopState) -> Notification {
    let name = &state.facts.job_name;
    let again = format!("tos --mode {}", again(state));
    let (what, title, next) = match outcome {
        JobRunOutcome::Done { .. } => (
            What::JobEnded,
            format!("job `{name}`: done"),
            "tos status".to_owned(),
        ),
        JobRunOutcome::LoopComplete { .. } => (
            What::JobEnded,
            format!("job `{name}`: all jobs of the loop are done"),
            "tos status".to_owned(),
        ),
        JobRunOutcome::Parked { until, .. } => (
            What::JobPaused,
            format!(
                "job `{name}` pauses until {}",
                until.format("%Y-%m-%d %H:%M %:z")
            ),
            again,
        ),
        JobRunOutcome::OverBudget { .. } => (
            What::JobPaused,
            format!("job `{name}` pauses: a ceiling is reached"),
            again,
        ),
        JobRunOutcome::Cancelled { .. } => {
            (What::JobEnded, format!("job `{name}` was cancelled"), again)
        }
        JobRunOutcome::Denied { .. }
        | JobRunOutcome::Fatal { .. }
        | JobRunOutcome::MaxSteps { .. }
        | JobRunOutcome::NoProgress { .. }
        | JobRunOutcome::UnknownCommand { .. } => (
            What::JobEnded,
            format!("job `{name}` ended without its goal"),
            "tos steps".to_owned(),
        ),
    };
    Notification::new(what, title, &event.run)
        .text(shown_reason(outcome.reason()))
        .next_command(next)
}

/// The mode to type again; what an automatic test after a rollback ran as is no mode of its own.
fn again(state: &JobLoopState) -> &str {
    match state.facts.mode.as_str() {
        "test" => "test",
        _ => "run",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{job::event::RUN_LOG_VERSION, time::Timestamp};

    fn event(kind: EventKind) -> RunLogEvent {
        RunLogEvent {
            v: RUN_LOG_VERSION,
            seq: 1,
            at: at(),
            run: "r-1".to_owned(),
            event: kind,
        }
    }

    fn at() -> Timestamp {
        Timestamp::parse_from_rfc3339("2026-11-29T03:00:00+01:00").unwrap()
    }

    fn told(kind: EventKind) -> Option<Notification> {
        let mut state = JobLoopState::default();
        state.facts.job_name = "sales".to_owned();
        job_notification(&event(kind), &state)
    }

    #[test]
    fn a_pause_says_until_when_why_and_what_to_type() {
        let note = told(EventKind::RunEnded {
            outcome: JobRunOutcome::Parked {
                until: at(),
                reason: "the quota of draft is used up".to_owned(),
            },
        })
        .unwrap();
        assert_eq!(note.event, What::JobPaused);
        assert_eq!(
            note.message(500),
            "job `sales` pauses until 2026-11-29 03:00 +01:00\nthe quota of draft is used up\nrun: r-1\nnext: tos --mode run"
        );
    }

    #[test]
    fn an_end_says_how_and_a_waiting_command_how_it_is_answered() {
        let reason = || "because".to_owned();
        for (outcome, title) in [
            (
                JobRunOutcome::Done { reason: reason() },
                "job `sales`: done",
            ),
            (
                JobRunOutcome::Denied { reason: reason() },
                "job `sales` ended without its goal",
            ),
            (
                JobRunOutcome::OverBudget { reason: reason() },
                "job `sales` pauses: a ceiling is reached",
            ),
        ] {
            let note = told(EventKind::RunEnded { outcome }).unwrap();
            assert_eq!(
                (note.title.as_str(), note.text.as_str()),
                (title, "because")
            );
            assert!(note.next.starts_with("tos "));
        }
        let asked = told(EventKind::ApprovalAsked {
            index: 0,
            id: "4-1".to_owned(),
        });
        assert!(asked.unwrap().next.starts_with("tos answer 4-1 yes"));
        assert_eq!(told(EventKind::PassageStarted), None);
    }
}
