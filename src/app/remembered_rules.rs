//! What a person allowed for good: rules in the configuration of the root.

use std::sync::Arc;

use crate::{
    adapters::files,
    config,
    config::Settings,
    domain::{
        command::Command,
        policy::{PolicyContext, PolicyRule},
    },
    ports::approvals::AllowRuleStore,
};

/// Finds rules by the policy in force, and writes them into the file that the settings came from.
struct PolicyRuleFile {
    settings: Settings,
    world: PolicyContext,
}

/// Returns the memory of a root.
pub(super) fn allow_rules(settings: &Settings, world: PolicyContext) -> Arc<dyn AllowRuleStore> {
    Arc::new(PolicyRuleFile {
        settings: settings.clone(),
        world,
    })
}

/// Remembers a yes that was given elsewhere than at the terminal of the run; returns where.
pub(super) fn save_rule(
    settings: &Settings,
    command: &Command,
    world: &PolicyContext,
) -> Result<String, String> {
    // The run may stand behind a wall or not; behind one there is less to ask about.
    let worlds = [true, false].map(|sandbox_proved| PolicyContext {
        sandbox_proved,
        ..world.clone()
    });
    let found = worlds.into_iter().find_map(|world| {
        let memory = allow_rules(settings, world);
        memory
            .rule_destination(command)
            .map(|place| (memory, place))
    });
    let (memory, place) = found.ok_or_else(none)?;
    memory.save_rule(command).map(|()| place)
}

fn none() -> String {
    "no rule says yes to just this command; answer without `--always`".to_owned()
}

impl PolicyRuleFile {
    fn rules(&self, command: &Command) -> Option<Vec<PolicyRule>> {
        // Made ready when somebody is asked: most runs ask nothing. One that cannot be has ended the run before.
        let policy = self.settings.policy().ok()?;
        policy.rules_to_allow(command, &self.world)
    }
}

impl AllowRuleStore for PolicyRuleFile {
    fn rule_destination(&self, command: &Command) -> Option<String> {
        let file = self.settings.config_file.as_ref()?;
        drop(self.rules(command)?);
        let shown = file.strip_prefix(&self.settings.root).unwrap_or(file);
        Some(shown.display().to_string())
    }

    fn save_rule(&self, command: &Command) -> Result<(), String> {
        let rules = self.rules(command).ok_or_else(none)?;
        let file = self.settings.config_file.as_ref().ok_or_else(none)?;
        let change = |bytes: &[u8]| config::with_rules(file, bytes, &rules);
        files::update(file, change)
    }
}
