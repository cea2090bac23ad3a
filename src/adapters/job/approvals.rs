//! The ways to a person: the terminal, a folder of questions, or nobody.
//!
//! A question in the folder is a file `<id>.json`; the answer is a file `<id>.answer`, written by
//! `tos answer`. Danger: whoever can write that folder can say yes, so commands must not be able to
//! (the sandbox keeps `.tos` read-only).

use std::{
    collections::BTreeSet,
    fs, io,
    io::{BufRead, Write},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    adapters::job::store::{io_error, replace},
    domain::{command::Command, text},
    ports::{
        BoxFuture,
        approvals::{AllowRuleStore, ApprovalAnswer, Approvals},
        store::Error,
    },
};

/// How often a waiting question looks for its answer.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Nobody is there: every answer is no.
#[derive(Debug)]
pub struct DenyAllApprovals;

impl Approvals for DenyAllApprovals {
    fn ask<'a>(
        &'a self,
        _id: &'a str,
        _command: &'a Command,
        _reason: &'a str,
    ) -> BoxFuture<'a, ApprovalAnswer> {
        Box::pin(async {
            ApprovalAnswer {
                yes: false,
                by: "nobody was there to ask".to_owned(),
            }
        })
    }
}

/// Asks whoever sits at the terminal; remembers what was allowed for the rest of the run.
pub struct TerminalApprovals {
    allowed: Arc<Mutex<BTreeSet<String>>>,
    memory: Arc<dyn AllowRuleStore>,
}

impl TerminalApprovals {
    /// Makes the way; what is allowed for good goes to `memory`.
    pub fn new(memory: Arc<dyn AllowRuleStore>) -> Self {
        Self {
            allowed: Arc::default(),
            memory,
        }
    }
}

impl Approvals for TerminalApprovals {
    fn ask<'a>(
        &'a self,
        _id: &'a str,
        command: &'a Command,
        reason: &'a str,
    ) -> BoxFuture<'a, ApprovalAnswer> {
        let text = format!("{}: {}", command.kind.as_str(), command.text());
        let offer = self.memory.rule_destination(command);
        let question = question(&text, reason, offer.as_deref());
        let allowed = Arc::clone(&self.allowed);
        let memory = Arc::clone(&self.memory);
        let command = command.clone();
        Box::pin(async move {
            if allowed.lock().is_ok_and(|allowed| allowed.contains(&text)) {
                return allowed_earlier();
            }
            let word = tokio::task::spawn_blocking(move || blocking_ask(&question)).await;
            let said = TerminalAnswer::read(&word.unwrap_or_default(), offer);
            if said.is_for_the_run()
                && let Ok(mut allowed) = allowed.lock()
            {
                allowed.insert(text);
            }
            said.answer(&*memory, &command)
        })
    }
}

/// What a person can answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TerminalAnswer {
    Once,
    Run,
    /// With the place of the rules.
    Always(String),
    No,
}

impl TerminalAnswer {
    /// Reads a word; `offer` = the place of the rule that was offered.
    pub(super) fn read(word: &str, offer: Option<String>) -> Self {
        offer.map_or_else(|| Self::once(word), |place| Self::of(word, place))
    }

    /// Returns whether the same command need not be asked about again.
    pub(super) const fn is_for_the_run(&self) -> bool {
        matches!(self, Self::Run | Self::Always(_))
    }

    /// Keeps what has to last, and returns the answer.
    pub(super) fn answer(&self, memory: &dyn AllowRuleStore, command: &Command) -> ApprovalAnswer {
        ApprovalAnswer {
            yes: !matches!(self, Self::No),
            by: self.kept(memory, command),
        }
    }

    /// Reads a word where no rule was offered.
    fn once(word: &str) -> Self {
        match word.chars().next() {
            Some('y') => Self::Once,
            Some('r') => Self::Run,
            _ => Self::No,
        }
    }

    fn of(word: &str, place: String) -> Self {
        if word.starts_with('a') {
            Self::Always(place)
        } else {
            Self::once(word)
        }
    }

