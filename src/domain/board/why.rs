//! Why a task is where it is: sentences, each with who or what changes that, and when.
//!
//! Countdown and sentence come from the same values as the decisions, so that what is shown is what happens.

use serde::{Deserialize, Serialize};

use super::{
    AgentRole, BlockReason, BlockResolver, Board, Countdown, DispatchBlocker, MergeStatus, Millis,
    ProcessName, Refusal, Task, TaskId, TaskStatus, workers,
};
use crate::domain::text::counted;

/// One sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplanationSentence {
    /// The sentence.
    pub text: String,
    /// Who or what changes that.
    pub resolver: BlockResolver,
    /// When, where that is known.
    pub at: Option<Millis>,
    /// What a person can do.
    pub remedy: String,
}

/// Why a task is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The task.
    pub task: TaskId,
    /// Where it is.
    pub status: String,
    /// Since when.
    pub since: Millis,
    /// Why, the most important first.
    pub sentences: Vec<ExplanationSentence>,
    /// When something happens by itself.
    pub countdown: Option<Countdown>,
}

impl Why {
    /// Returns the sentence that stands for all of them: what waits for a person comes before what others change.
    pub fn chief(&self) -> Option<&ExplanationSentence> {
        let is_for_person =
            |sentence: &&ExplanationSentence| sentence.resolver == BlockResolver::Person;
        let asked = self.sentences.iter().find(is_for_person);
        asked.or_else(|| self.sentences.first())
    }
}

impl Board {
    /// Explains where a task is, why, and what changes that.
    pub fn why(&self, id: TaskId, now: Millis) -> Result<Why, Refusal> {
        let task = self.require_task(id)?;
        let now = now.max(self.globals.now);
        let mut sentences = match task.status {
            TaskStatus::Queued => match self.session_of(task) {
                Some(session) => self.why_in_session(session, task, now),
                None => self.why_queued(task, now),
            },
            TaskStatus::Running => self.why_running(task),
            TaskStatus::Done if task.merged.is_none() => vec![self.why_accepted(task)],
            TaskStatus::Done => vec![why_sentence(
                format!("it is merged as {}", task.merged.as_deref().unwrap_or("?")),
                BlockResolver::Nobody,
            )],
            TaskStatus::Cancelled => vec![ExplanationSentence {
                remedy: format!("tos board requeue {}", id.0),
                ..why_sentence(
                    format!("it was given up: {}", task.detail),
                    BlockResolver::Nobody,
                )
            }],
            TaskStatus::Failed => vec![ExplanationSentence {
                at: task.not_before,
                ..why_sentence(
                    format!(
                        "its last run failed: {}; {}",
                        task.detail,
                        self.retry_words(task)
                    ),
                    BlockResolver::CycleManager,
                )
            }],
            TaskStatus::Blocked => self.why_blocked(task),
        };
        self.add_process_faults(task, &mut sentences);
        Ok(Why {
            task: id,
            status: task.status_label(),
            since: task.since,
            sentences,
            countdown: self.countdown(task, now),
        })
    }

    /// A session accepted it; a person takes it over.
    fn why_accepted(&self, task: &Task) -> ExplanationSentence {
        let session = task.spec.session.and_then(|id| self.session(id));
        let run = session.map_or("", |session| session.spec.run.as_str());
        ExplanationSentence {
            remedy: format!("tos night merge {run}"),
            ..why_sentence(
                format!(
                    "{}; it is kept in refs/tos/runs/{run} and not on the branch",
                    task.detail
                ),
                BlockResolver::Person,
            )
        }
    }

    fn why_queued(&self, task: &Task, now: Millis) -> Vec<ExplanationSentence> {
        let blockers = self.dispatch_blockers(task, now);
        if blockers.is_empty() {
            return vec![why_sentence(
                "it is next, or others are more urgent".to_owned(),
                BlockResolver::Dispatcher,
            )];
        }
        blockers
            .iter()
            .map(|blocker| self.blocker_words(blocker))
            .collect()
    }

