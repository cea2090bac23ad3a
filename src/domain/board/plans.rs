//! Requirements: handed in, planned, proposed to a person, accepted, and planned again from what is left.
//!
//! A planner's tasks reach the board through here only: duplicates are left out, and where a person is asked before work
//! starts, nothing is made before the person accepts. Planning again happens by itself when nothing on the board moves
//! any more; how often is limited, and it obeys stop, hatch, hold and budget. Danger: a call that fails has to end as
//! `failed`, because an empty plan would look like work that is done.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    BlockResolver, Board, BoardResponse, DispatchBlocker, Draft, Effect, JudgeEvent, JudgementId,
    Millis, PlanEvent, PlanId, PlanStatus, ProcessName, Refusal, RefusalCode, RequirementPlan,
    Spend, SystemEvent, Task, TaskEvent, TaskId, TaskSpec, TaskStatus, create::invalid,
};

/// How many tasks a planner is told of, the newest.
const TOLD: usize = 100;

/// What a planner found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanProposal {
    /// What planned: `model`, `agent`.
    pub maker: String,
    /// The tasks; their dependencies are places in this list, counted from 1.
    pub tasks: Vec<TaskSpec>,
    /// Why nothing is left to do, where no task is named.
    pub nothing_left: String,
}

/// One task as a planner is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannerTask {
    /// Its number.
    pub id: TaskId,
    /// One line.
    pub title: String,
    /// What it may touch.
    pub paths: Vec<String>,
    /// Where it stands.
    pub status: String,
    /// Why it is not done, and what earlier attempts were told.
    pub why: Vec<String>,
}

/// What a planner knows of the board.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanningFacts {
    /// The text.
    pub requirement: String,
    /// How often what is left was planned again; 0 = this is the first time.
    pub round: u32,
    /// Tasks that are merged.
    pub done: Vec<PlannerTask>,
    /// Tasks that are not, with what went wrong.
    pub open: Vec<PlannerTask>,
}

impl Board {
    /// Hands a requirement in, and says whether a person wants to see the tasks first.
    pub(super) fn hand_in(
        &self,
        draft: &mut Draft,
        requirement: &str,
        preview: bool,
        by: &str,
    ) -> Result<(), Refusal> {
        let name = ProcessName::Planner.to_string();
        self.start_process(draft, &name, Some(requirement), by)?;
        let plan = PlanId(self.globals.last_plan.0 + 1);
        if preview {
            draft.event(PlanEvent::PreviewWanted { plan });
        }
        draft.answer(BoardResponse::Plan { plan });
        Ok(())
    }

    /// Refuses a new requirement while an earlier one waits for a person.
    pub(super) fn check_no_proposal(&self) -> Result<(), Refusal> {
        let Some(open) = self
            .plans()
            .find(|plan| plan.status == PlanStatus::Proposed)
        else {
            return Ok(());
        };
        Err(Refusal::new(
            RefusalCode::Conflict,
            format!("{} waits for your answer", open.id),
            format!(
                "`tos board accept {0}`, or `tos board decline {0}`",
                open.id.0
            ),
        ))
    }

    /// Returns a plan that this start of the planner works on, or refuses.
    fn fenced_plan(&self, id: PlanId, generation: u64) -> Result<&RequirementPlan, Refusal> {
        let plan = self.require_plan(id)?;
        let current = self
            .process(ProcessName::Planner)
            .map_or(0, |process| process.generation);
        if plan.status != PlanStatus::Planning || generation != current {
            return Err(Refusal::new(
                RefusalCode::Stale,
                format!("{id} is over, or another planner has it"),
                "",
            ));
        }
        Ok(plan)
    }

    pub(super) fn require_plan(&self, id: PlanId) -> Result<&RequirementPlan, Refusal> {
        self.plan(id).ok_or_else(|| {
            Refusal::new(
                RefusalCode::NotFound,
                format!("there is no {id}"),
                "`tos board plans` shows them",
            )
        })
    }

    /// Counts what a planner uses up; a call that the budget does not allow is refused before it is made.
    pub(super) fn record_plan_spend(
        &self,
        draft: &mut Draft,
        id: PlanId,
        generation: u64,
        spend: Spend,
    ) -> Result<(), Refusal> {
        self.fenced_plan(id, generation)?;
        self.check_call(spend, draft.now)?;
        if spend != Spend::default() {
            draft.event(PlanEvent::Spent { plan: id, spend });
        }
        Ok(())
    }

