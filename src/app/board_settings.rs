//! The settings of a running service: where each comes from, and how changes are kept.

use crate::{
    adapters::{
        files,
        github::{GitHubSecret, TOKEN_NAME, WEBHOOK_SECRET_NAME},
    },
    app::board_access::{ServiceBoard, unavailable},
    config::service as service_config,
    domain::board::{BoardSettings, KEYS},
    ports::board::{BoardError, ConfigEntry},
};

impl ServiceBoard {
    fn variable(&self, name: &str) -> Option<&str> {
        let pair = self.environment.iter().find(|(known, _)| known == name);
        pair.map(|(_, value)| value.as_str())
    }

    /// Returns the settings in the order in which they are shown.
    pub(super) fn entries(&self) -> Vec<ConfigEntry> {
        let board = self.handle.snapshot();
        let (settings, usual) = (board.settings(), BoardSettings::default());
        let kept = service_config::load_runtime_settings(&self.root);
        let entry = |key: &crate::domain::board::SettingKey| {
            let value = settings.get(key.name);
            let origin = if self.variable(key.name).is_some() {
                "environment"
            } else if kept.contains_key(key.name) {
                service_config::RUNTIME_SETTINGS_FILE
            } else if value == usual.get(key.name) {
                "default"
            } else {
                service_config::FILE
            };
            ConfigEntry {
                name: key.name.to_owned(),
                is_secret: false,
                is_set: value.is_some(),
                value,
                origin: origin.to_owned(),
                meaning: key.meaning.to_owned(),
                restart: settings.processes_to_restart(key.impact),
            }
        };
        let secrets = self.secrets();
        let secrets = secrets.into_iter().map(|(name, file, meaning)| {
            let origin = file.origin();
            ConfigEntry {
                name: name.to_owned(),
                value: None,
                is_secret: true,
                is_set: origin.is_some(),
                origin: origin.unwrap_or("default").to_owned(),
                meaning: format!("{meaning}; written, never shown; an empty one takes it away"),
                restart: Vec::new(),
            }
        });
        KEYS.iter().map(entry).chain(secrets).collect()
    }

    /// Returns what is written and never shown: its name, where it lies, what it is.
    fn secrets(&self) -> [(&'static str, &GitHubSecret, &'static str); 2] {
        [
            (TOKEN_NAME, &self.token, "the token for GitHub"),
            (
                WEBHOOK_SECRET_NAME,
                &self.webhook,
                "the secret of GitHub's webhook, which is off without one",
            ),
        ]
    }

    /// Keeps changed settings for the next start; what the environment sets is refused, because it would win again.
    pub(super) fn save_changes(
        &self,
        changes: &[(String, String)],
    ) -> Result<BoardSettings, BoardError> {
        let before = self.handle.snapshot().settings().clone();
        let mut settings = before.clone();
        let mut kept = service_config::load_runtime_settings(&self.root);
        let secrets = self.secrets();
        let is_secret = |name: &str| secrets.iter().any(|(known, ..)| *known == name);
        let plain = changes.iter().filter(|(name, _)| !is_secret(name));
        for (name, value) in plain {
            if self.variable(name).is_some() {
                return Err(BoardError::Invalid(format!(
                    "{name} is set in the environment of the service, which would win again; change it there"
                )));
            }
            settings.set(name, value).map_err(BoardError::Invalid)?;
            kept.insert(name.clone(), value.clone());
        }
        let wrong = settings
            .contradiction()
            .or_else(|| settings.unknown_executor(&self.agents));
        if let Some(why) = wrong {
            return Err(BoardError::Invalid(why));
        }
        self.refuse_missing_container(&before, &settings)?;
        for (name, file, _) in secrets {
            if let Some((_, value)) = changes.iter().rfind(|(known, _)| known == name) {
                file.write(value).map_err(BoardError::Invalid)?;
            }
        }
        let text = service_config::runtime_settings_toml(&kept);
        files::write(
            &self.root.join(service_config::RUNTIME_SETTINGS_FILE),
            &text,
        )
        .map_err(unavailable)?;
        Ok(settings)
    }

    /// Attempts cannot be let into a container that cannot be made here: every one of them would fail.
    fn refuse_missing_container(
        &self,
        before: &BoardSettings,
        settings: &BoardSettings,
    ) -> Result<(), BoardError> {
        let Some((image, network)) = settings.container() else {
            return Ok(());
        };
        if before.container().as_ref() == Some(&(image.clone(), network.clone())) {
            return Ok(());
        }
        let made = self.containers.runners(&image, &network);
        made.map(drop).map_err(BoardError::Invalid)
    }
}