    #[expect(clippy::too_many_lines, reason = "one arm a blocker")]
    pub(super) fn blocker_words(&self, blocker: &DispatchBlocker) -> ExplanationSentence {
        let by_person = |text: String, remedy: String| ExplanationSentence {
            remedy,
            ..why_sentence(text, BlockResolver::Person)
        };
        match blocker {
            DispatchBlocker::NoDispatcher => {
                self.process_words(ProcessName::Dispatcher, "so nothing starts")
            }
            DispatchBlocker::Closed => by_person(
                "the database refuses writes since db-down".to_owned(),
                "tos proc start db-up".to_owned(),
            ),
            DispatchBlocker::Held => {
                let hold = self.dispatch_hold();
                let detail =
                    hold.map_or_else(String::new, |hold| format!("{} ({})", hold.detail, hold.by));
                let until = hold.and_then(|hold| hold.until);
                ExplanationSentence {
                    text: format!("nothing new is started: {detail}"),
                    resolver: if until.is_some() {
                        BlockResolver::CycleManager
                    } else {
                        BlockResolver::Person
                    },
                    at: until,
                    remedy: "tos board resume".to_owned(),
                }
            }
            DispatchBlocker::Budget(words, until) => ExplanationSentence {
                at: Some(*until),
                ..why_sentence(
                    format!("the budget is used up: {words}"),
                    BlockResolver::Dispatcher,
                )
            },
            DispatchBlocker::TaskBudget(words) => by_person(
                format!("its budget is used up: {words}"),
                "tos board requeue".to_owned(),
            ),
            DispatchBlocker::Dependency(other) => {
                let status = self
                    .task(*other)
                    .map_or_else(String::new, Task::status_label);
                why_sentence(
                    format!("it needs {other} merged first, which is {status}"),
                    BlockResolver::OtherTask,
                )
            }
            DispatchBlocker::DependencyCancelled(other) => by_person(
                format!("it needs {other}, which was cancelled"),
                format!("tos board requeue {}, or edit the dependencies", other.0),
            ),
            DispatchBlocker::Approval(Some(question)) => by_person(
                format!("a person has to allow its start ({question})"),
                format!("tos board allow {}", question.0),
            ),
            DispatchBlocker::Approval(None) => why_sentence(
                "a person will be asked whether it may start".to_owned(),
                BlockResolver::Dispatcher,
            ),
            DispatchBlocker::Quota(until) => ExplanationSentence {
                at: Some(*until),
                ..why_sentence(
                    "the quota of its agent is used up".to_owned(),
                    BlockResolver::CycleManager,
                )
            },
            DispatchBlocker::Area(other, words) => {
                let status = self
                    .task(*other)
                    .map_or_else(String::new, Task::status_label);
                why_sentence(
                    format!(
                        "{other} ({status}) may touch the same files ({words}) and is not merged yet"
                    ),
                    BlockResolver::OtherTask,
                )
            }
            DispatchBlocker::Slots(_, 0) => by_person(
                "MAX_CONCURRENT_WORKERS is 0, so no task is ever started".to_owned(),
                "raise MAX_CONCURRENT_WORKERS".to_owned(),
            ),
            DispatchBlocker::Slots(running, most) => why_sentence(
                format!(
                    "{} at most may run at once (MAX_CONCURRENT_WORKERS), and {running} {}",
                    counted(*most as u64, "task"),
                    if *running == 1 { "does" } else { "do" }
                ),
                BlockResolver::OtherTask,
            ),
            DispatchBlocker::Lane(lane) => why_sentence(
                format!("as many tasks of the lane {} run as may", lane.as_str()),
                BlockResolver::OtherTask,
            ),
            DispatchBlocker::KeptForFeatures => why_sentence(
                "the last slot is kept for a feature".to_owned(),
                BlockResolver::OtherTask,
            ),
            DispatchBlocker::NoWorker(labels) => by_person(
                workers::missing_labels_message(labels),
                workers::worker_command(labels),
            ),
            DispatchBlocker::NoAgent(role, busy, offline) => {
                self.no_agent_words(*role, *busy, *offline)
            }
        }
    }

