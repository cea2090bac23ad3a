//! The runs of this machine's homes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{
    adapters::plan::{
        cache::ResultCache,
        loader,
        run_dir::{LocalRunDir, has_no_record},
        safe_open,
    },
    domain::{
        ledger::chain::sha256,
        plan::{
            Plan,
            event::{PlanEvent, PlanSource, RunCreated},
            run_id,
        },
        state_folder::TOS_FOLDER,
    },
    ports::plan_store::{CacheCleanup, CacheCleanupResult, Error, LoadError, PlanStore, RunDir},
};

/// Plans and runs as files.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalPlanStore;

impl PlanStore for LocalPlanStore {
    fn load(&self, path: &Path, params: &BTreeMap<String, String>) -> Result<Plan, LoadError> {
        loader::load(path, params)
    }

    fn home(&self, given: Option<&Path>) -> Result<PathBuf, Error> {
        let home = match given {
            Some(home) => home.to_owned(),
            None => return self.home_of(Path::new("")),
        };
        let refuse = |why: String| Error::Home {
            path: home.clone(),
            why,
        };
        if home.as_os_str().is_empty() {
            return Err(refuse("its name is empty".to_owned()));
        }
        if let Some(link) = safe_open::symlink_in(&home.join("runs")) {
            return Err(refuse(format!(
                "`{}` is a symbolic link; name the directory itself",
                link.display()
            )));
        }
        // Also what lies above it: below a file nothing can be made.
        for path in home.join("runs").ancestors() {
            if std::fs::metadata(path).is_ok_and(|found| !found.is_dir()) {
                return Err(refuse(format!("`{}` is not a directory", path.display())));
            }
        }
        Ok(home)
    }

    fn home_of(&self, root: &Path) -> Result<PathBuf, Error> {
        let old = root.join(".orch");
        let home = if old.is_dir() {
            old
        } else {
            root.join(TOS_FOLDER)
        };
        self.home(Some(&home))
    }

    fn workdir(&self, given: &Path) -> Result<PathBuf, Error> {
        let refuse = |why: String| Error::Workdir {
            path: given.to_owned(),
            why,
        };
        let whole = std::fs::canonicalize(given).map_err(|error| refuse(error.to_string()))?;
        if whole.is_dir() {
            Ok(whole)
        } else {
            Err(refuse("it is not a directory".to_owned()))
        }
    }

    fn create(
        &self,
        home: &Path,
        plan: &Plan,
        created: RunCreated,
    ) -> Result<Box<dyn RunDir>, Error> {
        let mut run = LocalRunDir::at(home, &created.run_id);
        run.make()?;
        let begun = run
            .fill(plan)
            .and_then(|()| run.append(&[PlanEvent::Created(created)]));
        if begun.is_err() {
            run.unmake();
        }
        begun?;
        Ok(Box::new(run))
    }

    fn open(&self, home: &Path, name: &str) -> Result<Box<dyn RunDir>, Error> {
        if !run_id::is_valid(name) {
            return Err(Error::BadName {
                name: name.to_owned(),
            });
        }
        let unknown = || Error::Unknown {
            name: name.to_owned(),
            home: home.to_owned(),
        };
        let runs = self.runs(home)?;
        if name == "latest" {
            let latest = latest(home, &runs).ok_or_else(unknown)?;
            return Ok(Box::new(LocalRunDir::at(home, latest)));
        }
        let mut found: Vec<String> = runs
            .into_iter()
            .filter(|run| run.starts_with(name))
            .collect();
        if let Some(exact) = found.iter().position(|run| run == name) {
            found = vec![found.swap_remove(exact)];
        }
        match found.as_slice() {
            [] => Err(unknown()),
            [one] => Ok(Box::new(LocalRunDir::at(home, one))),
            _ => {
                found.truncate(5);
                Err(Error::Ambiguous {
                    name: name.to_owned(),
                    found,
                })
            }
        }
    }

    fn sweep_cache(&self, home: &Path, sweep: &CacheCleanup<'_>) -> CacheCleanupResult {
        ResultCache::of(home).sweep(sweep)
    }

    fn source(&self, path: &Path) -> Option<PlanSource> {
        let bytes = safe_open::read_regular(path, loader::MAX_BYTES).ok()?;
        let whole = std::fs::canonicalize(path).ok()?;
        Some(PlanSource {
            path: whole.to_str()?.to_owned(),
            sha256: sha256(&bytes),
        })
    }

    fn runs(&self, home: &Path) -> Result<Vec<String>, Error> {
        let Ok(entries) = std::fs::read_dir(home.join("runs")) else {
            return Ok(Vec::new());
        };
        let is_run = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        let names = entries
            .flatten()
            .filter(is_run)
            .filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| run_id::is_valid(name)).collect();
        names.sort_unstable();
        for group in names.chunk_by_mut(|one, next| second(one) == second(next)) {
            // Hardly ever are there several, and nothing else has to be looked at.
            if group.len() > 1 {
                group.sort_by_cached_key(|name| (began(home, name), name.clone()));
            }
        }
        Ok(names)
    }
}

/// Returns the second that a name says.
fn second(name: &str) -> &str {
    const SECOND: usize = "YYYYMMDD_HHMMSS".len();
    name.get(..SECOND).unwrap_or(name)
}

/// Returns what says more than the second: when the plan's copy was made, which is written once.
fn began(home: &Path, name: &str) -> Option<SystemTime> {
    let copy = home.join("runs").join(name).join("plan.yaml");
    std::fs::symlink_metadata(copy).ok()?.modified().ok()
}

/// Returns the newest run, of those that began where any did.
fn latest<'a>(home: &Path, runs: &'a [String]) -> Option<&'a String> {
    let has_begun = |run: &&String| !has_no_record(&home.join("runs").join(run));
    runs.iter().rev().find(has_begun).or_else(|| runs.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_second_are_in_the_order_in_which_they_began() {
        let home = tempfile::tempdir().unwrap();
        let names = [
            "20261130_120000_ffffff",
            "20261130_120000_000001",
            "20261130_120000_888888",
        ];
        let older = "20261130_115959_ffffff";
        // A copy of the older one that was touched later is still older.
        for (at, name) in names.iter().chain([&older]).enumerate() {
            let run = home.path().join("runs").join(name);
            std::fs::create_dir_all(&run).unwrap();
            std::fs::write(run.join("run.jsonl"), "{}\n").unwrap();
            let copy = std::fs::File::create(run.join("plan.yaml")).unwrap();
            let nanoseconds = std::time::Duration::from_nanos(at as u64);
            copy.set_modified(SystemTime::UNIX_EPOCH + nanoseconds)
                .unwrap();
        }
        let runs = LocalPlanStore.runs(home.path()).unwrap();
        assert_eq!(runs, [older, names[0], names[1], names[2]]);
        let latest = LocalPlanStore.open(home.path(), "latest").unwrap();
        assert_eq!(latest.id(), names[2]);
    }
}
