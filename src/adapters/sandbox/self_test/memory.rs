//! What trials have shown, kept until the machine, the kernel, tos or the wish changes.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    adapters::{
        sandbox::{jail::find_bubblewrap, options::Options},
        state_folder,
    },
    domain::sandbox::BackendTest,
};

/// What was seen, and on what machine.
#[derive(Debug, Serialize, Deserialize)]
struct SelfTestCache {
    key: String,
    /// What was asked for, whatever else has changed meanwhile.
    #[serde(default)]
    wish: String,
    trials: Vec<BackendTest>,
}

/// What is known of the walls.
pub(in super::super) struct KnownTrials {
    /// What each was seen to hold.
    pub(in super::super) trials: Vec<BackendTest>,
    /// The file that says that one of them held the same before, where none does now.
    pub(in super::super) lost: Option<PathBuf>,
}

/// What is remembered of the walls of a machine, with what it would have to be remembered for to count now.
pub(super) struct TrialMemory {
    key: String,
    wish: String,
    place: PathBuf,
    known: Option<SelfTestCache>,
}

impl TrialMemory {
    /// Reads what is remembered.
    pub(super) fn of(options: &Options) -> Self {
        let place = options.state.join("sandbox-trials.json");
        Self {
            key: key(options),
            wish: wish(options),
            known: recalled(&place),
            place,
        }
    }

    /// Returns the trials that still count.
    pub(super) fn trials(&self) -> Option<KnownTrials> {
        let known = self.known.as_ref()?;
        (known.key == self.key).then(|| KnownTrials {
            trials: known.trials.clone(),
            lost: None,
        })
    }

    /// Keeps new trials; `holds` says whether one gave all that is asked for. A fault of the moment is no trait of the machine,
    /// and what held before is not forgotten over what does not.
    pub(super) fn keep(
        self,
        trials: Vec<BackendTest>,
        holds: &dyn Fn(&BackendTest) -> bool,
    ) -> KnownTrials {
        let known = self.known.filter(|known| known.wish == self.wish);
        let held = known.is_some_and(|known| known.trials.iter().any(holds));
        if held && !trials.iter().any(holds) {
            let lost = Some(self.place);
            return KnownTrials { trials, lost };
        }
        let memory = SelfTestCache {
            key: self.key,
            wish: self.wish,
            trials,
        };
        let is_whole = !memory.trials.iter().any(|trial| trial.is_untried);
        if is_whole && let Err(error) = remember(&self.place, &memory) {
            tracing::warn!(path = %self.place.display(), %error, "sandbox trials could not be kept");
        }
        KnownTrials {
            trials: memory.trials,
            lost: None,
        }
    }
}

/// What is asked of the walls.
fn wish(options: &Options) -> String {
    format!(
        "{:?} {} {}",
        options.backends,
        options.level.as_str(),
        options.network.as_str()
    )
}

fn recalled(place: &Path) -> Option<SelfTestCache> {
    serde_json::from_slice(&fs::read(place).ok()?).ok()
}

fn remember(place: &Path, memory: &SelfTestCache) -> io::Result<()> {
    let folder = place.parent().unwrap_or(Path::new("/"));
    state_folder::create_record_folder(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&mut file, memory)?;
    file.persist(place)?;
    Ok(())
}

/// What must not have changed for a trial to count: start of the machine, kernel, user, programs, wish.
fn key(options: &Options) -> String {
    let text = |path: &str| {
        fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let stamp = |path: &Path| {
        let found = fs::metadata(path).ok();
        found.map(|found| (found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
    };
    let bwrap = find_bubblewrap(&options.path);
    format!(
        "{} {} {} {:?} {:?} {}",
        text("/proc/sys/kernel/random/boot_id"),
        text("/proc/sys/kernel/osrelease"),
        rustix::process::geteuid().as_raw(),
        stamp(&options.program),
        bwrap.as_deref().and_then(stamp),
        wish(options),
    )
}