    /// Keeps what has to last, and returns who answered and what came of it.
    fn kept(&self, memory: &dyn AllowRuleStore, command: &Command) -> String {
        let person = "the person at the terminal";
        match self {
            Self::Once | Self::Run | Self::No => person.to_owned(),
            Self::Always(place) => match memory.save_rule(command) {
                Ok(()) => format!("{person}, for good: a rule in {place}"),
                // The command was allowed all the same; only the next run will ask again.
                Err(why) => format!("{person}; the rule was not written: {why}"),
            },
        }
    }
}

/// Returns the answer to what was allowed for the rest of the run.
pub(super) fn allowed_earlier() -> ApprovalAnswer {
    ApprovalAnswer {
        yes: true,
        by: "the person at the terminal, earlier in this run".to_owned(),
    }
}

pub(super) fn question(text: &str, reason: &str, offer: Option<&str>) -> String {
    let always = offer.map_or_else(String::new, |place| {
        format!("[a]lways (a rule in {place}), ")
    });
    // What a model wrote must not look like something tos says: it cannot move the cursor, and its further lines are
    // set in.
    let text = text::escape_control_chars(text).replace('\n', "\n    ");
    let reason = text::escape_control_chars(reason);
    format!("\n{text}\n{reason}\nRun it? [y]es, yes for this [r]un, {always}[N]o: ")
}

fn blocking_ask(question: &str) -> String {
    let mut line = String::new();
    let mut out = io::stderr().lock();
    let asked = out
        .write_all(question.as_bytes())
        .and_then(|()| out.flush());
    drop(out);
    if asked.is_err() || io::stdin().lock().read_line(&mut line).is_err() {
        return String::new();
    }
    line.trim().to_ascii_lowercase()
}

/// Leaves the question in a folder and waits for somebody to answer it with `tos answer`.
#[derive(Debug)]
pub struct FileApprovals {
    folder: PathBuf,
}

