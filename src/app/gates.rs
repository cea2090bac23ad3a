//! The house's answers to what gates ask.

use std::{path::PathBuf, sync::Arc};

use super::kit::House;
use crate::{
    adapters::{
        changes,
        clock::SystemClock,
        files, isolation,
        ledger::{LedgerFile, Options},
    },
    config::gates,
    domain::{
        gates::Here,
        ledger::chain::sha256,
        validate::{Collected, Rules},
    },
    interfaces::cli::{args::Global, exit::Trouble, gate_kit::GateKit, kit::Kit},
    ports::{clock::Clock, ledger::Ledger},
};

impl House {
    /// Returns a digest of the policy in force; a root without configuration has the default one.
    fn policy_digest(&self, global: &Global) -> String {
        let text = self.settings(global).map_or_else(
            |_| "none".to_owned(),
            |settings| format!("{:?}", settings.rules.policy),
        );
        sha256(text.as_bytes()).chars().take(16).collect()
    }

    fn state_folder(&self) -> Option<PathBuf> {
        let home = || Some(PathBuf::from(self.variable("HOME")?).join(".local/state"));
        self.variable("XDG_STATE_HOME")
            .filter(|path| path.starts_with('/'))
            .map(PathBuf::from)
            .or_else(home)
    }
}

impl GateKit for House {
    fn ledger(&self, global: &Global) -> Result<Arc<dyn Ledger>, Trouble> {
        let root = files::canonical(&self.root(global));
        Ok(Arc::new(LedgerFile::new(Options {
            state: self.state_folder(),
            actor: self.variable("USER").unwrap_or_else(|| "tos".to_owned()),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            policy: self.policy_digest(global),
            gates: gates::load(&root)?.digest,
            root,
        })))
    }

    fn here(&self, global: &Global) -> Result<Here, Trouble> {
        Ok(Here {
            at: SystemClock::new().now(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            policy: self.policy_digest(global),
            gates: gates::load(&self.root(global))?.digest,
            agent_version: None,
            backend: None,
        })
    }

    fn is_attended(&self) -> bool {
        files::is_attended()
    }

    fn ask_line(&self, question: &str) -> Option<String> {
        files::ask_line(question)
    }

    fn changes(&self, global: &Global, base: Option<&str>) -> Result<Collected, Trouble> {
        // A named root need not hold a configuration: any repository can be checked.
        let root = global.root.clone().unwrap_or_else(files::current_folder);
        changes::blocking_collect(&root, base).map_err(|error| Trouble::Setup(error.to_string()))
    }

    fn check_rules(&self, text: &str) -> Result<Rules, Trouble> {
        toml::from_str(text)
            .map_err(|error| Trouble::Setup(format!("config error: {}: {error}", changes::RULES)))
    }

    fn probe_isolation(&self) -> (Vec<String>, bool) {
        isolation::blocking_probe()
    }
}
