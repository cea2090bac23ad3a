//! Tells a trial that failed for a shortage, which passes, from one that shows what the machine cannot do.

use crate::domain::sandbox::{BackendTest, SandboxCapability, passing::is_passing_fault};

/// With fewer file descriptors, or shorter files, than these a trial fails by itself.
const ENOUGH_DESCRIPTORS: u64 = 64;
const ENOUGH_FILE_BYTES: u64 = 4 << 20;

/// Returns the limit of whoever started tos that a trial fails by.
fn tight_limit() -> Option<String> {
    use rustix::process::{Resource, getrlimit};
    let below = |what: Resource, enough: u64| {
        let most = getrlimit(what).current?;
        (most < enough).then_some(most)
    };
    let descriptors = below(Resource::Nofile, ENOUGH_DESCRIPTORS);
    let file = below(Resource::Fsize, ENOUGH_FILE_BYTES);
    descriptors
        .map(|most| format!("tos may have only {most} files open at a time (`ulimit -n`)"))
        .or(file
            .map(|most| format!("tos may write only files of up to {most} bytes (`ulimit -f`)")))
}

/// Marks a failed trial as untried where what is missing failed for a shortage.
pub(super) fn untried_if_short(trial: BackendTest, missing: &[SandboxCapability]) -> BackendTest {
    let failed = trial
        .proofs
        .iter()
        .filter(|proof| missing.contains(&proof.capability))
        .map(|proof| proof.how.trim());
    let mut failures = trial.absent.as_deref().into_iter().chain(failed);
    let shortage = failures
        .find(|why| is_passing_fault(why))
        .map(str::to_owned)
        .or_else(tight_limit);
    match shortage {
        None => trial,
        Some(why) => BackendTest {
            is_untried: true,
            absent: Some(why),
            ..trial
        },
    }
}

/// Why a trial gave no answers, and whether that may be otherwise the next time.
pub(super) struct TrialFault {
    pub(super) why: String,
    pub(super) is_passing: bool,
}

impl From<String> for TrialFault {
    fn from(why: String) -> Self {
        let is_passing = is_passing_fault(&why);
        Self { why, is_passing }
    }
}
