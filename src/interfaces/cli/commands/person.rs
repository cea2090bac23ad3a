//! What only a person at a terminal may do.

use crate::{
    domain::gates::GateRefusal,
    interfaces::cli::common::{CliError, CliExit, ServiceFactory},
};

/// Lets a person at the terminal confirm by typing a word; everybody else is refused.
pub(super) fn require_person(
    services: &dyn ServiceFactory,
    what: &str,
    word: &str,
) -> Result<(), CliError> {
    if !services.is_attended() {
        return refuse(
            format!("only a person at a terminal may {what}"),
            "run the command in a terminal",
        )
        .map(drop);
    }
    let answer = services.ask_line(&format!("Type `{word}` to {what}: "));
    if answer.as_deref() == Some(word) {
        return Ok(());
    }
    refuse(format!("`{word}` was not typed"), "run the command again").map(drop)
}

/// Refuses with a reason and what to do next.
pub(super) fn refuse(why: String, next: &str) -> Result<CliExit, CliError> {
    Err(CliError::Refused(GateRefusal {
        why,
        next: next.to_owned(),
    }))
}