    fn no_agent_words(&self, role: AgentRole, busy: usize, offline: usize) -> ExplanationSentence {
        if self.settings().agent_count(role) == 0 && busy + offline == 0 {
            let name = role.as_str();
            return ExplanationSentence {
                remedy: format!(
                    "write another {}_COUNT, or `tos proc start {name}-1`",
                    name.to_uppercase()
                ),
                ..why_sentence(
                    format!("there is no {name}: {}_COUNT is 0", name.to_uppercase()),
                    BlockResolver::Person,
                )
            };
        }
        let text = format!(
            "no {} is idle: {busy} busy, {offline} offline",
            role.as_str()
        );
        if busy > 0 {
            return why_sentence(text, BlockResolver::OtherTask);
        }
        let configured =
            (1..=self.settings().agent_count(role)).map(|number| ProcessName::Agent(role, number));
        let stopped = configured.clone().all(|name| {
            self.process(name)
                .is_some_and(|process| process.stop_requested)
        });
        let person = stopped || !self.hatch().armed || self.settings().agent_count(role) == 0;
        ExplanationSentence {
            text,
            resolver: if person {
                BlockResolver::Person
            } else {
                BlockResolver::Supervisor
            },
            at: configured
                .filter_map(|name| self.process(name)?.restart_at)
                .min(),
            remedy: format!("tos proc start {}", ProcessName::Agent(role, 1)),
        }
    }

    fn process_words(&self, name: ProcessName, so: &str) -> ExplanationSentence {
        let process = self.process(name);
        if let Some(role) = name
            .role()
            .filter(|role| self.settings().agent_count(*role) == 0)
            && process.is_none()
        {
            let kind = role.as_str();
            return ExplanationSentence {
                remedy: format!("tos proc start {name}"),
                ..why_sentence(
                    format!(
                        "there is no {kind}: {}_COUNT is 0, {so}",
                        kind.to_uppercase()
                    ),
                    BlockResolver::Person,
                )
            };
        }
        let status = process.map_or("idle", |process| process.status.as_str());
        let stopped = process.is_some_and(|process| process.stop_requested);
        let person = stopped || !self.hatch().armed;
        ExplanationSentence {
            text: format!("{name} is {status}, {so}"),
            resolver: if person {
                BlockResolver::Person
            } else {
                BlockResolver::Supervisor
            },
            at: process.and_then(|process| process.restart_at),
            remedy: format!("tos proc start {name}"),
        }
    }

    fn why_running(&self, task: &Task) -> Vec<ExplanationSentence> {
        let Some(run) = self.live_run_of(task) else {
            return vec![why_sentence(task.detail.clone(), BlockResolver::Agent)];
        };
        let who = format!(
            "{} works on it ({}, {})",
            run.agent.agent_name(),
            run.id,
            run.lease.fence
        );
        let mut sentences = vec![ExplanationSentence {
            // What it says meanwhile.
            remedy: format!("tos board log {}", run.id.0),
            ..why_sentence(who, BlockResolver::Agent)
        }];
        sentences.extend(self.why_at_work_in_session(task));
        for approval in self
            .open_approvals()
            .filter(|approval| approval.task == task.id)
        {
            sentences.insert(
                0,
                ExplanationSentence {
                    at: approval.until,
                    remedy: format!("tos board allow {}", approval.id.0),
                    ..why_sentence(approval.question.clone(), BlockResolver::Person)
                },
            );
        }
        sentences
    }

    fn why_blocked(&self, task: &Task) -> Vec<ExplanationSentence> {
        match task.block {
            Some(BlockReason::AwaitingJudge) => vec![self.why_awaiting(task)],
            Some(BlockReason::QuotaWait) => vec![ExplanationSentence {
                at: self.wait_end(task),
                ..why_sentence(
                    format!("the quota of its agent is used up: {}", task.detail),
                    BlockResolver::CycleManager,
                )
            }],
            Some(BlockReason::IssueLinking) => vec![why_sentence(
                format!("its link to {} is not written yet", task.spec.link),
                BlockResolver::Linker,
            )],
            Some(BlockReason::NeedsRework) | None => vec![ExplanationSentence {
                text: self.rework_words(task),
                resolver: task.resolver,
                at: task.not_before,
                remedy: format!(
                    "tos board requeue {} --note \"what to do otherwise\"",
                    task.id.0
                ),
            }],
        }
    }

