//! Reads `config/gates.toml`; without one the gates that tos brings along are in force.

use std::path::{Path, PathBuf};

use crate::{
    config::files,
    domain::{gates::GateConfig, ledger::chain::sha256},
};

/// Where the gates lie below the root.
pub const FILE: &str = "config/gates.toml";
/// The gates that tos brings along.
pub const DEFAULT_GATES_TOML: &str = include_str!("../../config/gates.toml");

/// Gates and where they come from.
#[derive(Debug, Clone)]
pub struct LoadedGates {
    /// The gates.
    pub gates: GateConfig,
    /// The file; `None` = built in.
    pub file: Option<PathBuf>,
    /// A digest of their meaning-bearing text.
    pub digest: String,
}

/// Why the gates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("config error: {file}: {source}")]
    Unreadable {
        /// Which file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no gates file.
    #[error("config error: {file}: {message}")]
    Wrong {
        /// Which file.
        file: String,
        /// Everything that is wrong.
        message: String,
    },
}

/// Loads the gates of a root.
pub fn load(root: &Path) -> Result<LoadedGates, Error> {
    let file = root.join(FILE);
    if !files::is_file(&file) {
        return parse(DEFAULT_GATES_TOML, "the built-in gates").map(|gates| LoadedGates {
            digest: digest(DEFAULT_GATES_TOML),
            gates,
            file: None,
        });
    }
    let name = file.display().to_string();
    let text = files::read_text(&file).map_err(|source| Error::Unreadable {
        file: name.clone(),
        source,
    })?;
    let gates = parse(&text, &name)?;
    Ok(LoadedGates {
        digest: digest(&text),
        gates,
        file: Some(file),
    })
}

/// Parses and checks gates; `name` is for messages.
pub fn parse(text: &str, name: &str) -> Result<GateConfig, Error> {
    let wrong = |message: String| Error::Wrong {
        file: name.to_owned(),
        message,
    };
    let gates: GateConfig = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let faults = gates.validation_errors();
    if faults.is_empty() {
        return Ok(gates);
    }
    Err(wrong(faults.join("; ")))
}

/// Returns a digest that comments and blank lines do not change.
fn digest(text: &str) -> String {
    let value = toml::from_str::<toml::Table>(text).map(|table| table.to_string());
    let text = value.unwrap_or_else(|_| text.to_owned());
    sha256(text.as_bytes()).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_gates_are_sound() {
        let gates = parse(DEFAULT_GATES_TOML, "built in").unwrap();
        let tracks = gates.tracks();
        assert_eq!(tracks[0].phases, ["1", "2a", "2b", "3", "done"]);
        assert_eq!(tracks[1].phases, ["S-4", "S-5", "S-6"]);
        assert_eq!(gates.phase("done").max_session, "12h");
    }

    #[test]
    fn a_gate_that_could_be_passed_by_failing_is_refused() {
        for (from, to) in [
            ("kind = \"retry.success\"", "kind = \"limit\""),
            ("mode = \"confirm\"", "mode = \"auto\""),
            ("need = 5", "need = 0"),
            (
                "where = { outcome = \"success\" }",
                "where = { outcome = \"failed\" }",
            ),
            ("min_active = \"45m\"", "min_active = \"soon\""),
            ("to = \"2b\"", "to = \"2c\""),
            ("[night]", "[nihgt]"),
        ] {
            let text = DEFAULT_GATES_TOML.replacen(from, to, 1);
            assert_ne!(text, DEFAULT_GATES_TOML, "{from}");
            assert!(parse(&text, "x").is_err(), "{to}");
        }
    }

    #[test]
    fn comments_do_not_change_the_digest() {
        assert_eq!(digest("a = 1 # one\n"), digest("\n\na=1\n"));
        assert_ne!(digest("a = 1"), digest("a = 2"));
    }
}
