//! Remembers which work succeeded: key = command, content of the inputs, declared variables, patterns of outputs.
//!
//! An entry names the newest run that used it, which holds the artifacts. It counts only while every output of then is still in place
//! unchanged, or can be put back from that run.

use std::{
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    adapters::{
        plan::{outputs, safe_open},
        state_folder,
    },
    domain::{
        hash::hex,
        plan::{
            event::Artifact,
            task::{CacheInputs, EnvPolicy, OptionalTaskSettings, PlanTask, PolicyMode},
        },
    },
    ports::{
        plan_host::{FileAccessRules, normalize_path},
        plan_store::{CacheCleanup, CacheCleanupResult},
    },
};

#[derive(Serialize, Deserialize)]
struct CachedResult {
    version: u32,
    run: String,
    artifacts: Vec<Artifact>,
}

/// Where successes of the past are kept: `<home>/cache`.
pub(crate) struct ResultCache {
    directory: PathBuf,
    runs: PathBuf,
}

impl ResultCache {
    /// Opens the past of a home.
    pub(crate) fn of(home: &Path) -> Self {
        Self {
            directory: home.join("cache"),
            runs: home.join("runs"),
        }
    }

    /// Remembers a success.
    pub(crate) fn insert(&self, key: &str, run: &str, artifacts: &[Artifact]) {
        let kept = CachedResult {
            version: 1,
            run: run.to_owned(),
            artifacts: artifacts.to_vec(),
        };
        let path = self.directory.join(key);
        let temporary = self.directory.join(format!(".{key}.{run}"));
        // A success that is not remembered is only repeated.
        let written = state_folder::create_record_folder(&self.directory)
            .and_then(|()| std::fs::write(&temporary, serde_json::to_vec(&kept)?))
            .and_then(|()| std::fs::rename(&temporary, path));
        if written.is_err() {
            drop(std::fs::remove_file(&temporary));
        }
    }

    /// Lets a success stand that was used again, now with the artifacts of `run`, which is newer than the one before.
    pub(crate) fn renew(&self, key: &str, run: &str, artifacts: &[Artifact]) {
        let digests = |artifacts: &[Artifact]| {
            let mut digests: Vec<String> = artifacts
                .iter()
                .map(|artifact| artifact.sha256.clone())
                .collect();
            digests.sort_unstable();
            digests
        };
        // A copy that lacks something must not take the place of a whole one.
        let is_as_good = self
            .kept(key)
            .is_some_and(|kept| digests(&kept.artifacts) == digests(artifacts));
        if is_as_good {
            self.insert(key, run, artifacts);
        }
    }