impl FileApprovals {
    /// Makes the way; the folder is made with the first question.
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Returns the questions nobody has answered.
    pub fn pending(&self) -> Vec<Value> {
        let mut questions: Vec<Value> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| {
                entry
                    .path()
                    .extension()
                    .is_some_and(|ending| ending == "json")
            })
            .filter(|entry| !entry.path().with_extension("answer").exists())
            .filter_map(|entry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok())
            .collect();
        questions.sort_by_key(|question| question["id"].to_string());
        questions
    }

    /// Answers a question; `Ok(false)` where no such question is open.
    pub fn answer(&self, id: &str, yes: bool, by: &str) -> Result<bool, Error> {
        let is_open = self.pending().iter().any(|question| question["id"] == id);
        if is_open {
            let path = self.folder.join(format!("{id}.answer"));
            let text = json!({ "yes": yes, "by": by }).to_string();
            replace(&path, text.as_bytes())
                .map_err(|error| io_error(path.display().to_string(), &error))?;
        }
        Ok(is_open)
    }

    async fn wait(&self, id: &str) -> ApprovalAnswer {
        let path = self.folder.join(format!("{id}.answer"));
        loop {
            let answer = fs::read(&path)
                .ok()
                .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            if let Some(answer) = answer {
                return ApprovalAnswer {
                    yes: answer["yes"] == true,
                    by: answer["by"].as_str().unwrap_or("tos answer").to_owned(),
                };
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn put(&self, id: &str, command: &Command, reason: &str) -> io::Result<()> {
        let question = json!({
            "id": id,
            "type": command.kind,
            "command": command.text(),
            "proposed": command,
            "reason": reason,
            "asked_at": chrono::Local::now().to_rfc3339(),
        });
        let answer = self.folder.join(format!("{id}.answer"));
        match fs::remove_file(&answer) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        replace(
            &self.folder.join(format!("{id}.json")),
            question.to_string().as_bytes(),
        )
    }

    fn clear(&self, id: &str) {
        for ending in ["json", "answer"] {
            drop(fs::remove_file(self.folder.join(format!("{id}.{ending}"))));
        }
    }
}

/// A question in the folder for as long as somebody waits for its answer.
struct OpenQuestion<'a>(&'a FileApprovals, &'a str);

impl Drop for OpenQuestion<'_> {
    fn drop(&mut self) {
        self.0.clear(self.1);
    }
}

impl Approvals for FileApprovals {
    fn ask<'a>(
        &'a self,
        id: &'a str,
        command: &'a Command,
        reason: &'a str,
    ) -> BoxFuture<'a, ApprovalAnswer> {
        let put = self.put(id, command, reason);
        // Whoever stops waiting takes the question back.
        let question = OpenQuestion(self, id);
        Box::pin(async move {
            let _question = question;
            match put {
                Ok(()) => self.wait(id).await,
                Err(error) => ApprovalAnswer {
                    yes: false,
                    by: format!("the question could not be written: {error}"),
                },
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::CommandKind;

    fn command() -> Command {
        Command::with_code(CommandKind::Bash, "make install".into())
    }

    #[test]
    fn always_is_offered_and_taken_only_where_a_rule_can_say_it() {
        assert_eq!(
            question("sh: x", "why", None),
            "\nsh: x\nwhy\nRun it? [y]es, yes for this [r]un, [N]o: "
        );
        assert!(question("sh: x", "why", Some("c.json")).contains("[a]lways (a rule in c.json), "));
        assert!(
            question("sh: pip install evil # \rsh: ls\nRun it?", "why", None)
                .starts_with("\nsh: pip install evil # \\rsh: ls\n    Run it?\nwhy\n")
        );
        assert_eq!(TerminalAnswer::once("always"), TerminalAnswer::No);
        assert_eq!(
            TerminalAnswer::of("a", "c.json".into()),
            TerminalAnswer::Always("c.json".into())
        );
        assert_eq!(
            TerminalAnswer::of("yes", "c.json".into()),
            TerminalAnswer::Once
        );
        assert_eq!(TerminalAnswer::of("", "c.json".into()), TerminalAnswer::No);
    }

    #[tokio::test]
    async fn a_question_waits_in_the_folder_until_it_is_answered() {
        let root = tempfile::tempdir().unwrap();
        let folder = FileApprovals::new(root.path().join("approvals"));
        assert!(
            !folder.answer("1-1", true, "me").unwrap(),
            "nobody asked yet"
        );
        let command = command();
        let asked = folder.ask("1-1", &command, "because");
        let answered = async {
            while folder.pending().is_empty() {
                tokio::task::yield_now().await;
            }
            assert_eq!(folder.pending()[0]["command"], "make install");
            assert!(folder.answer("1-1", true, "me").unwrap());
        };
        let (answer, ()) = tokio::join!(asked, answered);
        assert_eq!(
            answer,
            ApprovalAnswer {
                yes: true,
                by: "me".into()
            }
        );
        assert!(folder.pending().is_empty());
    }

    #[tokio::test]
    async fn a_question_that_nobody_waits_for_any_more_is_not_open() {
        let root = tempfile::tempdir().unwrap();
        let folder = FileApprovals::new(root.path().to_owned());
        let command = command();
        let asked = folder.ask("1-1", &command, "because");
        assert_eq!(
            folder.pending().len(),
            1,
            "it can be answered before anybody waits"
        );
        drop(asked);
        assert!(folder.pending().is_empty());
        assert!(!folder.answer("1-1", true, "me").unwrap(), "too late");
    }

    #[tokio::test]
    async fn an_answer_left_over_from_an_earlier_question_does_not_count() {
        let root = tempfile::tempdir().unwrap();
        let folder = FileApprovals::new(root.path().to_owned());
        fs::write(
            root.path().join("1-1.answer"),
            r#"{"yes": true, "by": "old"}"#,
        )
        .unwrap();
        folder.put("1-1", &command(), "because").unwrap();
        assert!(!root.path().join("1-1.answer").exists());
    }
}
