//! What runs single commands for clients of tos: the same runner and the same wall as for the commands of a job.

use std::sync::Arc;

use super::{adapter_options, confinement};
use crate::{
    adapters::{
        clock::SystemClock,
        process,
        self_process::CurrentExecutable,
        telemetry::{self, OtlpTelemetry},
    },
    app::context::{AppContext, run_id},
    config::Settings,
    domain::{policy::PolicyContext, state_folder::tos_path},
    interfaces::cli::{
        args::{ApprovalMode, GlobalArgs},
        command_services::{CommandServiceFactory, CommandServices},
        exit::CliError,
        services::ServiceFactory,
    },
    ports::telemetry::Telemetry,
};

/// Where the environment names a collector, for whoever asks for that.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

impl AppContext {
    /// Returns the address that is meant.
    fn endpoint(&self, asked: &str) -> Result<String, CliError> {
        if asked != "env" {
            return Ok(asked.to_owned());
        }
        self.env_var(ENDPOINT)
            .ok_or_else(|| CliError::Usage(format!("`--otlp env`: {ENDPOINT} is not set")))
    }

    fn exporter(&self, asked: &str) -> Result<Arc<dyn Telemetry>, CliError> {
        let endpoint = self.endpoint(asked)?;
        let built = OtlpTelemetry::new(&endpoint, self.redactor().clone());
        let built = built.map_err(|why| CliError::Usage(format!("telemetry: {why}")))?;
        Ok(Arc::new(built))
    }

    /// Delivers what is left, within a bounded time; returns what has to be said about it.
    pub(super) fn finish_telemetry(&self) -> Option<String> {
        self.telemetry.get()?.as_ref()?.finish()
    }
}

impl CommandServiceFactory for AppContext {
    fn fresh_secret(&self) -> std::io::Result<String> {
        crate::adapters::service_token::fresh_secret()
    }

    fn command_services(
        &self,
        settings: &Settings,
        who: ApprovalMode,
    ) -> Result<CommandServices, CliError> {
        let run = run_id(&SystemClock::new());
        let options = adapter_options::runner(settings, &self.environment, self.redactor());
        let (wall, report) = confinement::build(settings, &self.environment)?;
        let proved = confinement::is_proved(&report);
        let (approvals, attended) = self.approvals(settings, Some(who), proved);
        Ok(CommandServices {
            runner: Arc::new(process::LocalCommandRunner::new(options, Some(wall))),
            approvals,
            world: PolicyContext {
                sandbox_proved: proved,
                ..self.policy_context(&settings.root, attended)
            },
            outputs: settings.root.join(tos_path!("commands")).join(&run),
            run,
            confinement: report.choice.describe(report.level),
            notice: confinement::notice(&report),
            tos: Arc::new(CurrentExecutable),
        })
    }

    fn check_collector(&self, global: &GlobalArgs) -> Result<(), CliError> {
        let Some(asked) = &global.otlp else {
            return Ok(());
        };
        let endpoint = self.endpoint(asked)?;
        let checked = telemetry::checked_endpoint(&endpoint);
        let told = |why| CliError::Usage(format!("telemetry: {why}"));
        checked.map(drop).map_err(told)
    }

    fn collector_fault(&self, global: &GlobalArgs) -> Option<String> {
        let configured = || self.settings(global).ok()?.telemetry;
        let asked = global.otlp.clone().or_else(configured)?;
        match self.endpoint(&asked) {
            Ok(endpoint) => telemetry::unreachable_because(&endpoint),
            Err(error) => Some(error.to_string()),
        }
    }

    fn telemetry(&self, global: &GlobalArgs) -> Result<Option<Arc<dyn Telemetry>>, CliError> {
        if let Some(known) = self.telemetry.get() {
            return Ok(known.clone());
        }
        let asked = match &global.otlp {
            Some(flag) => Some(flag.clone()),
            None => self.settings(global)?.telemetry,
        };
        let built = asked.map(|asked| self.exporter(&asked)).transpose()?;
        Ok(self.telemetry.get_or_init(|| built).clone())
    }
}
