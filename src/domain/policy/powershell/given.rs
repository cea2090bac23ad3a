//! Arguments of PowerShell commands, told apart.

use crate::domain::policy::powershell::{Arg, names};

/// Arguments told apart.
#[derive(Debug, Default)]
pub(super) struct ParsedArguments {
    /// Named parameters and their values, in lower case, as written.
    pub(super) named: Vec<(String, Vec<String>)>,
    /// Everything without a name.
    pub(super) rest: Vec<String>,
    /// Script blocks.
    pub(super) blocks: Vec<String>,
}

impl ParsedArguments {
    pub(super) fn new(args: Vec<Arg>) -> Self {
        let mut given = Self::default();
        let mut args = args.into_iter().peekable();
        while let Some(arg) = args.next() {
            match arg {
                Arg::Values(values) => given.rest.extend(values),
                Arg::Block(code) => given.blocks.push(code),
                Arg::Name(name, Some(value)) => given
                    .named
                    .push((name.trim_start_matches('-').to_lowercase(), vec![value])),
                Arg::Name(name, None) => {
                    let bare = name.trim_start_matches('-').to_lowercase();
                    let value = if names::is_switch(&bare) {
                        None
                    } else {
                        args.next_if(|next| matches!(next, Arg::Values(_)))
                    };
                    let values = if let Some(Arg::Values(values)) = value {
                        values
                    } else {
                        Vec::new()
                    };
                    given.named.push((bare, values));
                }
            }
        }
        given
    }

    /// Returns whether a parameter is given, in full or shortened to at least `least` letters.
    pub(super) fn has(&self, long: &str, least: usize) -> bool {
        self.named.iter().any(|(name, values)| {
            name.len() >= least
                && long.starts_with(name.as_str())
                && !values
                    .iter()
                    .any(|value| value.eq_ignore_ascii_case("false"))
        })
    }

    pub(super) fn values(&self, long: &str) -> Vec<String> {
        let fits = |name: &str| !name.is_empty() && long.starts_with(name);
        self.named
            .iter()
            .filter(|(name, _)| fits(name))
            .flat_map(|(_, values)| values.clone())
            .collect()
    }

    /// Returns values of the parameters, and everything without a name behind them.
    pub(super) fn all(&self, longs: &[&str]) -> Vec<String> {
        let mut found: Vec<String> = longs.iter().flat_map(|long| self.values(long)).collect();
        found.extend(self.rest.iter().cloned());
        found
    }
}
