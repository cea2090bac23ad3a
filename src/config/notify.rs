//! Reads `config/notify.toml`: whom jobs, plans, task lists and nights tell, and who collects events.
//!
//! No secret stands in the file: addresses and tokens come from variables (`..._env`) or files (`..._file`).

use std::path::{Path, PathBuf};

use super::{
    files,
    task_list::Error,
    toml_file::{Table, TomlFile},
};
use crate::domain::notify::NotificationEvent;

/// The place of the file below a root.
pub const FILE: &str = "config/notify.toml";

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRef {
    /// The source.
    pub source: SecretSource,
    /// Where it is named, `file:line:column`.
    pub place: String,
}

/// A variable or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A variable of the environment.
    Variable(String),
    /// A file; below the root where the path is relative, below the home where it begins with `~/`.
    File(PathBuf),
}

/// One way to tell people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyTarget {
    /// Its name, the kind where none is given.
    pub name: String,
    /// What it is told of; everything where nothing is given.
    pub on: Option<Vec<NotificationEvent>>,
    /// How.
    pub kind: NotifyTargetKind,
}

/// How people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifyTargetKind {
    /// Standard error.
    Terminal,
    /// A JSON object by POST.
    Webhook(SecretRef),
    /// ntfy.sh or a server of one's own.
    Ntfy {
        /// The server.
        server: String,
        /// The topic, which is as good as a password on a public server.
        topic: NtfyTopic,
        /// The access token.
        token: Option<SecretRef>,
    },
    /// Discord's webhook.
    Discord(SecretRef),
    /// Slack's incoming webhook, or whatever understands it.
    Slack(SecretRef),
    /// Telegram's Bot API.
    Telegram {
        /// The bot's token.
        token: SecretRef,
        /// The chat.
        chat: String,
        /// Another server than Telegram's own.
        base: String,
    },
    /// A message on this desktop.
    Desktop,
    /// A program that reads a mail on standard input, such as `sendmail -t`.
    Mail(Vec<String>),
    /// A program that reads a JSON object on standard input.
    Command(Vec<String>),
}

/// A topic, in clear or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NtfyTopic {
    /// In clear.
    Plain(String),
    /// From a variable or a file.
    Secret(SecretRef),
}

/// Whoever collects the events of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventCollector {
    /// The address, which may hold a token.
    pub url: SecretRef,
    /// What goes into `Authorization: Bearer`.
    pub token: Option<SecretRef>,
}

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotifySettings {
    /// The ways; `None` = the file names none.
    pub notify: Option<Vec<NotifyTarget>>,
    /// Whoever collects events.
    pub events: Option<EventCollector>,
}

const KINDS: [&str; 9] = [
    "terminal", "webhook", "ntfy", "discord", "slack", "telegram", "desktop", "mail", "command",
];

/// Reads the file of a root; where there is none, it says nothing.
pub fn load(root: &Path) -> Result<NotifySettings, Error> {
    let file = root.join(FILE);
    if let Some(what) = files::not_a_file_reason(&file) {
        let message = format!("{FILE} is {what}, not a file; move it away");
        return Err(Error::Notify { message });
    }
    if !files::is_file(&file) {
        return Ok(NotifySettings::default());
    }
    let text = files::read_text(&file).map_err(|source| Error::Unreadable {
        file: file.display().to_string(),
        source,
    })?;
    parse(&text, FILE)
}

/// Reads the text; `name` is for messages.
pub fn parse(text: &str, name: &str) -> Result<NotifySettings, Error> {
    let wrong = |message: String| Error::Notify { message };
    let file = TomlFile::new(name, text);
    let entries = file.parse().map_err(wrong)?;
    let told = {
        let table = file.table(&entries);
        let notify = table
            .tables("notify")
            .map(|tables| tables.into_iter().filter_map(one).collect::<Vec<_>>());
        let events = table.inner_table("events").and_then(collector);
        if let Some(notify) = &notify {
            twice(&table, notify);
        }
        table.finish(|_| None);
        NotifySettings { notify, events }
    };
    file.faults().map_or(Ok(told), |faults| Err(wrong(faults)))
}

