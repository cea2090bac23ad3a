//! `policy: enforce`: every task is judged before anything runs, and runs behind the wall that was proved.
//!
//! What cannot be confined as configured is refused here, before there is a run.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{PlanCliError, PlanCommands};
use crate::{
    config::Settings,
    domain::{
        command::{Command, CommandKind},
        plan::{
            Plan, PlanTask, TaskIndex,
            task::{JobTask, PolicyMode, TaskAction, TaskStdin},
        },
    },
    ports::plan_host::{TaskConfinement, normalize_path},
    services::plan::PlanConfinementFacts,
};

/// What the policy has to say about a plan.
#[derive(Default)]
pub(super) struct EnforcedPolicy {
    /// What stands around its tasks.
    pub(super) guard: Option<TaskConfinement>,
    /// The same for the records.
    pub(super) confinement: Option<PlanConfinementFacts>,
    /// The tasks that are forbidden, and why.
    pub(super) denied: BTreeMap<TaskIndex, String>,
}

/// Builds the wall around the tasks of a plan that wants it, and judges them.
pub(super) fn prepare(
    context: PlanCommands<'_>,
    plan: &Plan,
    home: &Path,
    workdir: &Path,
    sources: &[PathBuf],
) -> Result<EnforcedPolicy, PlanCliError> {
    if plan.policy != PolicyMode::Enforce {
        return Ok(EnforcedPolicy::default());
    }
    let wrong = |error: String| PlanCliError::Usage(format!("the policy cannot be read: {error}"));
    let settings = context
        .services
        .settings(context.global)
        .map_err(|error| wrong(error.to_string()))?;
    let policy = settings
        .policy()
        .map_err(|error| wrong(error.to_string()))?;
    let around = context
        .services
        .plan_confinement(&settings, home, workdir, sources)
        .map_err(|error| PlanCliError::Usage(error.to_string()))?;
    if let Some(folder) = &plan.artifacts_dir
        && !around
            .guard
            .reach
            .may_write(&normalize_path(&workdir.join(folder)))
    {
        return Err(PlanCliError::Usage(format!(
            "under `policy: enforce` `artifacts_dir` must lie in the working directory, outside of what tos and git keep \
             there, found `{folder}`"
        )));
    }
    if let Some(notice) = &around.notice {
        context.printer.alert(notice);
    }
    let mut denied = BTreeMap::new();
    for (index, task) in (0..).zip(&plan.tasks) {
        let why = match &task.action {
            TaskAction::Job(job) => job_fault(task, job, &settings, workdir),
            TaskAction::Argv(_) | TaskAction::Shell(_) => {
                let verdict = policy.judge(&command(task), &around.world);
                (!verdict.is_allowed())
                    .then(|| format!("the policy forbids it: {}", verdict.reason))
            }
        };
        // The reason quotes the command, and goes into the records.
        denied.extend(why.map(|why| (index, around.guard.redactor.clean(&why))));
    }
    Ok(EnforcedPolicy {
        guard: Some(around.guard),
        confinement: Some(around.confinement),
        denied,
    })
}

/// Returns the command of a task as the policy has to see it. Where the task says more than a command (a directory,
/// variables, input), that decides what the command does, so it is all spelled out for a shell.
pub(super) fn command(task: &PlanTask) -> Command {
    let (kind, code, argv) = match &task.action {
        TaskAction::Argv(argv) => (CommandKind::Exec, String::new(), argv.clone()),
        TaskAction::Shell(code) => (CommandKind::Sh, code.clone(), Vec::new()),
        TaskAction::Job(_) => (CommandKind::Exec, String::new(), Vec::new()),
    };
    let stdin = task.extra.as_ref().map(|extra| &extra.stdin);
    let (before, after) = (surroundings(task), stdin.map(input).unwrap_or_default());
    if before.is_empty() && after.is_empty() {
        return Command { kind, code, argv };
    }
    if kind == CommandKind::Sh {
        let code = format!("{before}{{ {code}\n}}{after}");
        return Command { kind, code, argv };
    }
    let words: Vec<String> = argv.iter().map(|word| quoted(word)).collect();
    let text = format!("{before}{}{after}", words.join(" "));
    Command {
        kind,
        code,
        argv: vec!["sh".to_owned(), "-c".to_owned(), text],
    }
}

fn surroundings(task: &PlanTask) -> String {
    let mut text = String::new();
    if let Some(cwd) = &task.cwd {
        text.extend(["cd -- ", &quoted(cwd), " || exit\n"]);
    }
    let is_name = |name: &str| {
        !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    for (name, value) in task.env.iter().flatten().filter(|(name, _)| is_name(name)) {
        text.extend(["export ", name, "=", &quoted(value), "\n"]);
    }
    text
}

fn input(stdin: &TaskStdin) -> String {
    match stdin {
        TaskStdin::Empty => String::new(),
        TaskStdin::File(path) => format!(" < {}\n", quoted(path)),
        TaskStdin::Text(text) => {
            let mut end = "END".to_owned();
            while text.lines().any(|line| line == end) {
                end.push('_');
            }
            format!(" <<'{end}'\n{text}\n{end}\n")
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A job judges and confines its own commands by the configuration of its root: a plan may not bring a milder one.
fn job_fault(
    task: &PlanTask,
    job: &JobTask,
    settings: &Settings,
    workdir: &Path,
) -> Option<String> {
    let cwd = task
        .cwd
        .as_deref()
        .map_or_else(|| workdir.to_owned(), |cwd| workdir.join(cwd));
    let root: PathBuf = normalize_path(&cwd.join(&job.root));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::task::OptionalTaskSettings;

    #[test]
    fn what_surrounds_a_command_is_spelled_out() {
        let mut task = PlanTask {
            id: "a".into(),
            action: TaskAction::Argv(vec!["cat".to_owned(), "it's".to_owned()]),
            depends_on: Vec::new(),
            cwd: None,
            env: None,
            timeout_sec: None,
            retries: 0,
            retry_backoff_sec: Vec::new(),
            outputs: Vec::new(),
            extra: None,
        };
        assert_eq!(command(&task).argv, ["cat", "it's"]);
        task.cwd = Some("sub dir".into());
        task.env = Some(
            [("A", "1"), ("B-C", "2")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
        );
        task.extra = Some(Box::new(OptionalTaskSettings {
            stdin: TaskStdin::Text("x\nEND".to_owned()),
            ..OptionalTaskSettings::default()
        }));
        let wanted =
            "cd -- 'sub dir' || exit\nexport A='1'\n'cat' 'it'\\''s' <<'END_'\nx\nEND\nEND_\n";
        assert_eq!(command(&task).argv, ["sh", "-c", wanted]);
        task.action = TaskAction::Shell("cat # all".to_owned());
        task.extra = None;
        assert_eq!(
            command(&task).code,
            "cd -- 'sub dir' || exit\nexport A='1'\n{ cat # all\n}"
        );
    }
}
