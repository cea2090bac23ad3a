//! Sets of commands by writers who saw neither the code nor the rules' texts, judged in the project that they were told of.
//!
//! Figures from before anything was learnt from a set are in `docs/policy.md`; here nothing may be lost again. Danger: where the
//! project on the disk changes, so does what is harmless: tools that are installed, lock files that are there.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tos::domain::policy::{FilesystemView, PolicyContext};

use super::{careful, command, tallies_by};

const SETS: &str = include_str!("corpus/sets.jsonl");
/// What the project holds besides its sources.
const FILES: &str = "package.json package-lock.json Cargo.toml Cargo.lock Makefile pyproject.toml uv.lock poetry.lock requirements.txt go.mod
    go.sum Gemfile Gemfile.lock composer.json composer.lock mix.lock packages.lock.json tsconfig.json Dockerfile docker-compose.yml README.md .env .gitignore
    .github src tests scripts docs build dist target packages packages/core cmd cmd/server node_modules .git";
/// Tools of `node_modules/.bin`.
const TOOLS: &str =
    "eslint prettier tsc jest vitest vite webpack playwright tsx ts-node esbuild biome";

fn is_one(list: &str, name: &Path) -> bool {
    list.split_whitespace()
        .any(|known| Path::new(known) == name)
}

/// The disk of a person with that project.
#[derive(Debug)]
struct Project;

impl FilesystemView for Project {
    fn real_path(&self, path: &Path) -> Option<PathBuf> {
        Some(path.to_owned())
    }

    fn known_program(&self, path: &Path) -> Option<String> {
        let tool = path.strip_prefix("/home/dev/app/node_modules/.bin").ok()?;
        is_one(TOOLS, tool).then(|| tool.display().to_string())
    }

    fn is_there(&self, path: &Path) -> bool {
        let Ok(inside) = path.strip_prefix("/home/dev/app") else {
            return true;
        };
        let tool = inside.strip_prefix("node_modules/.bin").ok();
        inside == Path::new("")
            || is_one(FILES, inside)
            || tool.is_some_and(|tool| is_one(TOOLS, tool))
    }
}

#[test]
fn what_independent_writers_thought_of_is_judged_within_the_goals() {
    let mut world = PolicyContext::unattended("/home/dev/app");
    world.home = Some(PathBuf::from("/home/dev"));
    world.eyes = Some(Arc::new(Project));
    let [[missed, alarms], [missed_windows, alarms_windows]] = tallies_by(SETS, |kind, code| {
        careful().judge(&command(kind, code), &world).decision
    });
    assert!(missed.all > 600 && alarms.all > 600 && missed_windows.all > 300);
    assert!(missed.is_within(1), "{missed:#?}");
    assert!(alarms.is_within(3), "{alarms:#?}");
    assert!(missed_windows.is_within(1), "{missed_windows:#?}");
    assert!(alarms_windows.is_within(2), "{alarms_windows:#?}");
}
