//! How an agent's program is started: its words, its variables, and what it reads.
//!
//! Behind a proved wall an agent gets every right that its own permissions could refuse: the wall is what confines it,
//! and a second one inside only makes it unable to work (Codex's own sandbox needs a user namespace, Claude Code refuses
//! `make test`). Without a proved wall its own permissions stay on.

use super::{Agent, AgentKind};

/// The longest single word that Linux starts a program with (`MAX_ARG_STRLEN`), in bytes, less the zero at its end.
pub const MAX_ARGUMENT: usize = 128 * 1024 - 1;

/// Where tos finds itself behind a wall made of mounts, if there is one.
pub const TOS_PATH_IN_SANDBOX: &str = "/run/tos/jail";

/// The script that an agent is asked to run, the file it is asked to edit, and their content.
pub const CHECK_FILES: [(&str, &str); 2] = [
    ("tos-check.sh", "#!/bin/sh\necho ran >tos-check.ran\n"),
    (CHECK_EDIT_FILE, "BEFORE\n"),
];
/// The file that an agent is asked to edit.
pub const CHECK_EDIT_FILE: &str = "tos-check.txt";
/// The file that the script writes.
pub const CHECK_RAN_FILE: &str = "tos-check.ran";
/// What the edited file says.
pub const CHECK_EDITED_TEXT: &str = "AFTER";

/// What makes `OpenCode` ask before it acts.
const OPENCODE_ASKS: &str =
    r#"{"bash":"ask","edit":"ask","webfetch":"ask","websearch":"ask","external_directory":"ask"}"#;

/// The question for programs of which nobody knows what they can do.
pub const HELLO_PROMPT: &str = "Reply with the single word: ready. Change nothing and use no tool.";

/// The question that every working agent has an answer to: it has to run a command and to edit a file.
const CHECK_PROMPT: &str = "This is a check of your tools before unattended work. Do exactly this and nothing else:\n\
    1. Run this shell command: sh ./tos-check.sh\n\
    2. In the file tos-check.txt replace the word BEFORE by AFTER.\n\
    Then reply with the single word: ready";

/// Everything that is needed to start an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The program and its words.
    pub argv: Vec<String>,
    /// Variables in addition to the harmless ones.
    pub environment: Vec<(String, String)>,
    /// The file with the prompt becomes its standard input.
    pub reads_prompt: bool,
}

/// Hands its standard input to a job as its input, and becomes tos. Behind a wall of mounts the job's commands need no
/// second one, which inside the first could only be a lesser one.
fn job_script() -> String {
    format!(
        "tos=tos; if [ -x {TOS_PATH_IN_SANDBOX} ]; then tos={TOS_PATH_IN_SANDBOX}; set -- \"$@\" --set sandbox.level=off; fi; \
         mkdir -p workspace/artifacts && cat >workspace/artifacts/job_input.json && exec \"$tos\" \"$@\" </dev/null"
    )
}

/// How tos is told to run one job with that input, whatever else the configuration says.
const JOB_WORDS: [&str; 8] = [
    "--set",
    "s5_settings.job_loop.enabled=true",
    "--set",
    "s5_settings.job_loop.max_jobs=1",
    "--set",
    "s5_settings.job_loop.job_input.path=workspace/artifacts/job_input.json",
    "--set",
    "s5_settings.job_loop.job_input.required=true",
];

impl Agent {
    /// Returns the text of the file with the prompt: a job gets its input as JSON.
    pub fn prompt_text(&self, prompt: &str) -> String {
        if self.kind == AgentKind::Job {
            serde_json::json!({ "job_name": "task", "task": prompt }).to_string()
        } else {
            prompt.to_owned()
        }
    }

    /// Returns whether the prompt is one of its words, so that it can be too long for one.
    pub fn passes_prompt_as_argument(&self) -> bool {
        self.kind == AgentKind::Command && self.args.iter().any(|word| word.contains("{prompt}"))
    }