/// Two ways of one name could not be told apart.
fn twice(table: &Table<'_, '_>, notify: &[NotifyTarget]) {
    for (at, one) in notify.iter().enumerate() {
        if notify.iter().take(at).any(|other| other.name == one.name) {
            let what = format!(
                "two notifiers are called `{}`; give one of them another `name`",
                one.name
            );
            table.fault("notify", &what);
        }
    }
}

fn collector(table: Table<'_, '_>) -> Option<EventCollector> {
    let url = needed(&table, "url_env", "url_file", "the address");
    let token = secret(&table, "token_env", "token_file");
    table.finish(in_clear);
    Some(EventCollector { url: url?, token })
}

fn one(table: Table<'_, '_>) -> Option<NotifyTarget> {
    if !table.has("kind") {
        table.fault(
            "kind",
            &format!("`kind` is missing; it is one of {}", KINDS.join(", ")),
        );
    }
    let word = table.choice("kind", &KINDS);
    let name = table.text("name");
    let words = NotificationEvent::ALL.map(NotificationEvent::as_str);
    let on = table.choices("on", &words).map(|words| {
        words
            .into_iter()
            .filter_map(NotificationEvent::of)
            .collect()
    });
    let Some(word) = word else {
        // Without a kind nobody knows which other keys belong here.
        return None;
    };
    let kind = kind(word, &table);
    table.finish(in_clear);
    Some(NotifyTarget {
        name: name.unwrap_or_else(|| word.to_owned()),
        on,
        kind: kind?,
    })
}

fn kind(word: &str, table: &Table<'_, '_>) -> Option<NotifyTargetKind> {
    let address = || needed(table, "url_env", "url_file", "the address");
    Some(match word {
        "terminal" => NotifyTargetKind::Terminal,
        "desktop" => NotifyTargetKind::Desktop,
        "webhook" => NotifyTargetKind::Webhook(address()?),
        "discord" => NotifyTargetKind::Discord(address()?),
        "slack" => NotifyTargetKind::Slack(address()?),
        "ntfy" => ntfy(table)?,
        "telegram" => {
            let token = needed(table, "token_env", "token_file", "the bot's token");
            let chat = table.text("chat");
            if !table.has("chat") {
                table.fault("chat", "`chat` is missing: the chat's number or @name");
            }
            let base = server(table, "base", "https://api.telegram.org");
            NotifyTargetKind::Telegram {
                token: token?,
                chat: chat?,
                base: base?,
            }
        }
        "mail" => NotifyTargetKind::Mail(program(table, "[\"sendmail\", \"-t\"]")?),
        _ => NotifyTargetKind::Command(program(table, "[\"./notify.sh\"]")?),
    })
}

fn ntfy(table: &Table<'_, '_>) -> Option<NotifyTargetKind> {
    let server = server(table, "server", "https://ntfy.sh");
    let token = secret(table, "token_env", "token_file");
    let plain = table.text("topic");
    let hidden = secret(table, "topic_env", "topic_file");
    let topic = match (plain, hidden) {
        (Some(topic), None) => {
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if topic.len() > 64 || !topic.chars().all(fits) {
                let what = "`topic` is 1 to 64 letters, digits, `_` and `-`, without a server";
                table.fault("topic", what);
            }
            Some(NtfyTopic::Plain(topic))
        }
        (None, Some(secret)) => Some(NtfyTopic::Secret(secret)),
        (Some(_), Some(_)) => {
            table.fault("topic", "`topic` stands beside another topic; keep one");
            None
        }
        (None, None) => {
            if !table.has("topic") && !table.has("topic_env") && !table.has("topic_file") {
                let what = "the topic is missing; give `topic`, `topic_env` or `topic_file`";
                table.fault("topic", what);
            }
            None
        }
    };
    Some(NotifyTargetKind::Ntfy {
        server: server?,
        topic: topic?,
        token,
    })
}

