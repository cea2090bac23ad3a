//! Reading a board: its things, one by one, in order, and as a whole for the store.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    AgentId, AgentState, ApprovalId, ApprovalRequest, BlockReason, Board, BoardGlobals, Cycle,
    DispatchHold, Entity, EntityKey, Hatch, Judgement, JudgementId, MergeId, MergeQueueEntry,
    MergeStatus, PlanId, Process, ProcessName, QuotaPause, RequirementPlan, Run, RunId,
    SpendTotals, Task, TaskId, TaskStatus,
};

/// How many commits of a branch are told.
const MERGED_LAST: usize = 20;

impl Board {
    /// Returns the name of the agent that works on a task: its own, or that of the settings; empty = the usual one.
    pub fn agent_name_of_task<'a>(&'a self, task: &'a super::Task) -> &'a str {
        if task.spec.agent.is_empty() {
            &self.settings().executor
        } else {
            &task.spec.agent
        }
    }

    /// Returns what is there once: counters, settings, hatch, budget.
    pub fn globals(&self) -> &BoardGlobals {
        &self.globals
    }

    /// Returns a task.
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(&id).map(AsRef::as_ref)
    }

    /// Returns all tasks, oldest first.
    pub fn tasks(&self) -> impl DoubleEndedIterator<Item = &Task> {
        self.tasks.values().map(AsRef::as_ref)
    }

    /// Returns the task that was made with a key.
    pub fn task_by_key(&self, key: &str) -> Option<&Task> {
        self.index.keys.get(key).and_then(|id| self.task(*id))
    }

    /// Returns a run.
    pub fn run(&self, id: RunId) -> Option<&Run> {
        self.runs.get(&id).map(AsRef::as_ref)
    }

    /// Returns all runs, oldest first.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.runs.values().map(AsRef::as_ref)
    }

    /// Returns the runs at work.
    pub fn live_runs(&self) -> impl Iterator<Item = &Run> {
        self.index.live_runs.iter().filter_map(|id| self.run(*id))
    }

    /// Returns a judgement.
    pub fn judgement(&self, id: JudgementId) -> Option<&Judgement> {
        self.judgements.get(&id).map(AsRef::as_ref)
    }

    /// Returns all judgements, oldest first.
    pub fn judgements(&self) -> impl DoubleEndedIterator<Item = &Judgement> {
        self.judgements.values().map(AsRef::as_ref)
    }

    /// Returns the judgements under way.
    pub fn live_judgements(&self) -> impl Iterator<Item = &Judgement> {
        self.index
            .live_judgements
            .iter()
            .filter_map(|id| self.judgement(*id))
    }

    /// Returns an entry of the merge queue.
    pub fn merge(&self, id: MergeId) -> Option<&MergeQueueEntry> {
        self.merges.get(&id).map(AsRef::as_ref)
    }

    /// Returns all entries of the merge queue, oldest first.
    pub fn merges(&self) -> impl DoubleEndedIterator<Item = &MergeQueueEntry> {
        self.merges.values().map(AsRef::as_ref)
    }

    /// Returns the commits that the board brought to branches last, the newest last; an empty name is the branch of the checkout.
    ///
    /// The newest need not be where the branch stands: what was on it already is merged without moving it.
    pub fn recent_merge_commits(&self) -> BTreeMap<String, Vec<String>> {
        let mut merged: Vec<_> = self
            .merges()
            .filter(|merge| merge.status == MergeStatus::Merged && merge.pull_request.is_none())
            .collect();
        merged.sort_by_key(|merge| (merge.finished_at, merge.id));
        let mut last: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for merge in merged {
            let commits = last.entry(merge.branch.clone()).or_default();
            commits.retain(|known| *known != merge.commit);
            commits.push(merge.commit.clone());
            if commits.len() > MERGED_LAST {
                commits.remove(0);
            }
        }
        last
    }

    /// Returns the entries that still have their place in the queue.
    pub fn open_merges(&self) -> impl DoubleEndedIterator<Item = &MergeQueueEntry> {
        self.index
            .open_merges
            .iter()
            .filter_map(|id| self.merge(*id))
    }

    /// Returns the entry of a task that still has its place in the queue.
    pub fn open_merge_of(&self, task: &Task) -> Option<&MergeQueueEntry> {
        let merge = task.merge.and_then(|id| self.merge(id));
        merge.filter(|merge| merge.status.is_open())
    }

    /// Returns the entry of a task whose pull request is open.
    pub fn proposed_merge_of(&self, task: &Task) -> Option<&MergeQueueEntry> {
        let merge = task.merge.and_then(|id| self.merge(id));
        merge.filter(|merge| merge.status == MergeStatus::Proposed)
    }

    /// Returns all entries whose pull requests are open.
    pub fn proposed_merges(&self) -> impl Iterator<Item = &MergeQueueEntry> {
        let tasks = self.index.in_flight.iter().filter_map(|id| self.task(*id));
        tasks.filter_map(|task| self.proposed_merge_of(task))
    }

    /// Returns a question.
    pub fn approval(&self, id: ApprovalId) -> Option<&ApprovalRequest> {
        self.approvals.get(&id).map(AsRef::as_ref)
    }

    /// Returns all questions, oldest first.
    pub fn approvals(&self) -> impl DoubleEndedIterator<Item = &ApprovalRequest> {
        self.approvals.values().map(AsRef::as_ref)
    }

    /// Returns the questions nobody has answered.
    pub fn open_approvals(&self) -> impl Iterator<Item = &ApprovalRequest> {
        self.index
            .open_approvals
            .iter()
            .filter_map(|id| self.approval(*id))
    }

    /// Returns an agent.
    pub fn agent(&self, id: AgentId) -> Option<&AgentState> {
        self.agents.get(&id)
    }

    /// Returns all agents that ever were up.
    pub fn agents(&self) -> impl Iterator<Item = &AgentState> {
        self.agents.values()
    }

    /// Returns a process that was ever told to start or stop.
    pub fn process(&self, name: ProcessName) -> Option<&Process> {
        self.processes.get(&name).map(AsRef::as_ref)
    }

    /// Returns all processes: the fixed ones, the configured agents, and whatever else was started.
    pub fn processes(&self) -> Vec<Process> {
        let mut names: Vec<ProcessName> = ProcessName::FIXED.to_vec();
        names.extend(self.settings().expected_processes());
        names.extend(self.processes.keys());
        names.sort_unstable();
        names.dedup();
        let known = |name| {
            self.process(name)
                .cloned()
                .unwrap_or_else(|| Process::new(name))
        };
        names.into_iter().map(known).collect()
    }

    /// Returns the pauses for quotas.
    pub fn pauses(&self) -> impl Iterator<Item = &QuotaPause> {
        self.pauses.values()
    }

    /// Returns the cycles, oldest first.
    pub fn cycles(&self) -> impl DoubleEndedIterator<Item = &Cycle> {
        self.cycles.values()
    }

    /// Returns the cycle under way.
    pub fn cycle(&self) -> Option<&Cycle> {
        self.cycles
            .values()
            .next_back()
            .filter(|cycle| cycle.ended_at.is_none())
    }

    /// Returns a plan.
    pub fn plan(&self, id: PlanId) -> Option<&RequirementPlan> {
        self.plans.get(&id).map(AsRef::as_ref)
    }

    /// Returns the plans, oldest first.
    pub fn plans(&self) -> impl DoubleEndedIterator<Item = &RequirementPlan> {
        self.plans.values().map(AsRef::as_ref)
    }

    /// Returns the settings.
    pub fn settings(&self) -> &super::BoardSettings {
        &self.globals.settings
    }

    /// Returns whether processes are kept running.
    pub fn hatch(&self) -> &Hatch {
        &self.globals.hatch
    }

    /// Returns why nothing new is started.
    pub fn dispatch_hold(&self) -> Option<&DispatchHold> {
        self.globals.hold.as_ref()
    }

    /// Returns what was used up.
    pub fn spend_totals(&self) -> &SpendTotals {
        &self.globals.budget
    }

    /// Returns how many tasks have a status.
    pub fn count(&self, status: TaskStatus) -> usize {
        let of = |(key, count): (&(TaskStatus, Option<BlockReason>), &usize)| {
            (key.0 == status).then_some(*count)
        };
        self.index.counts.iter().filter_map(of).sum()
    }

    /// Returns how many tasks are blocked for a reason.
    pub fn count_blocked(&self, reason: BlockReason) -> usize {
        self.index
            .counts
            .get(&(TaskStatus::Blocked, Some(reason)))
            .copied()
            .unwrap_or_default()
    }

    /// Returns the branch a task is merged into; empty = the one that is checked out.
    pub fn branch_of<'a>(&'a self, task: &'a Task) -> &'a str {
        if task.spec.branch.is_empty() {
            &self.settings().branch
        } else {
            &task.spec.branch
        }
    }

    /// Returns the commit that a judge merges a task with: the end of the merge queue of its branch. `None` = nothing is
    /// queued, so the branch itself.
    pub fn judge_base_commit(&self, task: TaskId) -> Option<&str> {
        let task = self.task(task)?;
        let branch = self.branch_of(task);
        self.open_merges()
            .rev()
            .find(|entry| entry.branch == branch)
            .map(|entry| entry.commit.as_str())
    }

    /// Returns the names of what was changed since this was last asked.
    pub fn take_dirty(&mut self) -> Vec<EntityKey> {
        std::mem::take(&mut self.dirty).into_iter().collect()
    }

    /// Returns one thing; `None` where it is gone.
    pub fn entity(&self, key: &EntityKey) -> Option<Entity> {
        match key {
            EntityKey::Globals => Some(Entity::Globals(Box::new((*self.globals).clone()))),
            EntityKey::Task(id) => self.tasks.get(id).cloned().map(Entity::Task),
            EntityKey::Run(id) => self.runs.get(id).cloned().map(Entity::Run),
            EntityKey::Agent(id) => self.agents.get(id).cloned().map(Entity::Agent),
            EntityKey::Process(name) => self.processes.get(name).cloned().map(Entity::Process),
            EntityKey::Judgement(id) => self.judgements.get(id).cloned().map(Entity::Judgement),
            EntityKey::Merge(id) => self.merges.get(id).cloned().map(Entity::Merge),
            EntityKey::Approval(id) => self.approvals.get(id).cloned().map(Entity::Approval),
            EntityKey::Pause(agent) => self.pauses.get(agent).cloned().map(Entity::Pause),
            EntityKey::Cycle(number) => self.cycles.get(number).cloned().map(Entity::Cycle),
            EntityKey::Plan(id) => self.plans.get(id).cloned().map(Entity::Plan),
            EntityKey::Session(id) => self.sessions.get(id).cloned().map(Entity::Session),
        }
    }

    /// Returns the names of everything.
    pub fn entity_keys(&self) -> Vec<EntityKey> {
        let mut keys = vec![EntityKey::Globals];
        keys.extend(self.tasks.keys().map(|id| EntityKey::Task(*id)));
        keys.extend(self.runs.keys().map(|id| EntityKey::Run(*id)));
        keys.extend(self.agents.keys().map(|id| EntityKey::Agent(*id)));
        keys.extend(self.processes.keys().map(|name| EntityKey::Process(*name)));
        keys.extend(self.judgements.keys().map(|id| EntityKey::Judgement(*id)));
        keys.extend(self.merges.keys().map(|id| EntityKey::Merge(*id)));
        keys.extend(self.approvals.keys().map(|id| EntityKey::Approval(*id)));
        keys.extend(
            self.pauses
                .keys()
                .map(|agent| EntityKey::Pause(agent.clone())),
        );
        keys.extend(self.cycles.keys().map(|number| EntityKey::Cycle(*number)));
        keys.extend(self.plans.keys().map(|id| EntityKey::Plan(*id)));
        keys.extend(self.sessions.keys().map(|id| EntityKey::Session(*id)));
        keys
    }

    /// Makes a board of its things.
    pub fn from_entities(entities: impl IntoIterator<Item = Entity>) -> Self {
        let mut board = Self::default();
        for entity in entities {
            match entity {
                Entity::Globals(globals) => board.globals = Arc::new(*globals),
                Entity::Task(task) => board.insert_task(task),
                Entity::Run(run) => board.insert_run(run),
                Entity::Agent(agent) => {
                    board.agents.insert(agent.id, agent);
                }
                Entity::Process(process) => {
                    board.processes.insert(process.name, process);
                }
                Entity::Judgement(judgement) => board.insert_judgement(judgement),
                Entity::Merge(merge) => board.insert_merge(merge),
                Entity::Approval(approval) => board.insert_approval(approval),
                Entity::Pause(pause) => {
                    board.pauses.insert(pause.agent.clone(), pause);
                }
                Entity::Cycle(cycle) => {
                    board.cycles.insert(cycle.number, cycle);
                }
                Entity::Plan(plan) => {
                    board.plans.insert(plan.id, plan);
                }
                Entity::Session(session) => {
                    board.sessions.insert(session.id, session);
                }
            }
        }
        board
    }

    /// Returns the first thing in which two boards differ.
    pub fn difference(&self, other: &Self) -> Option<EntityKey> {
        let mut keys = self.entity_keys();
        keys.extend(other.entity_keys());
        keys.sort();
        keys.dedup();
        keys.into_iter()
            .find(|key| self.entity(key) != other.entity(key))
    }
}
