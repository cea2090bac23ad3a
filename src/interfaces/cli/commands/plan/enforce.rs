//! `policy: enforce`: every task is judged before anything runs, and runs behind the wall that was proved.
//!
//! What cannot be confined as configured is refused here, before there is a run.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{Desk, Trouble};
use crate::{
    config::Settings,
    domain::{
        command::{Command, Kind},
        plan::{
            Plan, Task, TaskIndex,
            task::{Action, JobTask, PolicyMode},
        },
    },
    ports::plan_host::{Guard, without_dots},
    services::plan_runner::Confinement,
};

/// What the policy has to say about a plan.
#[derive(Default)]
pub(super) struct Enforced {
    /// What stands around its tasks.
    pub(super) guard: Option<Guard>,
    /// The same for the records.
    pub(super) confinement: Option<Confinement>,
    /// The tasks that are forbidden, and why.
    pub(super) denied: BTreeMap<TaskIndex, String>,
}

/// Builds the wall around the tasks of a plan that wants it, and judges them.
pub(super) fn prepare(
    desk: Desk<'_>,
    plan: &Plan,
    home: &Path,
    workdir: &Path,
) -> Result<Enforced, Trouble> {
    if plan.policy == PolicyMode::Off {
        return Ok(Enforced::default());
    }
    let wrong = |error: String| Trouble::Usage(format!("the policy cannot be read: {error}"));
    let settings = desk
        .kit
        .settings(desk.global)
        .map_err(|error| wrong(error.to_string()))?;
    let policy = settings
        .policy()
        .map_err(|error| wrong(error.to_string()))?;
    let around = desk
        .kit
        .plan_guard(&settings, home, workdir)
        .map_err(|error| Trouble::Usage(error.to_string()))?;
    if let Some(folder) = &plan.artifacts_dir
        && !around
            .guard
            .reach
            .may_write(&without_dots(&workdir.join(folder)))
    {
        return Err(Trouble::Usage(format!(
            "under `policy: enforce` `artifacts_dir` must lie in the working directory, outside of what tos and git keep \
             there, found `{folder}`"
        )));
    }
    if let Some(notice) = &around.notice {
        desk.printer.alert(notice);
    }
    let mut denied = BTreeMap::new();
    for (index, task) in (0..).zip(&plan.tasks) {
        let why = match &task.action {
            Action::Job(job) => job_fault(task, job, &settings, workdir),
            Action::Argv(_) | Action::Shell(_) => {
                let verdict = policy.judge(&command(&task.action), &around.world);
                (!verdict.is_allowed())
                    .then(|| format!("the policy forbids it: {}", verdict.reason))
            }
        };
        denied.extend(why.map(|why| (index, why)));
    }
    Ok(Enforced {
        guard: Some(around.guard),
        confinement: Some(around.confinement),
        denied,
    })
}

fn command(action: &Action) -> Command {
    let (kind, code, argv) = match action {
        Action::Argv(argv) => (Kind::Exec, String::new(), argv.clone()),
        Action::Shell(code) => (Kind::Sh, code.clone(), Vec::new()),
        Action::Job(_) => (Kind::Exec, String::new(), Vec::new()),
    };
    Command { kind, code, argv }
}

/// A job judges and confines its own commands by the configuration of its root: a plan may not bring a milder one.
fn job_fault(task: &Task, job: &JobTask, settings: &Settings, workdir: &Path) -> Option<String> {
    let cwd = task
        .cwd
        .as_deref()
        .map_or_else(|| workdir.to_owned(), |cwd| workdir.join(cwd));
    let root: PathBuf = without_dots(&cwd.join(&job.root));
    let has_env_file = task
        .extra
        .as_ref()
        .is_some_and(|extra| !extra.env_file.is_empty());
    if root != settings.root || settings.config_file.is_none() {
        return Some(format!(
            "under `policy: enforce` a job runs only in the root whose configuration judges the plan, `{}`, and only where \
             that has a configuration file",
            settings.root.display()
        ));
    }
    let brings = [
        ("config", job.config.is_some()),
        ("args", !job.args.is_empty()),
        ("env", task.env.is_some()),
        ("env_file", has_env_file),
    ];
    let (name, _) = brings.into_iter().find(|(_, given)| *given)?;
    Some(format!(
        "under `policy: enforce` a job brings no settings of its own; remove `{name}`"
    ))
}
