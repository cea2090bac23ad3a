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
        notify::{ChannelNotifier, NotificationChannel, NotificationQueue, QueueOptions},
    },
    config::notify::{self, NotifyTarget, NotifyTargetKind, NtfyTopic, SecretRef, SecretSource},
    domain::state_folder::tos_path,
    interfaces::cli::{exit::CliError, services::ServiceFactory, task_services::EventNotifiers},
    ports::notifier::{NotificationSink, Notifier, NullNotificationSink},
};

impl AppContext {
    /// Returns a secret, or says where it is named and what is missing.
    pub(super) fn secret(&self, root: &Path, secret: &SecretRef) -> Result<String, CliError> {
        let place = &secret.place;
        let wrong = |what: String| CliError::Setup(format!("config error: {place}: {what}"));
        let found = match &secret.source {
            SecretSource::Variable(name) => self
                .env_var(name)
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
        match (path.strip_prefix("~"), self.env_var("HOME")) {
            (Ok(rest), Some(home)) => PathBuf::from(home).join(rest),
            _ => root.join(path),
        }
    }

    fn way(&self, root: &Path, kind: NotifyTargetKind) -> Result<NotificationChannel, CliError> {
        Ok(match kind {
            NotifyTargetKind::Terminal => NotificationChannel::Terminal,
            NotifyTargetKind::Desktop => NotificationChannel::Desktop,
            NotifyTargetKind::Webhook(url) => {
                NotificationChannel::Webhook(self.secret(root, &url)?)
            }
            NotifyTargetKind::Discord(url) => {
                NotificationChannel::Discord(self.secret(root, &url)?)
            }
            NotifyTargetKind::Slack(url) => NotificationChannel::Slack(self.secret(root, &url)?),
            NotifyTargetKind::Ntfy {
                server,
                topic,
                token,
            } => NotificationChannel::Ntfy {
                server,
                topic: match topic {
                    NtfyTopic::Plain(topic) => topic,
                    NtfyTopic::Secret(secret) => self.secret(root, &secret)?,
                },
                token: token.map(|token| self.secret(root, &token)).transpose()?,
            },
            NotifyTargetKind::Telegram { token, chat, base } => NotificationChannel::Telegram {
                token: self.secret(root, &token)?,
                chat,
                base,
            },
            NotifyTargetKind::Mail(command) => NotificationChannel::Mail(command),
            NotifyTargetKind::Command(command) => NotificationChannel::Command(command),
        })
    }

    fn messenger(&self, root: &Path, one: NotifyTarget) -> Result<Arc<dyn Notifier>, CliError> {
        let way = self.way(root, one.kind)?;
        let messenger = ChannelNotifier::new(one.name, way, self.redactor());
        Ok(Arc::new(messenger.only(one.on).in_folder(root)))
    }

    /// Builds what sessions tell; the terminal where the file names no way.
    pub(super) fn notifiers_of(&self, root: &Path) -> Result<Vec<Arc<dyn Notifier>>, CliError> {
        let told = notify::load(root).map_err(|error| CliError::Setup(error.to_string()))?;
        let Some(ways) = told.notify else {
            let terminal =
                ChannelNotifier::new("terminal", NotificationChannel::Terminal, self.redactor());
            return Ok(vec![Arc::new(terminal)]);
        };
        ways.into_iter()
            .map(|one| self.messenger(root, one))
            .collect()
    }

    /// Builds what jobs and plans tell. A wrong file is an error; a way whose secret is missing here is left out and named,
    /// because a run must not fail for it.
    pub(super) fn event_notifiers(&self, root: &Path) -> Result<EventNotifiers, CliError> {
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
                notifications: Arc::new(NullNotificationSink),
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
    ) -> Result<Arc<dyn NotificationSink>, CliError> {
        let options = QueueOptions {
            folder: root.join(tos_path!("notifications")),
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
