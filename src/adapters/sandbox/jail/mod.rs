//! How a command comes to stand behind a wall: one chain of processes, each of which gives up something and starts the next.
//!
//! tos prepares (step 0) and starts itself again as a *jailer*, `tos __jail STAGE SPEC [-- PROGRAM NAME ARGUMENTS...]`, so
//! that nothing of ours runs between `fork` and `exec` of the large process. SPEC is a [`SandboxSpec`] as JSON. Besides it
//! a stage reads the kernel's tables, names of folders, and descriptors that tos opened; never a file that the command could have
//! written. The files in the order in which they run:
//!
//! | step | file | stage | runs in | what it does |
//! | --- | --- | --- | --- | --- |
//! | 0 | `prepare` | | tos | writes SPEC for the wall that was chosen, and the words of the whole chain |
//! | 1 | `cgroup` | `cage` | as root, where groups can be made | enters a control group, becomes step 2 |
//! | 1 | `process_limit` | `watch` | as root, where they cannot | starts step 2, ends everything when there are too many processes |
//! | 2 | `bubblewrap` | | tos (the words), then `bwrap` | namespaces and mounts by `bwrap`, which becomes step 4 |
//! | 2 | `namespaces` | `outer` | the user's namespaces | makes new ones, starts step 3 in them, ends as the command ended |
//! | 2 | `guard` | `guard` | the user's namespaces (Landlock) | makes a `TMPDIR`, starts step 4, ends whatever that leaves |
//! | 3 | `namespaces` | `init` | first process of the new namespaces | `mounts`, loopback and door (`forward`), starts step 4, collects orphans |
//! | 4 | `inner` | `inner` | behind the mounts | ceilings, no capabilities, no new privileges, `landlock` (that wall only), `seccomp`, then `exec` |
//! | 4a | `forward` | `open-door`, `door` | behind `bwrap`, started by `inner` | passes connections to the proxy, for there is no step 3 |
//!
//! No step can be taken back by the next: mounts cannot be changed without the capabilities that step 4 drops, and what step 4
//! does holds for everything the command starts.
//!
//! When tos goes, everything goes. `init` and `guard` hold the *lifeline*, a pipe on their standard input whose other end only
//! tos has; `watch` and `bwrap` are ended by the kernel with their parent, and the first process of a process namespace takes
//! all others with it.
//!
//! What stands outside this folder: the types that both sides know (`spec`, `options`), what may be seen (`view`), the proxy
//! (`proxy`), the choice of a wall (`backend`), and the proof that it holds (`self_test`).

mod bubblewrap;
mod cgroup;
mod forward;
mod guard;
mod inner;
mod landlock;
mod mounts;
mod namespaces;
mod prepare;
mod process_limit;
mod seccomp;
mod shared;

use std::{ffi::OsString, process::ExitCode};

pub(super) use bubblewrap::find as find_bubblewrap;
pub(super) use cgroup::{is_possible as has_cgroups, sweep as sweep_cgroups};
pub(super) use prepare::confine;
pub(super) use process_limit::is_needed as is_counted_from_outside;
pub(super) use shared::{JAIL_FAILED, JailError, hold_lifeline, leave, say};

use super::spec::SandboxSpec;

/// Runs one stage: `first` is the word behind its name, `words` is what follows.
pub(super) fn run(stage: &str, first: &str, words: Vec<OsString>) -> Result<ExitCode, JailError> {
    // The door knows only where the proxy's socket lies.
    match stage {
        "open-door" => return forward::send_doorkeeper(first),
        "door" => return forward::keep_door(first),
        _ => {}
    }
    let spec: SandboxSpec = serde_json::from_str(first)?;
    match stage {
        "cage" => cgroup::enter(&spec, &words).map(|never| match never {}),
        "watch" => process_limit::watch(&spec, &words),
        "outer" => namespaces::outer(&spec, first, words),
        "init" => namespaces::init(&spec, first, &words),
        "guard" => guard::guard(&spec, first, words),
        "inner" => {
            inner::inner(&spec, &shared::behind(words.into_iter())?).map(|never| match never {})
        }
        other => Err(format!("no jailer is called `{other}`").into()),
    }
}