    fn kept(&self, key: &str) -> Option<CachedResult> {
        let bytes = safe_open::read_regular(&self.directory.join(key), 1 << 24).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Deletes what nobody can use any more and what was not used since `sweep.unused_since`; returns how many entries went,
    /// how many stay, and how many bytes that freed.
    pub(crate) fn sweep(&self, sweep: &CacheCleanup<'_>) -> CacheCleanupResult {
        let mut swept = CacheCleanupResult::default();
        let entries = std::fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten();
        for entry in entries {
            let Ok(found) = entry.path().symlink_metadata() else {
                continue;
            };
            let name = entry.file_name().to_string_lossy().into_owned();
            // Half an entry begins with a dot; anything else that is no key is not ours.
            let is_half = name.starts_with('.');
            let key = name.trim_start_matches('.').get(..64).unwrap_or_default();
            let is_ours = key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !found.is_file() || !is_ours {
                continue;
            }
            let used = found.mtime() * 1000 + found.mtime_nsec() / 1_000_000;
            if self.is_needed(&entry.path(), used, is_half, sweep) {
                swept.kept += usize::from(!is_half);
                continue;
            }
            if !sweep.is_rehearsal && std::fs::remove_file(entry.path()).is_err() {
                continue;
            }
            swept.deleted += 1;
            swept.bytes += found.blocks() * 512;
        }
        swept
    }

    fn is_needed(&self, path: &Path, used: i64, is_half: bool, sweep: &CacheCleanup<'_>) -> bool {
        if is_half {
            // Somebody may be writing it just now.
            return used > sweep.now - 24 * 3600 * 1000;
        }
        let kept = path.file_name().and_then(|key| self.kept(key.to_str()?));
        kept.is_some_and(|kept| {
            let is_whole = kept.artifacts.is_empty() || sweep.runs.contains(&kept.run);
            sweep.busy.contains(&kept.run) || (is_whole && used >= sweep.unused_since)
        })
    }

    /// Returns true where the success with this key stands, its outputs back in `cwd`.
    pub(crate) fn restore(
        &self,
        key: &str,
        id: &str,
        cwd: &Path,
        reach: Option<&FileAccessRules>,
    ) -> bool {
        let Some(kept) = self.kept(key) else {
            return false;
        };
        kept.artifacts
            .iter()
            .all(|artifact| self.is_back(&kept.run, artifact, id, cwd, reach))
    }

    fn is_back(
        &self,
        run: &str,
        artifact: &Artifact,
        id: &str,
        cwd: &Path,
        reach: Option<&FileAccessRules>,
    ) -> bool {
        let path = outputs::path_of(artifact);
        let stored = self.runs.join(run).join(&path);
        // The same work may be named differently now; the name inside the task's folder is what counts.
        let mut parts = path.components();
        let relative: PathBuf = {
            parts.nth(1);
            parts.as_path().to_owned()
        };
        if relative.starts_with("__abs__") || id.is_empty() {
            return false;
        }
        let target = cwd.join(relative);
        if digest(&target).is_some_and(|found| found == artifact.sha256) {
            return true;
        }
        if digest(&stored).is_none_or(|found| found != artifact.sha256)
            || safe_open::symlink_in(&target).is_some()
        {
            return false;
        }
        let may_write = reach.is_none_or(|reach| reach.may_write(&normalize_path(&target)));
        may_write && outputs::copy(&stored, &target).is_ok()
    }
}

/// Returns the key of a task, or nothing where an input cannot be read.
pub(crate) fn cache_key(
    task: &PlanTask,
    cache: &CacheInputs,
    cwd: &Path,
    policy: PolicyMode,
    home: &Path,
    reach: Option<&FileAccessRules>,
) -> Option<String> {
    let mut hash = Sha256::new();
    let mut part = |kind: &str, text: &[u8]| {
        hash.update(format!("{kind} {}\n", text.len()));
        hash.update(text);
    };
    part("version", b"1");
    // Not the name of the variant: a renamed one must not empty everybody's store.
    let policy = match policy {
        // What the floor refuses never ran; the rest runs as without it.
        PolicyMode::Off | PolicyMode::Minimal => "Off",
        PolicyMode::Enforce => "Enforce",
    };
    part("policy", policy.as_bytes());
    for word in task.command_words() {
        part("word", word.as_bytes());
    }
    part("cwd", cwd.as_os_str().as_encoded_bytes());
    for (name, value) in task.env.iter().flat_map(|env| env.iter()) {
        part("env", format!("{name}={value}").as_bytes());
    }
    for name in &cache.env {
        let value = std::env::var_os(name);
        part(
            name,
            value
                .as_deref()
                .map_or(b"", |value| value.as_encoded_bytes()),
        );
    }
    // All by name, so that a new one cannot be forgotten here.
    let OptionalTaskSettings {
        env_file,
        stdin,
        needs_files,
        env_policy,
        // These say whether, when and how long it runs, not what it does.
        when: _,
        resources: _,
        priority: _,
        allow_failure: _,
        cache: _,
        idle_timeout_sec: _,
        grace_seconds: _,
        // Where, not what.
        needs_labels: _,
    } = task.extra.as_deref()?;
    let is_minimal = *env_policy == EnvPolicy::Minimal;
    part("stdin", format!("{stdin:?} {is_minimal}").as_bytes());
    for pattern in &task.outputs {
        part("output", pattern.as_bytes());
    }
    let named = env_file
        .iter()
        .chain(needs_files)
        .map(|path| cwd.join(path));
    let shut = outputs::ProtectedFolders::home(home, cwd);
    for path in outputs::matching(&cache.inputs, &shut, reach)
        .into_iter()
        .chain(named)
    {
        part("input", path.as_os_str().as_encoded_bytes());
        part("content", digest(&path)?.as_bytes());
    }
    Some(hex(&hash.finalize()))
}

fn digest(path: &Path) -> Option<String> {
    let mut file = safe_open::open_regular(path).ok()?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(hex(&hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}
