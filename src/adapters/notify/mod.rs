//! Ways to tell people: the terminal, a webhook, ntfy, Discord, Slack, Telegram, the desktop, programs.
//!
//! `services` knows how each service wants to be asked and what its answers mean, `program` starts programs, `queue`
//! delivers beside the work and keeps what has not arrived. Whatever goes out, and every error, is redacted: with the
//! secrets of this machine and with the address and token of the way itself.

mod program;
mod queue;
mod services;

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Once,
    time::Duration,
};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER};

pub use queue::{NotificationQueue, QueueOptions};

use crate::{
    domain::{
        notify::{Notification, NotificationError, NotificationEvent},
        redaction::Redactor,
        text,
    },
    ports::{BoxFuture, notifier::Notifier},
};

/// No answer is read further than this.
const LONGEST_ANSWER: usize = 16 << 10;

/// Where notifications go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotificationChannel {
    /// Standard error.
    Terminal,
    /// A JSON object by POST.
    Webhook(String),
    /// ntfy.
    Ntfy {
        /// The server.
        server: String,
        /// The topic.
        topic: String,
        /// The access token.
        token: Option<String>,
    },
    /// A message as Discord's webhooks take it.
    Discord(String),
    /// A message as Slack takes it.
    Slack(String),
    /// The Bot API of Telegram.
    Telegram {
        /// The address of the API.
        base: String,
        /// The bot's token.
        token: String,
        /// The chat.
        chat: String,
    },
    /// A message on this desktop.
    Desktop,
    /// A program that gets a mail on its standard input.
    Mail(Vec<String>),
    /// A program that gets a JSON object on its standard input.
    Command(Vec<String>),
}

impl NotificationChannel {
    /// Returns what must not be seen in any message.
    fn secrets(&self) -> Vec<String> {
        match self {
            Self::Webhook(url) | Self::Discord(url) | Self::Slack(url) => {
                let parts = url.split(['/', '?', '=', '&']);
                let long = parts.filter(|part| part.len() >= 12).map(str::to_owned);
                long.chain([url.clone()]).collect()
            }
            Self::Ntfy { topic, token, .. } => {
                token.iter().cloned().chain([topic.clone()]).collect()
            }
            Self::Telegram { token, .. } => vec![token.clone()],
            Self::Terminal | Self::Desktop | Self::Mail(_) | Self::Command(_) => Vec::new(),
        }
    }
}

/// A way to tell people.
#[derive(Debug, Clone)]
pub struct ChannelNotifier {
    name: String,
    on: Option<Vec<NotificationEvent>>,
    way: NotificationChannel,
    redactor: Redactor,
    deadline: Duration,
    folder: PathBuf,
}

impl ChannelNotifier {
    /// Makes one that is told of everything.
    pub fn new(name: impl Into<String>, way: NotificationChannel, redactor: &Redactor) -> Self {
        Self {
            name: name.into(),
            on: None,
            redactor: redactor.with_values(way.secrets()),
            way,
            deadline: Duration::from_secs(15),
            folder: PathBuf::from("."),
        }
    }

    /// Starts programs in this folder, wherever tos was started.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// Tells only of these events.
    #[must_use]
    pub fn only(mut self, on: Option<Vec<NotificationEvent>>) -> Self {
        self.on = on;
        self
    }

    async fn told(&self, notification: &Notification) -> Result<(), NotificationError> {
        let clean = notification.redacted(&self.redactor);
        match &self.way {
            NotificationChannel::Terminal => {
                let mut out = std::io::stderr().lock();
                writeln!(out, "tos: {}", text::escape_control_chars(&clean.title))
                    .map_err(|error| NotificationError::permanent(error.to_string(), ""))
            }
            NotificationChannel::Desktop => program::desktop(&clean, &self.stage()).await,
            NotificationChannel::Mail(argv) => program::mail(argv, &clean, &self.stage()).await,
            NotificationChannel::Command(argv) => {
                program::command(argv, &clean, &self.stage()).await
            }
            NotificationChannel::Webhook(_)
            | NotificationChannel::Ntfy { .. }
            | NotificationChannel::Discord(_)
            | NotificationChannel::Slack(_)
            | NotificationChannel::Telegram { .. } => {
                let Some(request) = services::request(&self.way, &clean) else {
                    return Ok(());
                };
                let answer = self.post(&request).await?;
                services::check_response(&self.way, &answer)
            }
        }
    }

    fn stage(&self) -> program::ProgramSettings<'_> {
        program::ProgramSettings {
            folder: self.folder.as_path(),
            deadline: self.deadline,
        }
    }

    async fn post(
        &self,
        request: &services::ServiceRequest,
    ) -> Result<services::ServiceResponse, NotificationError> {
        let parsed = reqwest::Url::parse(&request.url).map_err(|error| {
            NotificationError::permanent(
                format!("its address is no URL: {error}"),
                "correct the address",
            )
        })?;
        // An address may hold a token, so it is cut out of every error.
        let passing = |error: reqwest::Error| {
            let error = error.without_url();
            let mut why = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                why = format!("{why}: {cause}");
                source = cause.source();
            }
            NotificationError::transient(why, "check that this machine reaches the server")
        };
        let client = client(&parsed, self.deadline).map_err(passing)?;
        let mut ask = client
            .post(parsed)
            .header(CONTENT_TYPE, "application/json")
            .body(request.body.to_string());
        if let Some(token) = &request.bearer {
            ask = ask.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let mut answer = ask.send().await.map_err(passing)?;
        let retry_after_ms = retry_after(answer.headers());
        let status = answer.status();
        let mut body = Vec::new();
        // What the body would have said is a help, not a condition: the status decides.
        while let Ok(Some(chunk)) = answer.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() >= LONGEST_ANSWER {
                break;
            }
        }
        Ok(services::ServiceResponse {
            status: status.as_u16(),
            retry_after_ms,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

/// Reads `Retry-After`: seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    services::retry_after_ms(text, chrono::Utc::now())
}

/// Makes what talks to a server; on this machine no proxy is asked.
pub(super) fn client(url: &reqwest::Url, deadline: Duration) -> reqwest::Result<reqwest::Client> {
    static PROVIDER: Once = Once::new();
    // A second installation is refused, which is as good.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let near = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    let mut builder = reqwest::Client::builder()
        .timeout(deadline)
        .redirect(reqwest::redirect::Policy::none());
    if near {
        builder = builder.no_proxy().tls_certs_only([]);
    }
    builder.build()
}

impl Notifier for ChannelNotifier {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants(&self, event: NotificationEvent) -> bool {
        let always = matches!(event, NotificationEvent::Health | NotificationEvent::Test);
        always || self.on.as_ref().is_none_or(|on| on.contains(&event))
    }

    fn is_ephemeral(&self) -> bool {
        self.way == NotificationChannel::Terminal
    }

    fn tell<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotificationError>> {
        Box::pin(async move {
            self.told(notification)
                .await
                .map_err(|refusal| NotificationError {
                    why: self
                        .redactor
                        .clean(&text::escape_control_chars(&refusal.why)),
                    ..refusal
                })
        })
    }
}