fn server(table: &Table<'_, '_>, key: &'static str, usual: &str) -> Option<String> {
    let Some(text) = table.text(key) else {
        return (!table.has(key)).then(|| usual.to_owned());
    };
    if !text.starts_with("https://") && !text.starts_with("http://") {
        table.fault(
            key,
            &format!("`{key}` has to begin with https:// or http://"),
        );
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

fn program(table: &Table<'_, '_>, example: &str) -> Option<Vec<String>> {
    let words = table.texts("command");
    if !table.has("command") {
        let what = format!("`command` is missing: a program and its words, e.g. {example}");
        table.fault("command", &what);
    }
    words
}

fn needed(
    table: &Table<'_, '_>,
    variable: &'static str,
    file: &'static str,
    what: &str,
) -> Option<SecretRef> {
    let secret = secret(table, variable, file);
    let is_there = table.has(variable) || table.has(file);
    if !is_there {
        let text = format!(
            "{what} is missing; name the variable that holds it (`{variable}`) or a file (`{file}`)"
        );
        table.fault(variable, &text);
    }
    secret
}

fn secret(table: &Table<'_, '_>, variable: &'static str, file: &'static str) -> Option<SecretRef> {
    let name = table.placed_text(variable);
    let path = table.text(file);
    if name.is_some() && path.is_some() {
        table.fault(
            file,
            &format!("`{variable}` and `{file}` exclude each other"),
        );
        return None;
    }
    if let Some((name, _)) = name {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !name.chars().all(fits) {
            // Whatever stands there may be the secret itself, so it is not shown.
            let what = format!(
                "`{variable}` is the name of a variable (letters, digits, `_`), not its value; export the value and \
                 name the variable here"
            );
            table.fault(variable, &what);
            return None;
        }
        return Some(SecretRef {
            source: SecretSource::Variable(name),
            place: table.board_task_of(variable),
        });
    }
    let path = path?;
    Some(SecretRef {
        source: SecretSource::File(PathBuf::from(path)),
        place: table.board_task_of(file),
    })
}

/// Whoever writes a secret into the file gets told where it belongs.
fn in_clear(key: &str) -> Option<String> {
    let belongs = matches!(key, "url" | "token" | "webhook" | "password" | "api_key");
    let stem = if matches!(key, "url" | "webhook") {
        "url"
    } else {
        "token"
    };
    belongs.then(|| {
        format!(
            "`{key}` would put a secret into this file; put it into a variable and name that with `{stem}_env`, or into a \
             file and name that with `{stem}_file`"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        parse(text, "config/notify.toml").unwrap_err().to_string()
    }

    #[test]
    fn every_kind_is_read() {
        let text = r#"
[[notify]]
kind = "terminal"
[[notify]]
kind = "webhook"
url_env = "HOOK"
[[notify]]
kind = "ntfy"
topic = "tos-night"
token_file = "~/.config/ntfy"
on = ["plan_failed", "approval_waiting"]
[[notify]]
kind = "discord"
url_file = "hook.txt"
[[notify]]
kind = "slack"
url_env = "SLACK"
[[notify]]
name = "phone"
kind = "telegram"
token_env = "T"
chat = "42"
[[notify]]
kind = "desktop"
[[notify]]
kind = "mail"
command = ["sendmail", "-t"]
[[notify]]
kind = "command"
command = ["./tell"]
[events]
url_env = "EVENTS"
"#;
        let told = parse(text, "n").unwrap();
        let notify = told.notify.unwrap();
        let names: Vec<&str> = notify.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "terminal", "webhook", "ntfy", "discord", "slack", "phone", "desktop", "mail",
                "command"
            ]
        );
        assert_eq!(
            notify[2].on,
            Some(vec![
                NotificationEvent::PlanFailed,
                NotificationEvent::ApprovalWaiting
            ])
        );
        assert_eq!(
            notify[5].kind,
            NotifyTargetKind::Telegram {
                token: SecretRef {
                    source: SecretSource::Variable("T".into()),
                    place: "n:21:13".into()
                },
                chat: "42".into(),
                base: "https://api.telegram.org".into()
            }
        );
        assert!(told.events.is_some());
    }

    #[test]
    fn faults_name_place_and_nearest_key() {
        for (text, said) in [
            (
                "[[notify]]\nkind = \"slak\"\nurl_env = \"A\"\n",
                "config/notify.toml:2:8: `kind` does not know `slak`; did you mean `slack`?",
            ),
            (
                "[[notify]]\nkind = \"slack\"\nurl_emv = \"A\"\n",
                "config/notify.toml:3:1: unknown key `url_emv`; did you mean `url_env`?",
            ),
            (
                "[[notify]]\nkind = \"slack\"\n",
                "config/notify.toml:1:1: the address is missing; name the variable that holds it (`url_env`)",
            ),
            (
                "[[notify]]\nkind = \"telegram\"\ntoken_env = 4\nchat = \"1\"\n",
                "config/notify.toml:3:13: `token_env` is a number; it has to be a text in quotes",
            ),
            (
                "[[notify]]\nkind = \"ntfy\"\ntopic = \"a\"\non = [\"plan_fail\"]\n",
                "config/notify.toml:4:6: `on` does not know `plan_fail`; did you mean `plan_failed`?",
            ),
            (
                "[[notfy]]\nkind = \"desktop\"\n",
                "config/notify.toml:1:3: unknown key `notfy`; did you mean `notify`?",
            ),
            (
                "[[notify]]\nkind = \"desktop\"\n[[notify]]\nkind = \"desktop\"\n",
                "two notifiers are called `desktop`; give one of them another `name`",
            ),
            ("[[notify]\n", "config/notify.toml:1:"),
            (
                "[[notify]]\nkind = \"mail\"\n",
                "config/notify.toml:1:1: `command` is missing: a program and its words",
            ),
            (
                "[notify]\nkind = \"mail\"\n",
                "`notify` is a table; it has to be a list of tables, each begun by `[[notify]]`",
            ),
            (
                "[[notify]]\nkind = \"ntfy\"\ntopic = \"https://ntfy.sh/x\"\n",
                "config/notify.toml:3:9: `topic` is 1 to 64 letters",
            ),
        ] {
            let what = wrong(text);
            assert!(what.contains(said), "{what}\n{said}");
        }
    }

    #[test]
    fn a_secret_in_the_file_is_refused_and_not_repeated() {
        let what = wrong("[[notify]]\nkind = \"slack\"\nurl = \"https://hooks.example/s3cr3t\"\n");
        assert!(
            what.contains("3:1: `url` would put a secret into this file")
                && !what.contains("s3cr3t"),
            "{what}"
        );
        let what =
            wrong("[[notify]]\nkind = \"slack\"\nurl_env = \"https://hooks.example/s3cr3t\"\n");
        assert!(
            what.contains("`url_env` is the name of a variable") && !what.contains("s3cr3t"),
            "{what}"
        );
    }

    #[test]
    fn something_else_in_the_place_of_the_file_is_named() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(load(root.path()).unwrap(), NotifySettings::default());
        files::write(&root.path().join(FILE).join("x"), "");
        let error = load(root.path()).unwrap_err().to_string();
        assert!(error.contains("config/notify.toml is a folder"), "{error}");
    }

    #[test]
    fn all_faults_are_told_together() {
        let what = wrong("[[notify]]\nkind = \"slack\"\n[[notify]]\nkind = \"discord\"\nx = 1\n");
        assert_eq!(what.lines().count(), 3, "{what}");
    }
}
