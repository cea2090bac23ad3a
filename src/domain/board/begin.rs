//! A service begins: what of the one before goes on, what comes back, what is begun anew.

use std::collections::BTreeSet;

use super::{
    BlockReason, Board, Draft, Effect, Fence, JudgeEvent, PlanStatus, ProcessName, RequeueCause,
    RunEvent, SystemEvent,
};

impl Board {
    pub(super) fn service_started(
        &self,
        draft: &mut Draft,
        instance: &str,
        adopt: &BTreeSet<Fence>,
    ) {
        draft.event(SystemEvent::Started {
            instance: instance.to_owned(),
        });
        for judgement in self.live_judgements() {
            let detail = "the service was started again".to_owned();
            draft.event(JudgeEvent::Dropped {
                judgement: judgement.id,
                detail,
            });
        }
        for run in self.live_runs() {
            if adopt.contains(&run.lease.fence) && run.agent.is_restarted() {
                // Its agent here is given it again once it is up.
                let until = draft.now + self.settings().lease_ms;
                draft.event(RunEvent::Renewed { run: run.id, until });
                continue;
            }
            self.cancel_and_requeue(
                draft,
                run,
                RequeueCause::ServiceStarted,
                "the service was started again",
            );
        }
        // Nothing of the old service is there to be stopped.
        draft.decision.effects.clear();
        self.resume_sessions(draft);
        if self.hatch().since.is_none() {
            draft.event(SystemEvent::HatchArmed {
                source: "serve".to_owned(),
                by_person: false,
            });
        }
        for task in self
            .tasks()
            .filter(|task| task.block == Some(BlockReason::IssueLinking))
        {
            draft.effect(Effect::Link { task: task.id });
        }
        if let Some(plan) = self
            .plans()
            .find(|plan| plan.status == PlanStatus::Planning)
        {
            self.request_start(draft, ProcessName::Planner, "serve", true, Some(plan.id));
        }
    }
}
