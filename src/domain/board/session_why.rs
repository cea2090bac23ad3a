//! Why the tasks of a session wait: its order, its limits, and what keeps any task.

use super::{
    ApprovalId, BlockResolver, Board, DispatchBlocker, ExplanationSentence, Millis, SessionId,
    Task, session::Session, why::why_sentence,
};
use crate::domain::{tasks::QueueAction, time::duration_words};

impl Board {
    /// Explains why a task of a session waits.
    pub(super) fn why_in_session(
        &self,
        session: &Session,
        task: &Task,
        now: Millis,
    ) -> Vec<ExplanationSentence> {
        let id = session.id;
        if let Some(stop) = &session.stop {
            return vec![why_sentence(
                format!(
                    "{id} is ending ({}), so it does not start",
                    stop.why.label()
                ),
                BlockResolver::Agent,
            )];
        }
        let mut sentences = Vec::new();
        let place = session.board_task_of(task.id).unwrap_or_default();
        let QueueAction::Start(next) = session.queue().next(None) else {
            return vec![why_sentence(
                format!("{id} is about to end"),
                BlockResolver::Dispatcher,
            )];
        };
        let item = |place: usize| session.spec.items.get(place);
        sentences.extend(Self::why_session_waits(session));
        if place != next {
            let before = item(next).map_or("", |item| item.id.as_str());
            sentences.push(why_sentence(
                format!(
                    "the tasks of {id} ({}) run one after the other; {before} is before it",
                    session.spec.list
                ),
                BlockResolver::OtherTask,
            ));
        } else if session.aside {
            return sentences;
        } else if session.ready {
            sentences.extend(self.why_turn(session, task, now));
        } else {
            sentences.push(why_sentence(
                format!("it is next in {id}, which tests or puts in order what came before"),
                BlockResolver::Agent,
            ));
        }
        Self::add_limits(session, place, now, &mut sentences);
        sentences
    }

    /// Explains what a task that has its turn waits for, and whether it is its second.
    pub(super) fn why_at_work_in_session(&self, task: &Task) -> Vec<ExplanationSentence> {
        let mut sentences = Vec::new();
        let Some(session) = self.session_of(task) else {
            return sentences;
        };
        if let Some(reason) = &session.again {
            sentences.push(why_sentence(
                format!("it is its second and last try; the first one failed: {reason}"),
                BlockResolver::Agent,
            ));
        }
        sentences.extend(Self::why_session_waits(session));
        sentences
    }

    fn why_session_waits(session: &Session) -> Option<ExplanationSentence> {
        let wait = session.wait.as_ref()?;
        Some(ExplanationSentence {
            at: wait.until,
            remedy: format!("`tos night cancel {}` ends the session", session.id.0),
            ..why_sentence(
                format!("{} waits: {}", session.id, wait.detail),
                BlockResolver::CycleManager,
            )
        })
    }

    /// The limits of a session that may keep a task from starting at all.
    fn add_limits(
        session: &Session,
        place: usize,
        now: Millis,
        sentences: &mut Vec<ExplanationSentence>,
    ) {
        let id = session.id;
        if session.failures_in_a_row > 0 {
            sentences.push(why_sentence(
                format!("a task of {id} failed; a second one in a row stops the session"),
                BlockResolver::OtherTask,
            ));
        }
        if let (Some(left), Some(item)) = (session.seconds_left(now), session.spec.items.get(place))
        {
            let seconds = item.seconds;
            sentences.push(ExplanationSentence {
                at: session.deadline,
                ..why_sentence(
                    format!(
                        "{id} has {} left, and the task starts only while {} are left",
                        duration_words(left),
                        duration_words(seconds)
                    ),
                    BlockResolver::Dispatcher,
                )
            });
        }
    }

    /// What keeps the task whose turn it is.
    fn why_turn(&self, session: &Session, task: &Task, now: Millis) -> Vec<ExplanationSentence> {
        let mut blockers: Vec<DispatchBlocker> = self.common_blocker(now).into_iter().collect();
        if session.spec.asks && !task.approved {
            blockers.push(DispatchBlocker::Approval(task.approval));
        }
        blockers.extend(self.slot_blocker(task).or_else(|| self.area_blocker(task)));
        if blockers.is_empty() {
            return vec![ExplanationSentence {
                text: format!("it is next in {}", session.id),
                resolver: BlockResolver::Dispatcher,
                at: None,
                remedy: String::new(),
            }];
        }
        blockers
            .iter()
            .map(|blocker| self.blocker_words(blocker))
            .collect()
    }

    /// Returns the question whether a task of a session may start.
    pub fn session_approval(&self, session: SessionId) -> Option<ApprovalId> {
        let session = self.session(session)?;
        let mut tasks = session.tasks.iter().flatten();
        tasks.find_map(|task| self.task(*task)?.approval)
    }
}
