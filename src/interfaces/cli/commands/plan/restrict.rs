//! Only the named tasks of a plan and what they depend on.

use std::collections::BTreeMap;

use super::PlanCliError;
use crate::{
    domain::plan::{Plan, TaskIndex, graph::PlanGraph},
    interfaces::cli::commands::plan::agents,
};

/// Keeps only the named tasks and what they depend on.
pub(super) fn restricted(plan: Plan, only: &[String]) -> Result<Plan, PlanCliError> {
    let ids: Vec<String> = plan.tasks.iter().map(|task| task.id.to_string()).collect();
    let mut roots = Vec::new();
    for id in only {
        roots.extend(super::named(&ids, id)?);
    }
    let graph = PlanGraph::of(&plan);
    let handlers = u32::try_from(plan.main_task_count()).unwrap_or(u32::MAX)..graph.tasks().end;
    roots.extend(handlers);
    let keep = graph.transitive_dependencies(&roots);
    let positions: BTreeMap<TaskIndex, TaskIndex> = keep.iter().copied().zip(0..).collect();
    let mut tasks = Vec::with_capacity(keep.len());
    for index in &keep {
        let Some(mut task) = plan.task(*index).cloned() else {
            continue;
        };
        task.depends_on = task
            .depends_on
            .iter()
            .filter_map(|up| positions.get(up).copied())
            .collect();
        tasks.push(task);
    }
    let mut plan = Plan { tasks, ..plan };
    agents::drop_removed_tasks(&mut plan);
    Ok(plan)
}
