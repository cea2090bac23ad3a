//! Plans whose tasks are for agents: one loader for `tos plan run`, `tos task run` and nights.

use std::path::Path;

use super::{PlanCliError, PlanCommands, args::RunArgs};
use crate::{
    domain::{plan::Plan, tasks::TaskList},
    interfaces::cli::{commands::task, exit::CliExit},
};

/// Runs a plan of agents: asks the gate, then one task after the other.
pub(super) fn run(
    args: &RunArgs,
    mut list: TaskList,
    context: PlanCommands<'_>,
) -> Result<CliExit, PlanCliError> {
    let meaningless = [
        (args.pace.max_parallel.is_some(), "--max-parallel"),
        (args.pace.fail_fast, "--fail-fast"),
        (args.workdir != Path::new("."), "--workdir"),
        (args.home.home.is_some(), "--home"),
    ];
    if let Some((_, option)) = meaningless.iter().find(|(given, _)| *given) {
        return Err(PlanCliError::Usage(format!(
            "`{option}` means nothing for a plan of agents: its tasks run one after the other, in work trees of the root"
        )));
    }
    if args.enforce {
        list.restrict_untrusted().map_err(PlanCliError::Usage)?;
    }
    let ended = task::run(
        &list,
        None,
        false,
        context.global,
        context.services,
        context.printer,
    );
    Ok(ended.unwrap_or_else(|stop| stop.show(context.printer)))
}

/// Leaves the tasks of a plan that are still in its graph.
pub(super) fn drop_removed_tasks(plan: &mut Plan) {
    if let Some(list) = &mut plan.guarded {
        let known = |id: &str| plan.tasks.iter().any(|task| &*task.id == id);
        list.tasks.retain(|task| known(&task.id));
    }
}
