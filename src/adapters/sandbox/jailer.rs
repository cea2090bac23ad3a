//! tos as a jailer: which stage a command line names, of the wall (`jail`) or of its trial (`self_test`).

use std::{ffi::OsString, process::ExitCode};

use super::{
    jail::{self, JAIL_FAILED, JailError, say},
    self_test,
};

/// Runs a jailer with the words behind `__jail` and returns its exit code.
pub fn jail_main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    match staged(words.into_iter()) {
        Ok(code) => code,
        Err(fault) => {
            say(&format!("tos: the sandbox could not be built: {fault}"));
            ExitCode::from(JAIL_FAILED)
        }
    }
}

fn staged(mut words: impl Iterator<Item = OsString>) -> Result<ExitCode, JailError> {
    let stage = words.next().unwrap_or_default();
    let stage = stage.to_string_lossy().into_owned();
    let first = words.next().unwrap_or_default().into_string();
    let first = first.map_err(|_| "the specification is not text")?;
    let rest: Vec<OsString> = words.collect();
    match self_test::run_helper(&stage, &first, &rest) {
        Some(ended) => ended,
        None => jail::run(&stage, &first, rest),
    }
}
