//! Plans whose tasks are for agents: one loader for `tos plan run`, `tos task run` and nights.

use std::{collections::BTreeMap, path::Path};

use super::{Desk, Trouble, args::RunArgs};
use crate::{
    domain::{guarded::TaskList, plan::Plan},
    interfaces::cli::{
        commands::task,
        exit::{Exit, Trouble as Stop},
        kit::Kit,
    },
    ports::plan_store::LoadError,
};

/// Says by the name of a file whether it is a plan.
pub(in super::super) fn is_plan(file: &Path) -> bool {
    let ending = file.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ["yaml", "yml"].contains(&ending))
}

/// Loads the list of tasks that a plan gives to agents.
pub(in super::super) fn load(file: &Path, kit: &dyn Kit) -> Result<TaskList, Stop> {
    let plan = kit.shelf().load(file, &BTreeMap::new());
    let plan = plan.map_err(|error| Stop::Setup(told(&error)))?;
    let list = plan.guarded.map(|list| *list);
    list.ok_or_else(|| {
        Stop::Setup(format!(
            "{}: no task of this plan is for an agent; run it with `tos plan run`",
            file.display()
        ))
    })
}

fn told(error: &LoadError) -> String {
    match error {
        LoadError::Wrong { remedy, .. } if !remedy.is_empty() => format!("{error}; {remedy}"),
        LoadError::Wrong { .. } | LoadError::Unreadable { .. } => error.to_string(),
    }
}

/// Runs a plan of agents: asks the gate, then one task after the other.
pub(super) fn run(args: &RunArgs, mut list: TaskList, desk: Desk<'_>) -> Result<Exit, Trouble> {
    let meaningless = [
        (args.pace.max_parallel.is_some(), "--max-parallel"),
        (args.pace.fail_fast, "--fail-fast"),
        (args.workdir != Path::new("."), "--workdir"),
        (args.home.home.is_some(), "--home"),
    ];
    if let Some((_, option)) = meaningless.iter().find(|(given, _)| *given) {
        return Err(Trouble::Usage(format!(
            "`{option}` means nothing for a plan of agents: its tasks run one after the other, in work trees of the root"
        )));
    }
    if args.enforce {
        list.enforce().map_err(Trouble::Usage)?;
    }
    let ended = task::run(&list, None, desk.global, desk.kit, desk.printer);
    Ok(ended.unwrap_or_else(|stop| stop.show(desk.printer)))
}

/// Leaves the tasks of a plan that are still in its graph.
pub(super) fn kept(plan: &mut Plan) {
    if let Some(list) = &mut plan.guarded {
        let known = |id: &str| plan.tasks.iter().any(|task| &*task.id == id);
        list.tasks.retain(|task| known(&task.id));
    }
}
