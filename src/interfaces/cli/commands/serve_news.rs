//! What a service in the foreground says while it works: what a person would want to know without asking.

use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{
    domain::{
        board::{
            BlockReason, BlockResolver, Event, EventKind, JudgeEvent, SessionEvent, SystemEvent,
            TaskEvent, Verdict,
        },
        text::one_line,
    },
    interfaces::report::Printer,
    ports::board::SequencedEvent,
};

/// Tells the news until the service ends.
pub(super) async fn print_events(mut events: Receiver<SequencedEvent>, printer: Printer) {
    loop {
        match events.recv().await {
            Ok(notice) => {
                if let Some(line) = line_of(&notice.event) {
                    printer.note(&line);
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// Returns what is said of a session.
fn line_of_session(event: &SessionEvent) -> Option<String> {
    Some(match event {
        SessionEvent::Started { session, spec, .. } => {
            let count = spec.items.len();
            format!(
                "{session}: {count} tasks of {} begin ({})",
                one_line(&spec.list),
                one_line(&spec.by)
            )
        }
        SessionEvent::Stopping { session, stop } => {
            format!("{session} is ending: {}", stop.why.label())
        }
        SessionEvent::Ended { session, error, .. } if !error.is_empty() => {
            format!("{session} failed: {}", one_line(error))
        }
        SessionEvent::Ended { session, .. } => format!("{session} is over"),
        SessionEvent::Ready { .. }
        | SessionEvent::Turn { .. }
        | SessionEvent::Waits { .. }
        | SessionEvent::StandsAside { .. }
        | SessionEvent::TriesAgain { .. }
        | SessionEvent::TaskEnded { .. }
        | SessionEvent::Reverted { .. }
        | SessionEvent::Restored { .. } => return None,
    })
}

/// Returns what is said of an event; most say nothing.
fn line_of(event: &Event) -> Option<String> {
    Some(match &event.what {
        EventKind::System(SystemEvent::Held { detail, by, until }) => {
            let until = until.and_then(|until| {
                let left = until.saturating_sub(event.at).div_ceil(1000);
                Some(format!(
                    " for {}",
                    crate::domain::time::duration_words(left)
                ))
            });
            format!(
                "nothing new is started{}: {} ({by}); `tos board resume` starts new things again",
                until.unwrap_or_default(),
                one_line(detail)
            )
        }
        EventKind::System(SystemEvent::Resumed { by }) => {
            format!("new things are started again ({by})")
        }
        EventKind::Task(TaskEvent::Created { task, spec }) => {
            format!("{task}: {}", one_line(&spec.title))
        }
        EventKind::Task(TaskEvent::Done { task, commit }) => {
            let short: String = commit.chars().take(12).collect();
            format!("{task} is merged as {short}")
        }
        EventKind::Task(TaskEvent::Failed { task, detail, .. }) => {
            format!("{task} failed and is tried again: {}", one_line(detail))
        }
        EventKind::Task(TaskEvent::Blocked {
            task,
            reason: BlockReason::NeedsRework,
            detail,
            resolver,
            ..
        }) => {
            let who = if *resolver == BlockResolver::Person {
                "needs you"
            } else {
                "needs rework"
            };
            format!("{task} {who}: {} (`tos why {}`)", one_line(detail), task.0)
        }
        EventKind::Task(TaskEvent::Asked {
            approval, question, ..
        }) => format!(
            "{} `tos board allow {}`, or deny",
            one_line(question),
            approval.0
        ),
        EventKind::Judge(JudgeEvent::Reviewed {
            judgement,
            verdict: verdict @ (Verdict::RequestChanges { .. } | Verdict::Conflict { .. }),
            ..
        }) => format!(
            "{judgement} refuses an attempt: {}",
            one_line(&verdict.reasons().join("; "))
        ),
        EventKind::Session(event) => return line_of_session(event),
        EventKind::Task(_)
        | EventKind::Run(_)
        | EventKind::Judge(_)
        | EventKind::Process(_)
        | EventKind::Plan(_)
        | EventKind::System(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::board::TaskId;

    #[test]
    fn a_hold_is_said_with_its_end_and_what_ends_it() {
        let held = SystemEvent::Held {
            detail: "40 % of the runs failed".to_owned(),
            by: "cycle-manager".to_owned(),
            until: Some(1_800_000),
        };
        let line = line_of(&Event::new(0, held)).unwrap();
        assert!(
            line.contains("30 min") && line.contains("40 %") && line.contains("tos board resume"),
            "{line}"
        );
        let done = TaskEvent::Done {
            task: TaskId(3),
            commit: "0123456789abcdef".to_owned(),
        };
        assert_eq!(
            line_of(&Event::new(0, done)).unwrap(),
            "task-3 is merged as 0123456789ab"
        );
        assert_eq!(
            line_of(&Event::new(0, SystemEvent::Database { open: true })),
            None
        );
    }
}
