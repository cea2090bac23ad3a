//! The stage `guard`, before Landlock: a process outside the rules. There is no process namespace to end with, so it makes itself the one
//! that inherits orphans and ends every descendant when the command, or tos, has ended.

use std::{
    ffi::OsString,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use super::{
    super::spec::{JAILER_ARG, SandboxSpec},
    shared::{JAIL_FAILED, JailError, exit_like, hold_lifeline, leave, say},
};
use crate::adapters::process::end_descendants;

/// Starts the command behind Landlock rules and stays until nothing of it is left.
pub(super) fn guard(
    spec: &SandboxSpec,
    file: &str,
    behind: Vec<OsString>,
) -> Result<ExitCode, JailError> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let own = match &spec.temporary {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("tos-").tempdir()?),
    };
    let lasting = spec.temporary.as_deref();
    let temporary = own.as_ref().map_or(lasting, |own| Some(own.path()));
    let temporary = temporary.unwrap_or(Path::new("/tmp")).to_owned();
    let mut child = Command::new(&spec.program)
        .args([JAILER_ARG, "inner", file])
        .args(behind)
        .env("TMPDIR", &temporary)
        .current_dir(&spec.directory)
        // The lifeline; the command gets another input.
        .stdin(Stdio::inherit())
        .spawn()?;
    let folder = own.as_ref().map(|own| own.path().to_owned());
    hold_lifeline(move || {
        report_survivors(end_descendants());
        drop(folder.map(std::fs::remove_dir_all));
        leave(JAIL_FAILED);
    });
    let status = child.wait()?;
    let is_empty = end_descendants();
    drop(own);
    report_survivors(is_empty);
    if !is_empty {
        return Ok(ExitCode::from(JAIL_FAILED));
    }
    Ok(exit_like(status))
}

/// Says that something is left, which the end of the command alone would hide.
fn report_survivors(is_empty: bool) {
    if !is_empty {
        say(
            "tos: the sandbox: processes of the command are left that could not be ended; look for them with `ps` and end them",
        );
    }
}
