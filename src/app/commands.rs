//! What runs single commands for clients of tos: the same runner and the same wall as for the commands of a job.

use std::sync::Arc;

use super::{adapter_options, confinement};
use crate::{
    adapters::{clock::SystemClock, process, self_process::CurrentExecutable},
    app::context::{AppContext, run_id},
    config::Settings,
    domain::policy::PolicyContext,
    interfaces::cli::{
        args::ApprovalMode,
        command_services::{CommandServiceFactory, CommandServices},
        exit::CliError,
        services::ServiceFactory,
    },
};

impl CommandServiceFactory for AppContext {
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
                ..self.world(settings, attended)
            },
            outputs: settings.root.join(".tos/commands").join(&run),
            run,
            confinement: report.choice.describe(report.level),
            notice: confinement::notice(&report),
            tos: Arc::new(CurrentExecutable),
        })
    }
}
