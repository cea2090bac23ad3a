//! Remembers which work succeeded: key = command, content of the inputs, declared variables, patterns of outputs.
//!
//! An entry names the run that holds the artifacts. It counts only while every output of then is still in place
//! unchanged, or can be put back from that run.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    adapters::plan::{guard, outputs},
    domain::plan::{
        event::Artifact,
        task::{Cache, EnvPolicy, Task},
    },
    ports::plan_host::{Reach, without_dots},
};

#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    run: String,
    artifacts: Vec<Artifact>,
}

/// Where successes of the past are kept: `<home>/cache`.
pub(crate) struct Past {
    directory: PathBuf,
    runs: PathBuf,
}

impl Past {
    /// Opens the past of a home.
    pub(crate) fn of(home: &Path) -> Self {
        Self {
            directory: home.join("cache"),
            runs: home.join("runs"),
        }
    }

    /// Remembers a success.
    pub(crate) fn remember(&self, key: &str, run: &str, artifacts: &[Artifact]) {
        let kept = Kept {
            version: 1,
            run: run.to_owned(),
            artifacts: artifacts.to_vec(),
        };
        let path = self.directory.join(key);
        let temporary = self.directory.join(format!(".{key}.{run}"));
        // A success that is not remembered is only repeated.
        let written = std::fs::create_dir_all(&self.directory)
            .and_then(|()| std::fs::write(&temporary, serde_json::to_vec(&kept)?))
            .and_then(|()| std::fs::rename(&temporary, path));
        if written.is_err() {
            drop(std::fs::remove_file(&temporary));
        }
    }

    /// Returns true where the success with this key stands, its outputs back in `cwd`.
    pub(crate) fn recall(&self, key: &str, id: &str, cwd: &Path, reach: Option<&Reach>) -> bool {
        let Ok(bytes) = guard::read_regular(&self.directory.join(key), 1 << 24) else {
            return false;
        };
        let Ok(kept) = serde_json::from_slice::<Kept>(&bytes) else {
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
        reach: Option<&Reach>,
    ) -> bool {
        let stored = self.runs.join(run).join(&artifact.path);
        // The same work may be named differently now; the name inside the task's folder is what counts.
        let mut parts = Path::new(&artifact.path).components();
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
            || guard::symlink_in(&target).is_some()
        {
            return false;
        }
        let may_write = reach.is_none_or(|reach| reach.may_write(&without_dots(&target)));
        may_write && outputs::copy(&stored, &target).is_ok()
    }
}

/// Returns the key of a task, or nothing where an input cannot be read.
pub(crate) fn key(
    task: &Task,
    cache: &Cache,
    cwd: &Path,
    policy: &str,
    reach: Option<&Reach>,
) -> Option<String> {
    let mut hash = Sha256::new();
    let mut part = |kind: &str, text: &[u8]| {
        hash.update(format!("{kind} {}\n", text.len()));
        hash.update(text);
    };
    part("version", b"1");
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
    let extra = task.extra.as_ref()?;
    part(
        "stdin",
        format!(
            "{:?} {}",
            extra.stdin,
            extra.env_policy == EnvPolicy::Minimal
        )
        .as_bytes(),
    );
    for pattern in &task.outputs {
        part("output", pattern.as_bytes());
    }
    let named = extra
        .env_file
        .iter()
        .chain(&extra.needs_files)
        .map(|path| cwd.join(path));
    for path in outputs::matching(&cache.inputs, cwd, reach)
        .into_iter()
        .chain(named)
    {
        part("input", path.as_os_str().as_encoded_bytes());
        part("content", digest(&path)?.as_bytes());
    }
    Some(outputs::hex(&hash.finalize()))
}

fn digest(path: &Path) -> Option<String> {
    let mut file = guard::open_regular(path).ok()?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(outputs::hex(&hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}
