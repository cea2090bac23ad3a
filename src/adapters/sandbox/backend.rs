//! The sandbox as the runner sees it: chooses a proved wall once and puts every command behind it.

use std::path::{Path, PathBuf};

use tokio::sync::OnceCell;

use super::{
    jail::{self, confine},
    options::Options,
    proxy::HttpProxy,
    self_test,
    spec::TOS_PATH_IN_SANDBOX,
    taken_away,
    view::{ViewRequest, hidden_folder},
};
use crate::{
    domain::{
        process::SpawnError,
        sandbox::{
            BackendChoice, BackendTest, ConfinementLevel, HiddenFolder, NetworkAccess,
            SandboxBackend, SandboxReport, choose,
        },
    },
    ports::{
        BoxFuture,
        sandbox::{ProcessSpec, Sandbox},
    },
};

/// The wall of one run of tos.
#[derive(Debug)]
pub struct BackendSandbox {
    options: Options,
    report: OnceCell<SandboxReport>,
    proxy: OnceCell<HttpProxy>,
}

impl BackendSandbox {
    /// Makes a wall; nothing is tried before the first command, or the first question for a report.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            report: OnceCell::new(),
            proxy: OnceCell::new(),
        }
    }

    /// Tries every backend anew, the ones that are not needed included, for `tos doctor`, and mends what is remembered.
    pub async fn test_all_backends(&self) -> SandboxReport {
        let trials = self_test::run_all(&self.options).await;
        self.judged(trials, None)
    }

    /// Says whether the wall hides a folder, which is without links, from a command that starts there. Asked after the report:
    /// before it, no wall is chosen.
    pub fn blocking_hidden_folder(&self, folder: &Path) -> Option<HiddenFolder> {
        let backend = self.report.get()?.choice.backend()?;
        let root = self.options.root.canonicalize().ok()?;
        if backend == SandboxBackend::None || folder.starts_with(&root) {
            return None;
        }
        let wish = ViewRequest {
            backend,
            root: &root,
            home: self.options.home.as_deref(),
            covered: &self.options.covered,
            hidden: &self.options.hidden,
            show: &self.options.show,
            search: vec![self.options.path.as_os_str()],
            program: Path::new(TOS_PATH_IN_SANDBOX),
            self_process: &self.options.program,
        };
        hidden_folder(&wish, folder)
    }

    async fn in_force(&self) -> &SandboxReport {
        self.report
            .get_or_init(|| async {
                if self.options.level == ConfinementLevel::Off {
                    return self.judged(Vec::new(), None);
                }
                let known = self_test::cached_or_run(&self.options).await;
                let report = self.judged(known.trials, known.lost);
                tracing::info!("{}", report.choice.describe(report.level));
                report
            })
            .await
    }

    fn judged(&self, trials: Vec<BackendTest>, lost: Option<PathBuf>) -> SandboxReport {
        let options = &self.options;
        let choice = choose(
            options.level,
            options.network,
            options.allow_degraded,
            &trials,
        );
        let choice = match (choice, lost) {
            // Whoever had a wall is not to go without one unasked.
            (BackendChoice::Refused { missing }, Some(memory)) if options.open_if_unproved => {
                let memory = memory.display().to_string();
                BackendChoice::Lost { missing, memory }
            }
            (BackendChoice::Refused { missing }, _) if options.open_if_unproved => {
                BackendChoice::Degraded {
                    backend: SandboxBackend::None,
                    missing,
                }
            }
            (other, _) => other,
        };
        SandboxReport {
            level: options.level,
            network: options.network,
            choice,
            trials,
        }
    }

    async fn confined(&self, launch: ProcessSpec) -> Result<ProcessSpec, SpawnError> {
        let report = self.in_force().await;
        let Some(backend) = report.choice.backend() else {
            return Err(SpawnError {
                message: report.choice.describe(report.level),
            });
        };
        if backend == SandboxBackend::None {
            return Ok(launch);
        }
        let proxy = match self.options.network {
            NetworkAccess::Allowlist => Some(self.proxy().await?.socket()),
            NetworkAccess::None | NetworkAccess::Full => None,
        };
        confine(&self.options, backend, proxy, launch)
    }

    async fn proxy(&self) -> Result<&HttpProxy, SpawnError> {
        let start = || async { HttpProxy::start(&self.options.allow_hosts) };
        self.proxy.get_or_try_init(start).await.map_err(|error| SpawnError {
            message: format!("the proxy for allowed hosts could not be started: {error}; free space in the temporary directory or set `sandbox.network` to \"none\""),
        })
    }
}

impl Drop for BackendSandbox {
    fn drop(&mut self) {
        if jail::has_cgroups(&self.options.limits) {
            jail::sweep_cgroups();
        }
    }
}

impl Sandbox for BackendSandbox {
    fn confine(&self, launch: ProcessSpec) -> BoxFuture<'_, Result<ProcessSpec, SpawnError>> {
        Box::pin(self.confined(launch))
    }

    fn quarantine(&self, absent: &[PathBuf]) -> Vec<String> {
        taken_away::quarantine(absent, &self.options)
    }

    fn take_refused_hosts(&self) -> Vec<String> {
        self.proxy
            .get()
            .map(HttpProxy::take_refused)
            .unwrap_or_default()
    }

    fn report(&self) -> BoxFuture<'_, SandboxReport> {
        Box::pin(async { self.in_force().await.clone() })
    }
}
