//! What stands around the tasks of a plan whose policy is enforced: the wall, the small environment, the redaction,
//! and what tos itself may touch for a task.

use std::path::{Path, PathBuf};

use super::{confinement, context::AppContext};
use crate::{
    adapters::{process, sandbox},
    config::Settings,
    domain::{policy::PolicyContext, sandbox::SandboxBackend, state_folder::TOS_FOLDER},
    interfaces::cli::{
        exit::CliError,
        services::{PlanConfinement, ServiceFactory},
    },
    ports::plan_host::{FileAccessRules, TaskConfinement, normalize_path},
    services::plan::PlanConfinementFacts,
};

/// What tos, git and the configuration keep in a working directory or a root.
const KEPT: [&str; 5] = [".git", TOS_FOLDER, "config", "config_v0_3.json", "logs"];

/// Builds the guard of a plan that runs in `workdir` and keeps its runs in `home`.
pub(super) fn plan_confinement(
    context: &AppContext,
    settings: &Settings,
    home: &Path,
    workdir: &Path,
    sources: &[PathBuf],
) -> Result<PlanConfinement, CliError> {
    let closed = closed(settings, home, workdir, sources);
    let runs = records(home);
    let (wall, report, temporary) =
        confinement::build_for_plan(workdir, &closed, &runs, settings, &context.environment)?;
    let own_home = context.env_var("HOME").map(PathBuf::from);
    let mut hidden = sandbox::secret_paths(own_home.as_deref(), workdir);
    hidden.extend(runs);
    let redactor = context.redactor().clone();
    let environment =
        process::minimal(&context.environment, &settings.environment_allow, &redactor);
    Ok(PlanConfinement {
        confinement: PlanConfinementFacts {
            wall: report.choice.backend().unwrap_or(SandboxBackend::None),
            sentence: report.choice.describe(report.level),
        },
        world: PolicyContext {
            root: workdir.to_owned(),
            sandbox_proved: confinement::is_proved(&report),
            ..context.policy_context(&settings.root, false)
        },
        notice: confinement::notice(&report),
        guard: TaskConfinement {
            wall,
            temporary: Some(temporary),
            redactor,
            environment,
            reach: FileAccessRules {
                root: workdir.to_owned(),
                hidden,
                closed,
            },
        },
    })
}

/// Returns where runs are kept. Their copies of plans hold variables that are nobody else's business.
fn records(home: &Path) -> [PathBuf; 2] {
    let home = std::path::absolute(home).unwrap_or_else(|_| home.to_owned());
    let real = home
        .canonicalize()
        .unwrap_or_else(|_| normalize_path(&home));
    [real.join("runs"), real.join("cache")]
}

/// Returns what no task may write, as far as it lies in the working directory.
fn closed(settings: &Settings, home: &Path, workdir: &Path, sources: &[PathBuf]) -> Vec<PathBuf> {
    let kept = [workdir, settings.root.as_path()]
        .into_iter()
        .flat_map(|base| KEPT.iter().map(move |name| base.join(name)));
    let logs = settings.root.join(&settings.paths.logs);
    let home = std::path::absolute(home).unwrap_or_else(|_| home.to_owned());
    // A plan must not make itself milder for the next time.
    let sources = sources.iter().filter_map(|path| path.canonicalize().ok());
    let homes = [home.join("runs"), home.join("cache"), home];
    let mut closed: Vec<PathBuf> = kept
        .chain([logs])
        .chain(homes)
        .chain(sources)
        .chain(settings.config_file.clone())
        .map(|path| {
            path.canonicalize()
                .unwrap_or_else(|_| normalize_path(&path))
        })
        .filter(|path| path.starts_with(workdir) && path != workdir)
        .collect();
    closed.sort();
    closed.dedup();
    closed
}
