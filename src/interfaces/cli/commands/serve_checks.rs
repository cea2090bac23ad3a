//! What `tos serve` looks at before it begins: programs that are not there would fail every task, one after the other.

use crate::{
    config::{service as service_config, service::ServiceConfig},
    domain::{
        board::{AgentRole, BoardSettings},
        tasks::{Agent, AgentKind, TaskList},
        text::one_line,
    },
    interfaces::cli::{
        common::{CliError, GlobalArgs, Printer, ServiceFactory},
        services::DoctorFinding,
    },
    ports::containers::Containers,
};

/// Reads the configuration of the service of a root, where a service could begin with it.
pub(super) fn ready(
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
) -> Result<ServiceConfig, CliError> {
    let config = service_config::load(&services.root(global), |name| services.env_var(name));
    check_ready(config, global, services)
}

/// Returns the configuration where everything is there that can be looked at before anything begins; else the error names all that
/// is missing at once.
fn check_ready(
    config: Result<ServiceConfig, String>,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
) -> Result<ServiceConfig, CliError> {
    let repository = services.repository_fault(global);
    let mut faults: Vec<String> = repository.iter().cloned().collect();
    match config {
        Ok(config) => {
            if repository.is_none() && config.settings.branch.is_empty() {
                faults.extend(services.branch_fault(global));
            }
            let programs = missing_programs(&config, global, services);
            let mut programs = programs
                .into_iter()
                .filter(|fault| Some(fault) != repository.as_ref())
                .peekable();
            if programs.peek().is_some() {
                let programs: Vec<String> = programs.collect();
                faults.push(format!("config/service.toml: {}", programs.join("; ")));
            }
            if faults.is_empty() {
                return Ok(config);
            }
        }
        Err(why) => {
            let is_installed = |kind| services.installed_agent(kind).program.is_ok();
            // A file with a fault may name an agent of somebody's own.
            let is_first = !service_config::exists(&services.root(global));
            if is_first && !AgentKind::PROGRAMS.into_iter().any(is_installed) {
                faults.push(
                    "no coding agent is installed that tos knows; `tos agents` says how each is"
                        .to_owned(),
                );
            }
            // It ends with an example of several lines.
            faults.push(why);
        }
    }
    Err(CliError::Setup(all_of(&faults)))
}

/// Warns of scripts of the tests and agents that are not there.
pub(super) fn warn_of_scripts(
    config: &ServiceConfig,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) {
    // Attempts in containers may find more.
    if config.settings.in_containers {
        return;
    }
    let agents = std::iter::once(&config.list.agent).chain(config.agents.values());
    let agents = agents.map(|agent| ("args", agent.args.as_slice()));
    let tests = [("test_command", config.test_command.as_slice())];
    let commands: Vec<_> = tests.into_iter().chain(agents).collect();
    for line in services.missing_scripts(global, &config.list, &commands) {
        printer.alert(&format!("warning: config/service.toml: {line}"));
    }
}

/// Looks at the service of a root for `tos doctor`: whether its file can be read, and the programs of its agents and tests are there.
/// `None` = the root has none.
pub(super) fn finding(global: &GlobalArgs, services: &dyn ServiceFactory) -> Option<DoctorFinding> {
    if !service_config::exists(&services.root(global)) {
        return None;
    }
    let (verdict, seen) = match ready(global, services) {
        Ok(config) => {
            let tests = config.test_command.join(" ");
            let agent = config.list.agent.program();
            (
                "ok",
                format!("agent `{agent}`, tests `{}`", one_line(&tests)),
            )
        }
        Err(why) => ("problem", why.to_string()),
    };
    Some(DoctorFinding {
        what: "service".to_owned(),
        verdict,
        seen,
    })
}

/// Makes one message of everything that is missing.
fn all_of(faults: &[String]) -> String {
    match faults {
        [only] => only.clone(),
        several => format!(
            "{} things are missing here:\n- {}",
            several.len(),
            several.join("\n- ")
        ),
    }
}

/// Says which programs of the agents and of the tests are not there, each once.
fn missing_programs(
    config: &ServiceConfig,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
) -> Vec<String> {
    let usual = std::iter::once((String::new(), &config.list.agent));
    let further = config
        .agents
        .iter()
        .map(|(name, agent)| (format!("s.{name}"), agent));
    let mut faults: Vec<String> = Vec::new();
    for (name, agent) in usual.chain(further) {
        for fault in missing(agent, &name, config, global, services) {
            // The command of the tests is looked at once for each agent.
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
    }
    faults
}

fn missing(
    agent: &Agent,
    name: &str,
    config: &ServiceConfig,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
) -> Vec<String> {
    let list = TaskList {
        agent: agent.clone(),
        full_test_command: config.test_command.clone(),
        ..config.list.clone()
    };
    // Attempts in containers find their programs in the image.
    if config.settings.in_containers {
        return Vec::new();
    }
    let mut faults: Vec<String> = services
        .task_list_faults(global, &list)
        .into_iter()
        .map(|fault| fault.replace("`full_test_command`", "`test_command`"))
        .collect();
    if AgentKind::PROGRAMS.contains(&agent.kind)
        && let Err(why) = services.installed_agent(agent.kind).program
    {
        faults.push(format!(
            "[agent{name}] is `{}`, which is {why}: {}",
            agent.kind.as_str(),
            agent.kind.install_remedy()
        ));
    }
    faults
}

/// Says what attempts in containers lack here, and removes containers that an earlier service left behind.
pub(super) fn prepare_containers(
    settings: &BoardSettings,
    containers: &dyn Containers,
    printer: &Printer,
) -> Result<(), CliError> {
    if !settings.in_containers {
        return Ok(());
    }
    let (image, network) = (&settings.container_image, &settings.container_network);
    containers
        .runners(image, network)
        .map_err(CliError::Setup)?;
    match containers.remove_leftovers() {
        0 => {}
        count => printer.note(&format!(
            "{count} containers of an earlier service are removed"
        )),
    }
    printer.line(&format!("attempts run in containers of {image}"));
    Ok(())
}

/// Says what is allowed and probably not meant.
pub(super) fn settings_warnings(settings: &BoardSettings) -> Vec<String> {
    let without = |role: AgentRole, so: &str| {
        let name = role.as_str().to_uppercase();
        (settings.agent_count(role) == 0).then(|| format!("{name}_COUNT is 0, so {so}"))
    };
    let held = (settings.max_concurrent == 0)
        .then(|| "MAX_CONCURRENT_WORKERS is 0, so no task is ever started".to_owned());
    [
        without(AgentRole::Worker, "no task for a worker is ever started"),
        without(AgentRole::Judge, "nothing is ever judged or merged"),
        held,
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_said_as_it_is_and_several_on_lines_of_their_own() {
        let faults = ["no repository".to_owned(), "no file".to_owned()];
        assert_eq!(all_of(&faults[..1]), "no repository");
        assert_eq!(
            all_of(&faults),
            "2 things are missing here:\n- no repository\n- no file"
        );
    }

    #[test]
    fn counts_of_nobody_are_doubted() {
        let mut settings = BoardSettings::default();
        assert!(settings_warnings(&settings).is_empty());
        for (name, part) in [
            ("WORKER_COUNT", "worker"),
            ("JUDGE_COUNT", "judged"),
            ("MAX_CONCURRENT_WORKERS", "ever started"),
        ] {
            settings.set(name, "0").unwrap();
            assert!(
                settings_warnings(&settings)
                    .iter()
                    .any(|doubt| doubt.contains(part)),
                "{name}"
            );
        }
    }
}
