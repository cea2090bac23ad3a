//! How a command comes to stand behind a wall: one chain of processes, the stages, each of which gives up rights
//! (`init` alone has more inside its namespaces than before) and then starts the next or becomes it.
//!
//! tos prepares and starts itself again as a *jailer*, `tos __jail STAGE SPEC [-- PROGRAM NAME ARGUMENTS...]`, so that
//! nothing of ours runs between `fork` and `exec` of the large process. A jailer is small and has one thread; where the next stage
//! needs no other program it forks (`shared::fork`), which costs a tenth of a start. SPEC is the number of an inherited file with a
//! [`SandboxSpec`] as JSON (`spec_file`). Besides it a stage reads the kernel's tables, names of folders, and descriptors
//! that tos opened; never a file that the command could have written. To read this folder, read the files in this order:
//!
//! | stage | file | as which process | what it does | goes on by |
//! | --- | --- | --- | --- | --- |
//! | (none) | `prepare` | tos | writes SPEC for the wall that was chosen, and the words of the whole chain | spawn |
//! | `cage` | `cgroup` | a new one; only for root, where groups can be made | enters a control group, or becomes `watch` | exec |
//! | `watch` | `process_limit` | a new one; only for root, where they cannot | ends everything when there are too many processes | spawn |
//! | (none) | `bubblewrap` | `bwrap`, whose words `prepare` has written | namespaces and mounts | spawn |
//! | `outer` | `namespaces` | that of `cage`, or a new one | makes new namespaces; holds the lifeline; ends as the command ended | fork |
//! | `init` | `namespaces` | the first of the new namespaces | `mounts`, loopback and proxy port (`forward`); collects orphans | fork |
//! | `guard` | `guard` | a new one, outside the Landlock rules | makes a `TMPDIR`; ends whatever the command leaves | spawn |
//! | `inner` | `inner` | the last; the command has its process number | ceilings, no capabilities, no new privileges, `landlock`, `seccomp`, no inherited files | exec |
//! | `start-port`, `port` | `forward` | behind `bwrap` only, beside the command | passes connections to the proxy, for there is no `init` | spawn |
//!
//! The walls are these chains, each behind `cage` or `watch` where that is needed:
//! bubblewrap = `bwrap` → `inner`; namespaces = `outer` → `init` → `inner`; landlock = `guard` → `inner`.
//!
//! No stage can be taken back by the next: mounts cannot be changed without the capabilities that `inner` drops, and what
//! `inner` does holds for everything the command starts.
//!
//! When tos goes, everything goes. `outer` and `guard` hold the *lifeline*, a pipe on their standard input whose other end only
//! tos has; `init`, `watch` and `bwrap` are ended by the kernel with their parent, and the first process of a process namespace
//! takes all others with it.
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
mod spec_file;

use std::{ffi::OsString, process::ExitCode};

pub(super) use bubblewrap::find as find_bubblewrap;
pub(super) use cgroup::{is_possible as has_cgroups, sweep as sweep_cgroups};
pub(super) use prepare::confine;
pub(super) use process_limit::is_needed as is_counted_from_outside;
pub(super) use shared::{JAIL_FAILED, JailError, hold_lifeline, leave, say};

use super::spec::SandboxSpec;

/// Runs one stage: `first` is the word behind its name, `words` is what follows.
pub(super) fn run(stage: &str, first: &str, words: Vec<OsString>) -> Result<ExitCode, JailError> {
    // The proxy port knows only where the proxy's socket lies.
    match stage {
        "start-port" => return forward::start_port_process(first),
        "port" => return forward::keep_port_open(first),
        _ => {}
    }
    let spec: SandboxSpec = spec_file::read(first)?;
    match stage {
        "cage" if !cgroup::enter_cgroup(&spec)? => process_limit::watch(&spec, &words),
        "cage" => match shared::own_stage(&spec, &words) {
            // The next stage is this program's, and this process may as well be it.
            Some(("outer", behind)) => namespaces::outer(&spec, behind),
            _ => shared::become_next(&words).map(|never| match never {}),
        },
        "watch" => process_limit::watch(&spec, &words),
        "outer" => namespaces::outer(&spec, &words),
        "guard" => guard::guard(&spec, first, words),
        "inner" => {
            inner::inner(&spec, &shared::confined_command(&words)?).map(|never| match never {})
        }
        other => Err(format!("there is no stage `{other}` of a jailer").into()),
    }
}
