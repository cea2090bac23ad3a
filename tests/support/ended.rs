//! How a program ended, and everything it printed.

use std::process::Output;

/// Returns the code of a program that is over, and what it printed on both streams.
pub(crate) fn ended(output: Output) -> (Option<i32>, String) {
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.code(), said)
}