    /// The same for a judge that asks a model.
    pub(super) fn record_judgement_spend(
        &self,
        draft: &mut Draft,
        id: JudgementId,
        fence: super::Fence,
        spend: Spend,
    ) -> Result<(), Refusal> {
        self.fenced_judgement(id, fence)?;
        self.check_call(spend, draft.now)?;
        if spend != Spend::default() {
            draft.event(JudgeEvent::Spent {
                judgement: id,
                spend,
            });
        }
        Ok(())
    }

    fn check_call(&self, spend: Spend, now: Millis) -> Result<(), Refusal> {
        match self.budget_blocker(now) {
            Some(DispatchBlocker::Budget(words, _)) if spend.calls > 0 => Err(Refusal::new(
                RefusalCode::Conflict,
                format!("the budget is used up: {words}"),
                "it is counted by the hour and by the day",
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn finish_plan(
        &self,
        draft: &mut Draft,
        id: PlanId,
        generation: u64,
        tasks: &Result<Vec<TaskSpec>, String>,
    ) -> Result<(), Refusal> {
        let plan = self.fenced_plan(id, generation)?;
        let specs = match tasks {
            Ok(specs) => specs,
            Err(error) => {
                draft.event(failed(id, error));
                draft.effect(Effect::Notify {
                    text: format!("{id} failed: {error}"),
                    task: None,
                });
                return Ok(());
            }
        };
        // Who wrote the list has seen it; it is shown first only where that was asked for.
        if plan.preview || self.settings().plan_preview {
            self.check_planned(specs)?;
            Self::show_first(draft, id, "list", specs);
            return Ok(());
        }
        self.make_planned(draft, plan, specs)
    }

    /// Shows a person what was planned, before anything comes of it.
    fn show_first(draft: &mut Draft, id: PlanId, maker: &str, tasks: &[TaskSpec]) {
        draft.event(PlanEvent::Proposed {
            plan: id,
            maker: maker.to_owned(),
            tasks: tasks.to_vec(),
        });
        draft.effect(Effect::Notify {
            text: format!("{id} has {} tasks, which wait for your answer", tasks.len()),
            task: None,
        });
    }

    /// Takes what a model or an agent planned.
    pub(super) fn propose(
        &self,
        draft: &mut Draft,
        id: PlanId,
        generation: u64,
        proposal: &PlanProposal,
    ) -> Result<(), Refusal> {
        let plan = self.fenced_plan(id, generation)?;
        if proposal.tasks.is_empty() {
            if proposal.nothing_left.trim().is_empty() {
                draft.event(failed(id, "the planner named no task and no reason"));
                return Ok(());
            }
            draft.event(PlanEvent::NothingLeft {
                plan: id,
                maker: proposal.maker.clone(),
                detail: proposal.nothing_left.clone(),
            });
            return Ok(());
        }
        self.check_planned(&proposal.tasks)?;
        if self.needs_plan_approval(plan) {
            Self::show_first(draft, id, &proposal.maker, &proposal.tasks);
            return Ok(());
        }
        draft.event(PlanEvent::Proposed {
            plan: id,
            maker: proposal.maker.clone(),
            tasks: proposal.tasks.clone(),
        });
        self.make_planned(draft, plan, &proposal.tasks)
    }

    /// Returns whether a person decides before the tasks of a plan are made.
    pub fn needs_plan_approval(&self, plan: &RequirementPlan) -> bool {
        plan.preview || self.settings().plan_preview || self.settings().ask_before_start
    }

    /// A person accepts or declines the tasks of a plan.
    pub(super) fn decide_plan(
        &self,
        draft: &mut Draft,
        id: PlanId,
        accept: bool,
        by: &str,
    ) -> Result<(), Refusal> {
        let plan = self.require_proposed_plan(id)?;
        if !accept {
            draft.event(PlanEvent::Declined {
                plan: id,
                by: by.to_owned(),
            });
            return Ok(());
        }
        self.make_planned(draft, plan, &plan.proposal)?;
        draft.answer(BoardResponse::Plan { plan: id });
        Ok(())
    }

    /// Makes the tasks of a plan and ends it.
    fn make_planned(
        &self,
        draft: &mut Draft,
        plan: &RequirementPlan,
        specs: &[TaskSpec],
    ) -> Result<(), Refusal> {
        self.check_planned(specs)?;
        let known = self.existing_plan_tasks(&plan.requirement, specs);
        let is_new = specs.len() > known.len();
        let ids = self.plan_tasks(draft, specs, &known);
        let error = if specs.is_empty() {
            Some("the planner named no task".to_owned())
        } else if is_new {
            None
        } else {
            Some(format!(
                "each of the {} tasks it named is on the board already",
                specs.len()
            ))
        };
        draft.event(SystemEvent::PlanFinished {
            plan: plan.id,
            tasks: ids,
            error,
        });
        Ok(())
    }

    /// Looks at all tasks of a plan before any is made.
    pub(super) fn check_planned(&self, specs: &[TaskSpec]) -> Result<(), Refusal> {
        let next = TaskId(self.globals.last_task.0 + 1);
        for (place, spec) in (1_u64..).zip(specs) {
            let later = |needed: &&super::Dependency| needed.task.0 == 0 || needed.task.0 >= place;
            if let Some(needed) = spec.dependencies.iter().find(later) {
                return Err(invalid(format!(
                    "task {place} of the plan depends on task {}, which does not come before it",
                    needed.task.0
                )));
            }
            let plain = TaskSpec {
                dependencies: Vec::new(),
                ..spec.clone()
            };
            self.check_spec(next, &plain)?;
        }
        Ok(())
    }

    /// Returns which tasks of a plan are on the board already, by their place from 1: with the same key, or with the same
    /// title and area, where that one is not over or was made for the same requirement.
    pub fn existing_plan_tasks(
        &self,
        requirement: &str,
        specs: &[TaskSpec],
    ) -> BTreeMap<u64, TaskId> {
        let same: BTreeSet<TaskId> = self
            .plans()
            .filter(|plan| plan.requirement == requirement)
            .flat_map(|plan| plan.tasks.iter().copied())
            .collect();
        let mut by_name: BTreeMap<(String, Vec<String>), TaskId> = BTreeMap::new();
        for task in self.tasks() {
            let counts = match task.status {
                TaskStatus::Cancelled => false,
                TaskStatus::Done => same.contains(&task.id),
                TaskStatus::Queued
                | TaskStatus::Running
                | TaskStatus::Failed
                | TaskStatus::Blocked => true,
            };
            if counts {
                by_name.insert(name_of(&task.spec), task.id);
            }
        }
        let mut known = BTreeMap::new();
        for (place, spec) in (1_u64..).zip(specs) {
            let keyed = self.task_by_key(&spec.key).filter(|_| !spec.key.is_empty());
            let id = keyed
                .map(|task| task.id)
                .or_else(|| by_name.get(&name_of(spec)).copied());
            if let Some(id) = id {
                known.insert(place, id);
            }
        }
        known
    }

    /// Makes the tasks of a plan that are not known; a task may depend on tasks before it in the list.
    fn plan_tasks(
        &self,
        draft: &mut Draft,
        specs: &[TaskSpec],
        known: &BTreeMap<u64, TaskId>,
    ) -> Vec<TaskId> {
        let mut places = known.clone();
        let mut named: BTreeMap<(String, Vec<String>), TaskId> = BTreeMap::new();
        let mut last = self.globals.last_task.0;
        for (place, spec) in (1_u64..).zip(specs) {
            if places.contains_key(&place) {
                continue;
            }
            // A plan that names the same twice means it once.
            if let Some(id) = named.get(&name_of(spec)) {
                places.insert(place, *id);
                continue;
            }
            let mut spec = spec.clone();
            for dependency in &mut spec.dependencies {
                if let Some(id) = places.get(&dependency.task.0) {
                    dependency.task = *id;
                }
            }
            last += 1;
            let id = TaskId(last);
            places.insert(place, id);
            named.insert(name_of(&spec), id);
            let is_linked = !spec.link.is_empty();
            draft.event(TaskEvent::Created {
                task: id,
                spec: Box::new(spec),
            });
            if is_linked {
                draft.effect(Effect::Link { task: id });
            }
        }
        let mut ids: Vec<TaskId> = places.into_values().collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Returns what a planner is told of the board.
    pub fn planning_facts(&self, plan: &RequirementPlan) -> PlanningFacts {
        let chain = self
            .plans()
            .filter(|other| other.requirement == plan.requirement);
        let own: BTreeSet<TaskId> = chain.flat_map(|plan| plan.tasks.iter().copied()).collect();
        let mut facts = PlanningFacts {
            requirement: plan.requirement.clone(),
            round: plan.round,
            ..PlanningFacts::default()
        };
        let told = self
            .tasks()
            .rev()
            .filter(|task| own.contains(&task.id) || !task.status.is_final())
            .take(TOLD);
        for task in told {
            let before = told_of(task);
            if task.status == TaskStatus::Done {
                facts.done.insert(0, before);
            } else {
                facts.open.insert(0, before);
            }
        }
        facts
    }

    /// Returns the plan whose requirement is to be planned again, and when. A budget that is used up puts it off.
    pub(super) fn replan_due(&self, now: Millis) -> Option<(&RequirementPlan, Millis)> {
        let settings = self.settings();
        let plan = self.plans.values().next_back()?;
        let goes_on = settings.auto_replan
            && plan.status == PlanStatus::Planned
            && !plan.maker.is_empty()
            && plan.round < settings.replan_max;
        let planner = self.process(ProcessName::Planner);
        let may = self.hatch().armed
            && self.dispatch_hold().is_none()
            && !self.globals.closed
            && planner.is_none_or(|one| !one.status.is_live() && !one.stop_requested);
        if !goes_on || !may || self.anything_moves() {
            return None;
        }
        let at = plan.finished_at.unwrap_or_default() + settings.replan_interval_ms;
        match self.budget_blocker(now) {
            Some(DispatchBlocker::Budget(_, until)) => Some((plan, at.max(until))),
            _ => Some((plan, at)),
        }
    }

    pub(super) fn replan(&self, draft: &mut Draft, plan: &RequirementPlan) {
        let id = PlanId(self.globals.last_plan.0 + 1);
        draft.event(PlanEvent::Replanned {
            plan: id,
            of: plan.id,
            requirement: plan.requirement.clone(),
        });
        self.request_start(
            draft,
            ProcessName::Planner,
            "cycle-manager: nothing moves any more",
            true,
            Some(id),
        );
    }

    /// Returns whether any task goes on without a person.
    fn anything_moves(&self) -> bool {
        if self.open_sessions().next().is_some() {
            return true;
        }
        let mut known = BTreeMap::new();
        let all = [
            &self.index.in_flight,
            &self.index.waiting,
            &self.index.queued,
        ];
        all.into_iter()
            .flat_map(super::shared_map::CowSet::iter)
            .any(|id| !self.is_stuck(*id, &mut known))
    }

    /// Returns whether nothing but a person takes a task on: it waits for one, or for a task that does. The board refuses
    /// circles; one that came about all the same counts as stuck.
    fn is_stuck(&self, id: TaskId, known: &mut BTreeMap<TaskId, bool>) -> bool {
        if let Some(stuck) = known.get(&id) {
            return *stuck;
        }
        known.insert(id, true);
        let stuck = match self.task(id) {
            None => true,
            Some(task) if task.resolver == BlockResolver::Person => !task.status.is_final(),
            Some(task) if task.status == TaskStatus::Queued => {
                task.spec.dependencies.iter().any(|needed| {
                    let on = self.task(needed.task);
                    let is_gone = on.is_none_or(|on| on.status == TaskStatus::Cancelled);
                    let blocks = needed.on_fail == super::OnDependencyCancelled::Block;
                    (is_gone && blocks) || (!is_gone && self.is_stuck(needed.task, known))
                })
            }
            Some(_) => false,
        };
        known.insert(id, stuck);
        stuck
    }
}

fn failed(plan: PlanId, error: &str) -> SystemEvent {
    SystemEvent::PlanFinished {
        plan,
        tasks: Vec::new(),
        error: Some(error.to_owned()),
    }
}

/// Returns what two tasks have in common that are the same: title, apart from case, spaces and the end of the sentence, and area.
fn name_of(spec: &TaskSpec) -> (String, Vec<String>) {
    let words: Vec<String> = spec
        .title
        .split_whitespace()
        .map(str::to_lowercase)
        .collect();
    let title = words.join(" ").trim_end_matches(['.', '!']).to_owned();
    let mut paths: Vec<String> = spec
        .paths
        .iter()
        .map(|path| path.trim_end_matches('/').to_owned())
        .collect();
    paths.sort();
    paths.dedup();
    (title, paths)
}

fn told_of(task: &Task) -> PlannerTask {
    let mut why = Vec::new();
    if task.status != TaskStatus::Done {
        why.push(task.detail.clone());
        for lesson in task.lessons.iter().rev().take(3) {
            let reasons = lesson.reasons.iter().take(3);
            why.extend(reasons.map(|reason| format!("{}: {reason}", lesson.from)));
        }
        why.retain(|line| !line.is_empty());
        why.dedup();
    }
    PlannerTask {
        id: task.id,
        title: task.spec.title.clone(),
        paths: task.spec.paths.clone(),
        status: task.status_label(),
        why,
    }
}
