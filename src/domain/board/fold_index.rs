//! Changing one thing, and the sets that follow from where it stands.

use std::sync::Arc;

use super::{
    ApprovalId, ApprovalRequest, BlockReason, Board, CowSet, EntityKey, Judgement, JudgementId,
    MergeId, MergeQueueEntry, Millis, Run, RunId, RunStatus, Task, TaskId, TaskStatus,
};

/// Where a task stands, as far as the index goes by it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    status: TaskStatus,
    block: Option<BlockReason>,
    in_flight: bool,
}

impl Place {
    fn of(task: &Task) -> Self {
        Self {
            status: task.status,
            block: task.block,
            in_flight: task.is_in_flight(),
        }
    }
}

impl Board {
    /// Changes a task and what follows from it.
    pub(super) fn change_task(&mut self, id: TaskId, at: Millis, change: impl FnOnce(&mut Task)) {
        let Some(task) = self.tasks.get_mut(&id) else {
            return;
        };
        let before = Place::of(task);
        let own = Arc::make_mut(task);
        change(own);
        own.updated_at = at;
        let after = Place::of(own);
        self.dirty.insert(EntityKey::Task(id));
        if before != after {
            self.leave(id, before);
            self.enter(id, after);
        }
    }

    fn leave(&mut self, id: TaskId, place: Place) {
        self.index.queued.remove(&id);
        self.index.in_flight.remove(&id);
        self.index.waiting.remove(&id);
        if let Some(count) = self.index.counts.get_mut(&(place.status, place.block)) {
            *count = count.saturating_sub(1);
        }
    }

    fn enter(&mut self, id: TaskId, place: Place) {
        match place.status {
            TaskStatus::Queued => drop(self.index.queued.insert(id)),
            TaskStatus::Failed | TaskStatus::Blocked => drop(self.index.waiting.insert(id)),
            TaskStatus::Running | TaskStatus::Done | TaskStatus::Cancelled => {}
        }
        if place.in_flight {
            self.index.in_flight.insert(id);
        }
        *self
            .index
            .counts
            .entry((place.status, place.block))
            .or_default() += 1;
    }

    pub(super) fn insert_task(&mut self, task: Arc<Task>) {
        let id = task.id;
        self.enter(id, Place::of(&task));
        if !task.spec.key.is_empty() {
            self.index.keys.insert(task.spec.key.clone(), id);
        }
        self.tasks.insert(id, task);
    }

    pub(super) fn insert_run(&mut self, run: Arc<Run>) {
        put(
            &mut self.index.live_runs,
            run.id,
            run.status == RunStatus::Running,
        );
        self.runs.insert(run.id, run);
    }

    pub(super) fn insert_judgement(&mut self, judgement: Arc<Judgement>) {
        put(
            &mut self.index.live_judgements,
            judgement.id,
            judgement.finished_at.is_none(),
        );
        self.judgements.insert(judgement.id, judgement);
    }

    pub(super) fn insert_merge(&mut self, merge: Arc<MergeQueueEntry>) {
        put(
            &mut self.index.open_merges,
            merge.id,
            merge.status.is_open(),
        );
        self.merges.insert(merge.id, merge);
    }

    pub(super) fn insert_approval(&mut self, approval: Arc<ApprovalRequest>) {
        put(
            &mut self.index.open_approvals,
            approval.id,
            approval.answered_at.is_none(),
        );
        self.time_question(approval.id, approval.until, approval.answered_at.is_none());
        self.approvals.insert(approval.id, approval);
    }

    pub(super) fn change_run(&mut self, id: RunId, change: impl FnOnce(&mut Run)) {
        let Some(run) = self.runs.get_mut(&id) else {
            return;
        };
        let own = Arc::make_mut(run);
        change(own);
        let is_open = own.status == RunStatus::Running;
        self.dirty.insert(EntityKey::Run(id));
        put(&mut self.index.live_runs, id, is_open);
    }

    pub(super) fn change_judgement(
        &mut self,
        id: JudgementId,
        change: impl FnOnce(&mut Judgement),
    ) {
        let Some(judgement) = self.judgements.get_mut(&id) else {
            return;
        };
        let own = Arc::make_mut(judgement);
        change(own);
        let is_open = own.finished_at.is_none();
        self.dirty.insert(EntityKey::Judgement(id));
        put(&mut self.index.live_judgements, id, is_open);
    }

    pub(super) fn change_merge(&mut self, id: MergeId, change: impl FnOnce(&mut MergeQueueEntry)) {
        let Some(merge) = self.merges.get_mut(&id) else {
            return;
        };
        let own = Arc::make_mut(merge);
        change(own);
        let is_open = own.status.is_open();
        self.dirty.insert(EntityKey::Merge(id));
        put(&mut self.index.open_merges, id, is_open);
    }

    pub(super) fn change_approval(
        &mut self,
        id: ApprovalId,
        change: impl FnOnce(&mut ApprovalRequest),
    ) {
        let Some(approval) = self.approvals.get_mut(&id) else {
            return;
        };
        let own = Arc::make_mut(approval);
        change(own);
        let (is_open, until) = (own.answered_at.is_none(), own.until);
        self.dirty.insert(EntityKey::Approval(id));
        put(&mut self.index.open_approvals, id, is_open);
        self.time_question(id, until, is_open);
    }

    fn time_question(&mut self, id: ApprovalId, until: Option<Millis>, is_open: bool) {
        let Some(until) = until else { return };
        if is_open {
            self.index.timed_questions.insert((until, id));
        } else {
            self.index.timed_questions.remove(&(until, id));
        }
    }
}

/// Puts a number into a set or takes it out.
fn put<K: Ord + Clone>(set: &mut CowSet<K>, id: K, is_in: bool) {
    if is_in {
        set.insert(id);
    } else {
        set.remove(&id);
    }
}
