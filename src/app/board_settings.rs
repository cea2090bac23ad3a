//! The settings of a running service: where each comes from, and how changes are kept.

use crate::{
    adapters::{files, github::TOKEN},
    app::board_access::{ServiceBoard, unavailable},
    config::service as service_config,
    domain::board::{BoardSettings, KEYS},
    ports::board::{AccessError, ConfigEntry},
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
        let kept = service_config::kept_settings(&self.root);
        let entry = |key: &crate::domain::board::SettingKey| {
            let value = settings.get(key.name);
            let origin = if self.variable(key.name).is_some() {
                "environment"
            } else if kept.contains_key(key.name) {
                service_config::KEPT
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
                restart: settings.concerned(key.impact),
            }
        };
        let origin = self.token.origin();
        let token = ConfigEntry {
            name: TOKEN.to_owned(),
            value: None,
            is_secret: true,
            is_set: origin.is_some(),
            origin: origin.unwrap_or("default").to_owned(),
            meaning: "the token for GitHub; written, never shown; an empty one takes it away"
                .to_owned(),
            restart: Vec::new(),
        };
        KEYS.iter()
            .map(entry)
            .chain(std::iter::once(token))
            .collect()
    }

    /// Keeps changed settings for the next start; what the environment sets is refused, because it would win again.
    pub(super) fn changed(
        &self,
        changes: &[(String, String)],
    ) -> Result<BoardSettings, AccessError> {
        let mut settings = self.handle.snapshot().settings().clone();
        let mut kept = service_config::kept_settings(&self.root);
        let secret = changes.iter().rfind(|(name, _)| name == TOKEN);
        let plain = changes.iter().filter(|(name, _)| name != TOKEN);
        for (name, value) in plain {
            if self.variable(name).is_some() {
                return Err(AccessError::Invalid(format!(
                    "{name} is set in the environment of the service, which would win again; change it there"
                )));
            }
            settings.set(name, value).map_err(AccessError::Invalid)?;
            kept.insert(name.clone(), value.clone());
        }
        if let Some(why) = settings.contradiction() {
            return Err(AccessError::Invalid(why));
        }
        if let Some((_, token)) = secret {
            self.token.write(token).map_err(AccessError::Invalid)?;
        }
        let text = service_config::kept_text(&kept);
        files::write(&self.root.join(service_config::KEPT), &text).map_err(unavailable)?;
        Ok(settings)
    }
}
