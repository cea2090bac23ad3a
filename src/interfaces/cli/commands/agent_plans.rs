//! Plans whose tasks are for agents, as lists of tasks.

use std::{collections::BTreeMap, path::Path};

use crate::{
    domain::tasks::TaskList,
    interfaces::cli::{exit::CliError as Stop, services::ServiceFactory},
    ports::plan_store::LoadError,
};

fn told(error: &LoadError) -> String {
    match error {
        LoadError::Wrong { remedy, .. } if !remedy.is_empty() => format!("{error}; {remedy}"),
        LoadError::Wrong { .. } | LoadError::Unreadable { .. } => error.to_string(),
    }
}

/// Says by the name of a file whether it is a plan.
pub(super) fn is_plan(file: &Path) -> bool {
    let ending = file.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ["yaml", "yml"].contains(&ending))
}

/// Loads the list of tasks that a plan gives to agents.
pub(super) fn load(file: &Path, services: &dyn ServiceFactory) -> Result<TaskList, Stop> {
    let plan = services.plan_store().load(file, &BTreeMap::new());
    let plan = plan.map_err(|error| Stop::Setup(told(&error)))?;
    let list = plan.guarded.map(|list| *list);
    list.ok_or_else(|| {
        Stop::Setup(format!(
            "{}: no task of this plan is for an agent; run it with `tos plan run`",
            file.display()
        ))
    })
}
