//! Past work as the page shows it: runs of plans, nights, and where the gates stand.

use super::board_access::{ServiceBoard, unavailable};
use crate::{
    adapters::plan::LocalPlanStore,
    domain::{
        gates::{AutonomyAccount, GateContext, account},
        night::{run_ids, summarise_run},
        plan::state::TaskStatus,
        state_folder::TOS_FOLDER,
    },
    interfaces::report::night,
    ports::{
        board::{BoardError, HistoryEntry, HistoryKind},
        plan_store::PlanStore as _,
    },
};

/// How many past works of a kind are shown.
const PAST: usize = 50;

impl ServiceBoard {
    pub(super) fn past_work(&self, kind: HistoryKind) -> Result<Vec<HistoryEntry>, BoardError> {
        match kind {
            HistoryKind::PlanRuns => self.plan_runs(),
            HistoryKind::Nights => self.nights(),
        }
    }

    fn plan_runs(&self) -> Result<Vec<HistoryEntry>, BoardError> {
        let store = LocalPlanStore;
        let home = self.root.join(TOS_FOLDER);
        if !home.is_dir() {
            return Ok(Vec::new());
        }
        let names = store.runs(&home).map_err(unavailable)?;
        let past = names.into_iter().rev().take(PAST).map(|name| {
            let run = store.open(&home, &name).ok();
            let Some(state) = run.as_ref().and_then(|run| run.state().ok()) else {
                let never_began = run.as_ref().is_some_and(|run| run.never_began());
                let status = if never_began {
                    "NEVER_BEGAN"
                } else {
                    "DAMAGED"
                }
                .to_owned();
                return HistoryEntry {
                    id: name,
                    status,
                    ..HistoryEntry::default()
                };
            };
            let is_open = matches!(state.status, TaskStatus::Running | TaskStatus::Pending);
            let is_dead = is_open && !run.is_some_and(|run| run.is_live());
            let status = if is_dead {
                TaskStatus::Interrupted
            } else {
                state.status
            };
            let good = state.count(TaskStatus::Success);
            HistoryEntry {
                id: name,
                title: state.created.goal.clone().unwrap_or_default(),
                status: status.name().to_owned(),
                at: u64::try_from(state.created.at).ok(),
                facts: vec![
                    ("tasks".to_owned(), state.tasks.len().to_string()),
                    ("succeeded".to_owned(), good.to_string()),
                ],
                text: String::new(),
            }
        });
        Ok(past.collect())
    }

    fn nights(&self) -> Result<Vec<HistoryEntry>, BoardError> {
        let records = self.ledger.read().map_err(unavailable)?.records;
        let runs = run_ids(&records);
        let newest = runs.iter().rev().take(PAST);
        let past = newest.filter_map(|run| {
            let summary = summarise_run(&records, run)?;
            let began = summary.sessions.first().map(|session| session.began);
            Some(HistoryEntry {
                id: run.clone(),
                title: summary.list.clone(),
                status: summary.last_session_end().to_owned(),
                at: began.and_then(|at| u64::try_from(at.timestamp_millis()).ok()),
                facts: vec![
                    ("tasks".to_owned(), summary.tasks.len().to_string()),
                    ("retries".to_owned(), summary.retries.to_string()),
                ],
                text: night::text(&summary),
            })
        });
        Ok(past.collect())
    }

    pub(super) fn account_of_gates(&self) -> Result<AutonomyAccount, BoardError> {
        let records = self.ledger.read().map_err(unavailable)?.records;
        let here = GateContext {
            at: self.clock.now(),
            ..self.here.clone()
        };
        Ok(account(&self.gates.gates, &records, &here))
    }
}
