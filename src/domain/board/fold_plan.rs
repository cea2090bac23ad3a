//! Folding events about plans.

use std::sync::Arc;

use super::{Board, EntityKey, Millis, PlanEvent, PlanId, PlanStatus, RequirementPlan, Spend};

impl Board {
    pub(super) fn change_plan(&mut self, id: PlanId, change: impl FnOnce(&mut RequirementPlan)) {
        if let Some(plan) = self.plans.get_mut(&id) {
            change(Arc::make_mut(plan));
            self.dirty.insert(EntityKey::Plan(id));
        }
    }

    /// Makes a plan that a planner will work on.
    pub(super) fn fold_requested(&mut self, id: PlanId, requirement: &str, at: Millis) {
        self.globals_mut().last_plan = id;
        self.dirty.insert(EntityKey::Plan(id));
        let made = RequirementPlan {
            id,
            requirement: requirement.to_owned(),
            status: PlanStatus::Planning,
            tasks: Vec::new(),
            detail: String::new(),
            created_at: at,
            finished_at: None,
            of: None,
            round: 0,
            preview: false,
            maker: String::new(),
            proposal: Vec::new(),
            edits: 0,
            spent: Spend::default(),
        };
        self.plans.insert(id, Arc::new(made));
    }

    pub(super) fn fold_plan(&mut self, event: &PlanEvent, at: Millis) {
        match event {
            PlanEvent::Replanned {
                plan,
                of,
                requirement,
            } => {
                let before = self.plan(*of).map(|plan| (plan.round, plan.preview));
                let (round, preview) = before.unwrap_or_default();
                self.fold_requested(*plan, requirement, at);
                self.change_plan(*plan, |plan| {
                    plan.of = Some(*of);
                    plan.round = round + 1;
                    plan.preview = preview;
                });
            }
            PlanEvent::PreviewWanted { plan } => {
                self.change_plan(*plan, |plan| plan.preview = true);
            }
            PlanEvent::Spent { plan, spend } => {
                self.globals_mut().budget.add(*spend, at);
                self.change_plan(*plan, |plan| plan.spent = plan.spent.plus(*spend));
            }
            PlanEvent::Proposed { plan, maker, tasks } => self.change_plan(*plan, |plan| {
                plan.status = PlanStatus::Proposed;
                plan.maker.clone_from(maker);
                plan.proposal.clone_from(tasks);
            }),
            PlanEvent::Edited { plan, tasks, .. } => self.change_plan(*plan, |plan| {
                plan.proposal.clone_from(tasks);
                plan.edits += 1;
            }),
            PlanEvent::Declined { plan, by } => self.change_plan(*plan, |plan| {
                plan.status = PlanStatus::Declined;
                plan.detail = format!("declined by {by}");
                plan.finished_at = Some(at);
            }),
            PlanEvent::NothingLeft {
                plan,
                maker,
                detail,
            } => self.change_plan(*plan, |plan| {
                plan.status = PlanStatus::NothingLeft;
                plan.maker.clone_from(maker);
                plan.detail.clone_from(detail);
                plan.finished_at = Some(at);
            }),
        }
    }
}
