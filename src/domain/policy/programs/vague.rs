//! Code that is only partly known.

use crate::domain::policy::{partial_text::UNKNOWN, shell::ShellInterpreter};

/// Records that code is not fully known, if it is not.
pub(in crate::domain::policy) fn vague_code(
    shell: &mut ShellInterpreter<'_, '_>,
    code: &str,
    via: &str,
) {
    if code.contains(UNKNOWN) {
        shell.reading.opaque(format!(
            "{via} gets commands that are only known at run time"
        ));
    }
}
