//! What stands around the tasks of a plan whose policy is enforced: the wall, the small environment, the redaction,
//! and what tos itself may touch for a task.

use std::path::{Path, PathBuf};

use super::{kit::House, walls};
use crate::{
    adapters::{process, sandbox},
    config::Settings,
    domain::{confinement::Backend, policy::World},
    interfaces::cli::{
        exit::Trouble,
        kit::{Kit, PlanGuard},
    },
    ports::plan_host::{Guard, Reach, without_dots},
    services::plan_runner::Confinement,
};

/// What tos, git and the configuration keep in a working directory or a root.
const KEPT: [&str; 5] = [".git", ".tos", "config", "config_v0_3.json", "logs"];

/// Builds the guard of a plan that runs in `workdir` and keeps its runs in `home`.
pub(super) fn guard(
    house: &House,
    settings: &Settings,
    home: &Path,
    workdir: &Path,
    sources: &[PathBuf],
) -> Result<PlanGuard, Trouble> {
    let closed = closed(settings, home, workdir, sources);
    let runs = records(home);
    let (wall, report) = walls::around(workdir, &closed, &runs, settings, &house.environment)?;
    let own_home = house.variable("HOME").map(PathBuf::from);
    let mut hidden = sandbox::hidden_places(own_home.as_deref(), workdir);
    hidden.extend(runs);
    let redactor = house.redactor().clone();
    let environment = process::minimal(&house.environment, &settings.environment_allow, &redactor);
    Ok(PlanGuard {
        confinement: Confinement {
            wall: report.choice.backend().unwrap_or(Backend::None),
            sentence: report.choice.sentence(report.level),
        },
        world: World {
            root: workdir.to_owned(),
            sandbox_proved: walls::is_proved(&report),
            ..house.world(settings, false)
        },
        notice: walls::notice(&report),
        guard: Guard {
            wall,
            redactor,
            environment,
            reach: Reach {
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
    let real = home.canonicalize().unwrap_or_else(|_| without_dots(&home));
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
        .map(|path| path.canonicalize().unwrap_or_else(|_| without_dots(&path)))
        .filter(|path| path.starts_with(workdir) && path != workdir)
        .collect();
    closed.sort();
    closed.dedup();
    closed
}