    fn why_awaiting(&self, task: &Task) -> ExplanationSentence {
        if let Some(merge) = self.proposed_merge_of(task)
            && let Some(pull_request) = &merge.pull_request
        {
            return ExplanationSentence {
                remedy: format!("merge or close {}", pull_request.url),
                ..why_sentence(
                    format!("approved; {}", merge.detail),
                    BlockResolver::CodeHost,
                )
            };
        }
        if let Some(merge) = self.open_merge_of(task) {
            if let Some(before) = self
                .open_merges()
                .find(|other| other.branch == merge.branch && other.id < merge.id)
            {
                return why_sentence(
                    format!("approved; {} is merged before it", before.task),
                    BlockResolver::MergeQueue,
                );
            }
            return merge_words(merge);
        }
        if let Some(judgement) = self
            .live_judgements()
            .find(|judgement| judgement.task == task.id)
        {
            return why_sentence(
                format!(
                    "{} examines it ({})",
                    judgement.agent.agent_name(),
                    judgement.id
                ),
                BlockResolver::Judge,
            );
        }
        if task.resolver == BlockResolver::Person {
            return ExplanationSentence {
                remedy: format!("tos board requeue {} lets it be examined again", task.id.0),
                ..why_sentence(task.detail.clone(), BlockResolver::Person)
            };
        }
        let waiting = self
            .tasks_to_judge()
            .filter(|other| (other.since, other.id) < (task.since, task.id))
            .count();
        ExplanationSentence {
            at: task.not_before,
            ..why_sentence(
                match waiting {
                    0 => format!("{}; it is the next", task.detail),
                    more => format!(
                        "{}; {} before it",
                        task.detail,
                        counted(more as u64, "attempt")
                    ),
                },
                BlockResolver::Judge,
            )
        }
    }

    /// Adds the processes that should change something about a task and are not up.
    fn add_process_faults(&self, task: &Task, sentences: &mut Vec<ExplanationSentence>) {
        let waits_for = |resolver| {
            sentences
                .iter()
                .any(|sentence| sentence.resolver == resolver)
        };
        let mut faults = Vec::new();
        if waits_for(BlockResolver::CycleManager) && !self.is_up(ProcessName::CycleManager) {
            faults.push(
                self.process_words(ProcessName::CycleManager, "so nothing comes back by itself"),
            );
        }
        if task.status == TaskStatus::Running && !self.is_up(ProcessName::CycleManager) {
            faults.push(self.process_words(
                ProcessName::CycleManager,
                "so a lease that ends is not noticed",
            ));
        }
        if self.globals.closed && task.awaits_judge() {
            faults.push(self.blocker_words(&DispatchBlocker::Closed));
        }
        let is_queued = self.open_merge_of(task).is_some();
        let merges =
            is_queued || waits_for(BlockResolver::Judge) || waits_for(BlockResolver::MergeQueue);
        if merges && !self.is_up(ProcessName::Dispatcher) && !self.has_judges_only() {
            faults.push(self.process_words(
                ProcessName::Dispatcher,
                "so nothing is given to judges or merged",
            ));
        }
        if waits_for(BlockResolver::Judge)
            && !self
                .agents()
                .any(|agent| agent.role == AgentRole::Judge && self.is_up(agent.id))
        {
            faults.push(self.process_words(
                ProcessName::Agent(AgentRole::Judge, 1),
                "so nothing is examined",
            ));
        }
        sentences.extend(faults);
    }
}

/// Says where an open entry of the merge queue stands.
fn merge_words(merge: &super::MergeQueueEntry) -> ExplanationSentence {
    match merge.status {
        MergeStatus::Waiting => ExplanationSentence {
            at: merge.not_before,
            remedy: "commit or stash what is there, then `tos merge`".to_owned(),
            ..why_sentence(format!("approved; {}", merge.detail), BlockResolver::Person)
        },
        MergeStatus::Pending if merge.not_before.is_some() => ExplanationSentence {
            at: merge.not_before,
            ..why_sentence(
                format!("approved; its merge is tried again: {}", merge.detail),
                BlockResolver::MergeQueue,
            )
        },
        MergeStatus::Pending
        | MergeStatus::Processing
        | MergeStatus::Merged
        | MergeStatus::Failed
        | MergeStatus::Proposed
        | MergeStatus::Cancelled => why_sentence(
            "approved; being merged".to_owned(),
            BlockResolver::MergeQueue,
        ),
    }
}

pub(super) fn why_sentence(text: String, resolver: BlockResolver) -> ExplanationSentence {
    ExplanationSentence {
        text,
        resolver,
        at: None,
        remedy: String::new(),
    }
}
