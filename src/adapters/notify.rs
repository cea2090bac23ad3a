//! Ways to tell people: the terminal, a webhook, Slack, Telegram, a program that sends mail.

use std::{io::Write, process::Stdio, sync::Once, time::Duration};

use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::{
    domain::{redaction::Redactor, text},
    ports::{
        BoxFuture,
        notifier::{Note, Notifier},
    },
};

/// Texts longer than this are cut in the middle.
const LONGEST: usize = 4000;
const HEAD: usize = 1800;
const TAIL: usize = 1600;

/// Where notes go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Standard error.
    Terminal,
    /// A JSON object by POST.
    Webhook(String),
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
    /// A program that gets a mail on its standard input.
    Mail(Vec<String>),
}

/// A way to tell people.
#[derive(Debug, Clone)]
pub struct Messenger {
    way: Way,
    redactor: Redactor,
    deadline: Duration,
}

impl Messenger {
    /// Makes one.
    pub fn new(way: Way, redactor: Redactor) -> Self {
        Self {
            way,
            redactor,
            deadline: Duration::from_secs(15),
        }
    }

    async fn told(&self, note: &Note) -> Result<(), String> {
        let text = cut(&self
            .redactor
            .clean(&format!("{}\n{}", note.title, note.text)));
        match &self.way {
            Way::Terminal => {
                let mut out = std::io::stderr().lock();
                writeln!(out, "tos: {}", text::visible(&note.title))
                    .map_err(|error| error.to_string())
            }
            Way::Webhook(url) => {
                let clean = |text: &str| cut(&self.redactor.clean(text));
                let body = json!({
                    "event": note.event,
                    "title": clean(&note.title),
                    "text": clean(&note.text),
                    "run": note.run,
                    "ledger": note.ledger,
                });
                self.post(url, &body).await
            }
            Way::Slack(url) => self.post(url, &json!({ "text": text })).await,
            Way::Telegram { base, token, chat } => {
                let url = format!("{}/bot{token}/sendMessage", base.trim_end_matches('/'));
                let body = json!({ "chat_id": chat, "text": escape(&text), "parse_mode": "HTML" });
                self.post(&url, &body).await
            }
            Way::Mail(argv) => self.mail(argv, note, &text).await,
        }
    }

    async fn post(&self, url: &str, body: &Value) -> Result<(), String> {
        let parsed = reqwest::Url::parse(url).map_err(|error| error.to_string())?;
        // An address may hold a token, so it is cut out of every error.
        let plain = |error: reqwest::Error| error.without_url().to_string();
        let client = client(&parsed, self.deadline).map_err(plain)?;
        let request = client
            .post(parsed)
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        let answer = request.send().await.map_err(plain)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(format!("the server answered {status}"))
    }

    async fn mail(&self, argv: &[String], note: &Note, text: &str) -> Result<(), String> {
        let (program, rest) = argv.split_first().ok_or("no program")?;
        let mut child = tokio::process::Command::new(program)
            .args(rest)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let subject = self.redactor.clean(&note.title).replace(['\r', '\n'], " ");
        let mail = format!("Subject: [tos] {subject}\n\n{text}\n");
        if let Some(mut pipe) = child.stdin.take() {
            // A program that does not read says so by its status.
            drop(pipe.write_all(mail.as_bytes()).await);
        }
        let ended = tokio::time::timeout(self.deadline, child.wait()).await;
        let status = ended
            .map_err(|_| format!("{program} did not end"))?
            .map_err(|error| error.to_string())?;
        status
            .success()
            .then_some(())
            .ok_or_else(|| format!("{program} ended with {status}"))
    }
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

impl Notifier for Messenger {
    fn name(&self) -> &str {
        match self.way {
            Way::Terminal => "terminal",
            Way::Webhook(_) => "webhook",
            Way::Slack(_) => "slack",
            Way::Telegram { .. } => "telegram",
            Way::Mail(_) => "mail",
        }
    }

    fn tell<'a>(&'a self, note: &'a Note) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(self.told(note))
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn cut(text: &str) -> String {
    let count = text.chars().count();
    if count <= LONGEST {
        return text.to_owned();
    }
    let head: String = text.chars().take(HEAD).collect();
    let tail: String = text.chars().skip(count - TAIL).collect();
    format!(
        "{head}\n... {} characters left out ...\n{tail}",
        count - HEAD - TAIL
    )
}