    /// Returns how it is started with a prompt that also lies in a file. `walled`: a wall was proved.
    pub fn invocation(&self, prompt: &str, prompt_file: &str, walled: bool) -> Invocation {
        let mut environment = Vec::new();
        let mut set =
            |name: &str, value: &str| environment.push((name.to_owned(), value.to_owned()));
        let (argv, reads_prompt) = match self.kind {
            AgentKind::Command => {
                let place = |word: &String| {
                    // The file first: a prompt may hold the words `{prompt_file}`.
                    let word = word.replace("{prompt_file}", prompt_file);
                    word.replace("{prompt}", prompt)
                };
                (self.args.iter().map(place).collect(), false)
            }
            AgentKind::Claude => {
                if walled {
                    // Without it root is refused the rights that only a wall justifies.
                    set("IS_SANDBOX", "1");
                }
                set("DISABLE_AUTOUPDATER", "1");
                (self.claude(walled), true)
            }
            AgentKind::Codex => (self.codex(walled), true),
            AgentKind::Opencode => {
                set("OPENCODE_DISABLE_AUTOUPDATE", "1");
                (self.opencode(walled), true)
            }
            AgentKind::Gemini => (self.gemini(walled), true),
            AgentKind::Aider => (self.aider(prompt_file), false),
            AgentKind::Acp => {
                let has_key = ["CODEX_API_KEY", "OPENAI_API_KEY"]
                    .iter()
                    .any(|key| self.environment.iter().any(|name| name == key));
                if self.underlying_kind() == AgentKind::Codex && has_key {
                    // It looks at a key only where it is told to.
                    set("DEFAULT_AUTH_REQUEST", r#"{"methodId":"api-key"}"#);
                }
                if self.underlying_kind() == AgentKind::Opencode {
                    set("OPENCODE_DISABLE_AUTOUPDATE", "1");
                    // Without a word about it everything is allowed, and nothing is asked.
                    set("OPENCODE_PERMISSION", OPENCODE_ASKS);
                }
                set("DISABLE_AUTOUPDATER", "1");
                // What it is asked comes in the conversation.
                (self.args.clone(), false)
            }
            AgentKind::Job => {
                let mut argv = vec![
                    "sh".to_owned(),
                    "-c".to_owned(),
                    job_script(),
                    "sh".to_owned(),
                ];
                argv.extend(words(&["--root", ".", "--mode", "run"]));
                argv.extend(words(&JOB_WORDS));
                argv.extend(self.args.iter().cloned());
                (argv, true)
            }
        };
        Invocation {
            argv,
            environment,
            reads_prompt,
        }
    }

    /// Returns the question that shows whether it would work, and whether it has to use its tools for it.
    pub fn check_prompt(&self) -> (&'static str, bool) {
        // Aider edits what its reply says and runs no command; of other people's scripts nothing is known.
        let uses_tools = self.kind.emits_json_lines();
        (
            if uses_tools {
                CHECK_PROMPT
            } else {
                HELLO_PROMPT
            },
            uses_tools,
        )
    }

    /// Returns how its check is started, with a cheap model where its kind has one.
    pub fn check_invocation(&self, prompt_file: &str, walled: bool) -> Invocation {
        let plain = |argv| Invocation {
            argv,
            environment: Vec::new(),
            reads_prompt: false,
        };
        if !self.check.is_empty() {
            return plain(self.check.clone());
        }
        if self.kind == AgentKind::Job {
            // A job costs several questions; that its models answer is said by `tos doctor --online`.
            let script = "tos=tos; if [ -x \"$1\" ]; then tos=$1; fi; exec \"$tos\" --version";
            return plain(words(&["sh", "-c", script, "sh", TOS_PATH_IN_SANDBOX]));
        }
        let cheap = self.kind == AgentKind::Claude && self.model.is_none();
        let agent = Self {
            model: cheap
                .then(|| "haiku".to_owned())
                .or_else(|| self.model.clone()),
            ..self.clone()
        };
        agent.invocation(self.check_prompt().0, prompt_file, walled)
    }

    fn model_words(&self, option: &str) -> Vec<String> {
        let model = self.model.iter();
        model
            .flat_map(|model| [option.to_owned(), model.clone()])
            .collect()
    }

    fn claude(&self, walled: bool) -> Vec<String> {
        let mut argv = words(&[
            "claude",
            "-p",
            "--output-format",
            "stream-json",
            "--verbose",
        ]);
        if walled {
            argv.push("--dangerously-skip-permissions".to_owned());
        } else {
            argv.extend(words(&["--permission-mode", "acceptEdits"]));
        }
        argv.extend(words(&[
            "--no-session-persistence",
            "--disallowedTools",
            "WebFetch,WebSearch",
        ]));
        if let Some(budget) = self.max_budget_usd {
            argv.extend(["--max-budget-usd".to_owned(), budget.to_string()]);
        }
        argv.extend(self.model_words("--model"));
        argv.extend(self.args.iter().cloned());
        argv
    }

    fn codex(&self, walled: bool) -> Vec<String> {
        let mut argv = words(&["codex", "exec", "--json"]);
        if walled {
            argv.push("--dangerously-bypass-approvals-and-sandbox".to_owned());
        } else {
            argv.extend(words(&["-s", "workspace-write"]));
        }
        argv.extend(words(&[
            "--ephemeral",
            "--ignore-user-config",
            "--skip-git-repo-check",
        ]));
        argv.extend(self.model_words("-m"));
        argv.extend(self.args.iter().cloned());
        argv.push("-".to_owned());
        argv
    }

    fn opencode(&self, walled: bool) -> Vec<String> {
        // Its log is where trouble of the provider is named while the program itself stays silent and tries again.
        let mut argv = words(&[
            "opencode",
            "run",
            "--format",
            "json",
            "--print-logs",
            "--log-level",
            "ERROR",
        ]);
        if walled {
            argv.push("--auto".to_owned());
        }
        argv.extend(self.model_words("-m"));
        argv.extend(self.args.iter().cloned());
        argv
    }

    fn gemini(&self, walled: bool) -> Vec<String> {
        let mode = if walled { "yolo" } else { "auto_edit" };
        let mut argv = words(&[
            "gemini",
            "--approval-mode",
            mode,
            "--skip-trust",
            "-o",
            "stream-json",
        ]);
        argv.extend(self.model_words("-m"));
        argv.extend(self.args.iter().cloned());
        argv
    }

    fn aider(&self, prompt_file: &str) -> Vec<String> {
        let mut argv = words(&[
            "aider",
            "--message-file",
            prompt_file,
            "--yes-always",
            "--no-auto-commits",
        ]);
        argv.extend(words(&[
            "--no-check-update",
            "--no-show-release-notes",
            "--analytics-disable",
        ]));
        argv.extend(words(&[
            "--no-pretty",
            "--no-stream",
            "--no-git",
            "--no-suggest-shell-commands",
        ]));
        argv.extend(self.model_words("--model"));
        argv.extend(self.args.iter().cloned());
        argv
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(kind: AgentKind, walled: bool) -> (String, Invocation) {
        let invocation = Agent::of_kind(kind).invocation("-x", "/room/prompt", walled);
        (invocation.argv.join(" "), invocation)
    }

    #[test]
    fn full_rights_are_given_behind_a_proved_wall_only() {
        for (kind, walled, open) in [
            (
                AgentKind::Claude,
                "--dangerously-skip-permissions",
                "--permission-mode acceptEdits",
            ),
            (
                AgentKind::Codex,
                "--dangerously-bypass-approvals-and-sandbox",
                "-s workspace-write",
            ),
            (AgentKind::Opencode, "--auto", "run"),
            (
                AgentKind::Gemini,
                "--approval-mode yolo",
                "--approval-mode auto_edit",
            ),
        ] {
            let (behind, _) = started(kind, true);
            assert!(behind.contains(walled), "{behind}");
            let (without, invocation) = started(kind, false);
            assert!(
                !without.contains(walled) && without.contains(open),
                "{without}"
            );
            assert!(
                !invocation
                    .environment
                    .iter()
                    .any(|(name, _)| name == "IS_SANDBOX")
            );
        }
        let (_, claude) = started(AgentKind::Claude, true);
        assert!(
            claude
                .environment
                .contains(&("IS_SANDBOX".into(), "1".into()))
        );
    }

    #[test]
    fn a_prompt_is_never_a_word_of_a_program_that_tos_knows() {
        for kind in AgentKind::PROGRAMS {
            let (words, invocation) = started(kind, true);
            assert!(!words.ends_with("-x"), "{words}");
            assert!(
                invocation.reads_prompt || words.contains("/room/prompt"),
                "{words}"
            );
            assert!(!Agent::of_kind(kind).passes_prompt_as_argument());
        }
    }

    #[test]
    fn a_command_gets_the_prompt_as_a_word_or_its_file() {
        let agent: Agent =
            toml::from_str("kind = \"command\"\nargs = [\"a\", \"{prompt}\", \"{prompt_file}\"]")
                .unwrap();
        let argv = agent.invocation("p {prompt_file}", "/f", true).argv;
        assert_eq!(argv, ["a", "p {prompt_file}", "/f"]);
        assert!(agent.passes_prompt_as_argument());
    }

    #[test]
    fn a_check_asks_a_cheap_model_for_a_command_and_an_edit() {
        let claude = Agent::of_kind(AgentKind::Claude);
        let argv = claude.check_invocation("/f", true).argv.join(" ");
        assert!(argv.contains("--model haiku"), "{argv}");
        let (prompt, uses_tools) = claude.check_prompt();
        assert!(
            uses_tools
                && prompt.contains("sh ./tos-check.sh")
                && prompt.contains(CHECK_EDITED_TEXT)
        );
        let own: Agent = toml::from_str("kind = \"claude\"\ncheck = [\"true\"]").unwrap();
        assert_eq!(own.check_invocation("/f", true).argv, ["true"]);
    }
}
