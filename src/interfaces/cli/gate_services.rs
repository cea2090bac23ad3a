//! The gates of a root with everything they speak about: rules, ledger, circumstances.

use std::sync::Arc;

use crate::{
    config::{gates, gates::LoadedGates},
    domain::{
        gates::{AutonomyReport, GateContext, eval},
        ledger::{LedgerEntry, PhaseTransition, chain::VerifiedLedger},
    },
    interfaces::cli::{args::GlobalArgs, exit::CliError, services::ServiceFactory},
    ports::ledger::Ledger,
};

/// The gates of a root with everything they speak about.
pub struct GateServices {
    /// The gates.
    pub loaded: LoadedGates,
    /// The ledger, for writing.
    pub ledger: Arc<dyn Ledger>,
    /// Its content.
    pub chain: VerifiedLedger,
    /// Here and now.
    pub here: GateContext,
}

impl std::fmt::Debug for GateServices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GateServices").finish_non_exhaustive()
    }
}

impl GateServices {
    /// Reads gates and ledger; a demotion that is due is recorded at once.
    pub fn load(services: &dyn ServiceFactory, global: &GlobalArgs) -> Result<Self, CliError> {
        let loaded = gates::load(&services.root(global))?;
        let ledger = services.ledger(global)?;
        let mut gate_services = Self {
            chain: ledger.read()?,
            loaded,
            ledger,
            here: services.gate_context(global)?,
        };
        gate_services.settle()?;
        Ok(gate_services)
    }

    /// Returns the verdict.
    pub fn report(&self) -> AutonomyReport {
        eval(&self.loaded.gates, &self.chain.records, &self.here)
    }

    /// Writes a record and reads the ledger again.
    pub fn record(&mut self, entry: LedgerEntry) -> Result<(), CliError> {
        self.ledger.append(None, entry)?;
        self.chain = self.ledger.read()?;
        Ok(())
    }

    fn settle(&mut self) -> Result<(), CliError> {
        for standing in self.report().tracks {
            let Some(fall) = standing.demotion else {
                continue;
            };
            self.record(LedgerEntry::Phase {
                track: standing.track,
                from: fall.from,
                to: fall.to,
                mode: PhaseTransition::Auto,
                lock: fall.lock,
                reason: fall.reason,
                evidence: Vec::new(),
            })?;
        }
        Ok(())
    }
}
