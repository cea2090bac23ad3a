//! Builds what tells people: from `config/notify.toml`, with secrets from variables and files.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::context::{AppContext, run_id};
use crate::{
    adapters::{
        clock::SystemClock,
        files,
        notify::{Messenger, NotificationQueue, QueueOptions, Way},
    },
    config::{
        notify,
        notify::{Kind, Notify, Secret, SecretSource, Topic},
    },
    interfaces::cli::{exit::CliError, services::ServiceFactory, task_services::EventNotifiers},
    ports::notifier::{NoNotifications, Notifications, Notifier},
};

impl AppContext {
    /// Returns a secret, or says where it is named and what is missing.
    pub(super) fn secret(&self, root: &Path, secret: &Secret) -> Result<String, CliError> {
        let place = &secret.place;
        let wrong = |what: String| CliError::Setup(format!("config error: {place}: {what}"));
        let found = match &secret.source {
            SecretSource::Variable(name) => self
                .variable(name)
                .filter(|value| !value.trim().is_empty())
                .ok_or_else(|| wrong(format!("{name} is not set; export it")))?,
            SecretSource::File(path) => {
                let path = self.at(root, path);
                let text = files::read(&path).and_then(|bytes| String::from_utf8(bytes).ok());
                let text = text.filter(|text| !text.trim().is_empty());
                text.ok_or_else(|| {
                    wrong(format!("{} cannot be read, or is empty", path.display()))
                })?
            }
        };
        Ok(found.trim().to_owned())
    }

    fn at(&self, root: &Path, path: &Path) -> PathBuf {
        match (path.strip_prefix("~"), self.variable("HOME")) {
            (Ok(rest), Some(home)) => PathBuf::from(home).join(rest),
            _ => root.join(path),
        }
    }

    fn way(&self, root: &Path, kind: Kind) -> Result<Way, CliError> {
        Ok(match kind {
            Kind::Terminal => Way::Terminal,
            Kind::Desktop => Way::Desktop,
            Kind::Webhook(url) => Way::Webhook(self.secret(root, &url)?),
            Kind::Discord(url) => Way::Discord(self.secret(root, &url)?),
            Kind::Slack(url) => Way::Slack(self.secret(root, &url)?),
            Kind::Ntfy {
                server,
                topic,
                token,
            } => Way::Ntfy {
                server,
                topic: match topic {
                    Topic::Plain(topic) => topic,
                    Topic::Secret(secret) => self.secret(root, &secret)?,
                },
                token: token.map(|token| self.secret(root, &token)).transpose()?,
            },
            Kind::Telegram { token, chat, base } => Way::Telegram {
                token: self.secret(root, &token)?,
                chat,
                base,
            },
            Kind::Mail(command) => Way::Mail(command),
            Kind::Command(command) => Way::Command(command),
        })
    }

    fn messenger(&self, root: &Path, one: Notify) -> Result<Arc<dyn Notifier>, CliError> {
        let way = self.way(root, one.kind)?;
        let messenger = Messenger::new(one.name, way, self.redactor());
        Ok(Arc::new(messenger.only(one.on).in_folder(root)))
    }

    /// Builds what sessions tell; the terminal where the file names no way.
    pub(super) fn notifiers_of(&self, root: &Path) -> Result<Vec<Arc<dyn Notifier>>, CliError> {
        let told = notify::load(root).map_err(|error| CliError::Setup(error.to_string()))?;
        let Some(ways) = told.notify else {
            let terminal = Messenger::new("terminal", Way::Terminal, self.redactor());
            return Ok(vec![Arc::new(terminal)]);
        };
        ways.into_iter()
            .map(|one| self.messenger(root, one))
            .collect()
    }

    /// Builds what jobs and plans tell. A wrong file is an error; a way whose secret is missing here is left out and named,
    /// because a run must not fail for it.
    pub(super) fn tellers(&self, root: &Path) -> Result<EventNotifiers, CliError> {
        let told = notify::load(root).map_err(|error| CliError::Setup(error.to_string()))?;
        let (mut notifiers, mut warnings) = (Vec::new(), Vec::new());
        for one in told.notify.into_iter().flatten() {
            let name = one.name.clone();
            match self.messenger(root, one) {
                Ok(notifier) => notifiers.push(notifier),
                Err(trouble) => {
                    let why = trouble.to_string();
                    let why = why.strip_prefix("config error: ").unwrap_or(&why);
                    warnings.push(format!("{why}; `{name}` is not told of this run"));
                }
            }
        }
        if notifiers.is_empty() {
            return Ok(EventNotifiers {
                notifications: Arc::new(NoNotifications),
                warnings,
            });
        }
        let notifications = self.queue(root, &run_id(&SystemClock::new()), notifiers)?;
        Ok(EventNotifiers {
            notifications,
            warnings,
        })
    }

    /// Starts delivering beside the work.
    pub(super) fn queue(
        &self,
        root: &Path,
        run: &str,
        notifiers: Vec<Arc<dyn Notifier>>,
    ) -> Result<Arc<dyn Notifications>, CliError> {
        let options = QueueOptions {
            folder: root.join(".tos/notifications"),
            run: run.to_owned(),
            second: Duration::from_secs(1),
            redactor: self.redactor().clone(),
        };
        let queue = NotificationQueue::start(notifiers, options).map_err(|error| {
            CliError::NotDone(format!("notifications cannot be delivered: {error}"))
        })?;
        Ok(Arc::new(queue))
    }
}
