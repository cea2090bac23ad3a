//! Whether an agent trusts a hook and the folder it works in: Codex and Gemini CLI skip what they do not trust without a word.

use std::{cell::OnceCell, path::Path};

use crate::{
    config::agent_trust::{
        CodexTrustRecord, codex_folder_reason, codex_trust_record, gemini_folder_reason,
    },
    domain::guard::{HookAgent, codex_trust::CodexHookList},
    interfaces::cli::services::ServiceFactory,
};

/// Whether an agent runs a hook that is in its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HookTrust {
    /// It does.
    Runs,
    /// It skips it, for this reason.
    Skips(String),
    /// Only the agent itself knows, and it could not be asked.
    NotChecked(String),
}

/// What Codex said about its hooks in one folder; it is asked once, and only where somebody wants to know.
pub(super) struct CodexTrust<'s> {
    services: &'s dyn ServiceFactory,
    folder: &'s Path,
    root: &'s Path,
    listed: OnceCell<Result<CodexHookList, String>>,
}

impl<'s> CodexTrust<'s> {
    pub(super) const fn new(
        services: &'s dyn ServiceFactory,
        folder: &'s Path,
        root: &'s Path,
    ) -> Self {
        Self {
            services,
            folder,
            root,
            listed: OnceCell::new(),
        }
    }

    /// Returns whether Codex runs a hook.
    pub(super) fn of(&self, file: &Path, is_project: bool, command: &str) -> HookTrust {
        let listed = self
            .listed
            .get_or_init(|| self.services.codex_hooks(self.folder));
        match listed {
            Ok(list) => list
                .skip_reason(file, is_project, command)
                .map_or(HookTrust::Runs, HookTrust::Skips),
            Err(why) => self.recorded(file, is_project, why),
        }
    }

    /// Says what Codex's own file tells, which is never that a hook runs: the hash in it may be an older one's.
    fn recorded(&self, file: &Path, is_project: bool, why: &str) -> HookTrust {
        let text = codex_config(self.services).unwrap_or_default();
        if is_project && let Some(reason) = codex_folder_reason(Some(&text), self.root) {
            return HookTrust::Skips(reason);
        }
        match codex_trust_record(&text, file) {
            CodexTrustRecord::None => HookTrust::Skips(
                "Codex has no trust record for it and SKIPS it without a word: start `codex`, type `/hooks`, and trust it"
                    .to_owned(),
            ),
            CodexTrustRecord::SwitchedOff => HookTrust::Skips(
                "it is switched off in Codex (`enabled = false`), which SKIPS it without a word: start `codex`, type \
                 `/hooks`, and switch it on"
                    .to_owned(),
            ),
            CodexTrustRecord::Recorded => HookTrust::NotChecked(format!(
                "trust not checked: {why}. Codex has a trust record, but only Codex can say whether it is of this hook: \
                 start `codex`, type `/hooks`, and see that it is trusted"
            )),
        }
    }
}

/// Returns the text of this person's `config.toml` of Codex.
fn codex_config(services: &dyn ServiceFactory) -> Option<String> {
    let hooks = services.agent_settings_path(HookAgent::Codex, None).ok()?;
    services
        .read_settings(&hooks.with_file_name("config.toml"))
        .ok()
        .flatten()
}

/// Returns why an agent runs no hook of a settings file in a folder; `None` where it does, or where it knows no trust of folders.
pub(super) fn folder_skip_reason(
    agent: HookAgent,
    is_project: bool,
    folder: &Path,
    services: &dyn ServiceFactory,
) -> Option<String> {
    match agent {
        HookAgent::Codex if is_project => {
            codex_folder_reason(codex_config(services).as_deref(), folder)
        }
        HookAgent::Gemini => {
            let sources = services.gemini_trust_sources();
            let own = services.agent_settings_path(agent, None).ok()?;
            let settings = services.read_settings(&own).ok().flatten();
            let folders = match services.read_settings(&sources.file) {
                Ok(folders) => folders,
                Err(why) => return Some(why),
            };
            let real = |path: &Path| services.real_path(path);
            let (settings, folders) = (settings.as_deref(), folders.as_deref());
            gemini_folder_reason(&sources, settings, folders, folder, &real)
        }
        _ => None,
    }
}
