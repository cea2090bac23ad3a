//! A run whose plan was edited after it began: says so, and goes on with either plan.

use super::{PlanCliError, PlanCommands, restrict::restricted};
use crate::{
    domain::plan::{
        Plan, TaskIndex, event::PlanSource, graph::PlanGraph, state::RunState, task::PolicyMode,
    },
    ports::plan_store::RunDir,
};

/// Returns the files of the plan as they are now, where one of them is not what it was when the run began.
pub(super) fn changed_sources(
    context: PlanCommands<'_>,
    state: &RunState,
) -> Option<Vec<PlanSource>> {
    let then = &state.created.sources;
    let now: Vec<PlanSource> = then
        .iter()
        // A file that is gone says nothing about what anybody wants.
        .map(|source| context.plan_store.source(source.path.as_ref()).unwrap_or_else(|| source.clone()))
        .collect();
    (now != *then).then_some(now)
}

/// Says that the plan was edited, and how to use it.
pub(super) fn announce(
    context: PlanCommands<'_>,
    run: &dyn RunDir,
    state: &RunState,
    now: &[PlanSource],
) {
    let changed = now.iter().zip(&state.created.sources);
    let changed = changed.filter(|(now, then)| now != then);
    let names: Vec<String> = changed.map(|(now, _)| format!("`{}`", now.path)).collect();
    context.printer.alert(&format!(
        "note: {} was edited after the run began; the run goes on with the plan as it was. To go on with the edited plan: \
         `tos plan resume {} --edited`",
        names.join(", "),
        run.id()
    ));
}

/// Loads the edited plan in place of the old one; returns it with the tasks that have to run again for it.
pub(super) fn load_edited_plan(
    context: PlanCommands<'_>,
    run: &mut dyn RunDir,
    state: &RunState,
    old: &Plan,
) -> Result<(Plan, Vec<TaskIndex>), PlanCliError> {
    let created = &state.created;
    let Some(first) = created.sources.first() else {
        return Err(PlanCliError::Usage(format!(
            "run `{}` did not note which file its plan came from; begin a new run",
            run.id()
        )));
    };
    let mut plan = context
        .plan_store
        .load(first.path.as_ref(), &created.params)?;
    if old.policy == PolicyMode::Enforce {
        // Whatever made the run enforced, an edit must not undo it.
        plan.policy = PolicyMode::Enforce;
    }
    if !created.only.is_empty() {
        plan = restricted(plan, &created.only)?;
    }
    let ids = |plan: &Plan| -> Vec<String> {
        plan.tasks.iter().map(|task| task.id.to_string()).collect()
    };
    let (before, after) = (ids(old), ids(&plan));
    if before != after || old.handlers != plan.handlers {
        let list = |of: &[String], without: &[String]| {
            let names: Vec<&str> = of
                .iter()
                .filter(|id| !without.contains(id))
                .map(String::as_str)
                .collect();
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        };
        return Err(PlanCliError::Usage(format!(
            "the edited plan has other tasks than run `{}`, or another order (new: {}; gone: {}); begin a new run: \
             `tos plan run {}`",
            run.id(),
            list(&after, &before),
            list(&before, &after),
            created.plan
        )));
    }
    let changed: Vec<TaskIndex> = (0_u32..)
        .zip(old.tasks.iter().zip(&plan.tasks))
        .filter(|(_, (old, new))| old != new)
        .map(|(index, _)| index)
        .collect();
    let affected = PlanGraph::of(&plan).transitive_dependents(&changed);
    let is_over = |index: &TaskIndex| state.task(*index).is_some_and(|task| task.status.is_over());
    let again = affected.into_iter().filter(is_over).collect();
    run.replace_plan(&plan)?;
    Ok((plan, again))
}
