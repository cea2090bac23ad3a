//! Scripts of `package.json` that the command itself wrote.

use crate::domain::policy::{partial_text::is_in, programs::Options, shell::ShellInterpreter};

/// Returns whether a word names the project's own description.
pub(super) fn is_description(word: &str) -> bool {
    word == "package.json" || word == "./package.json"
}

impl ShellInterpreter<'_, '_> {
    /// Looks at scripts that are written into the description of a package.
    pub(super) fn scripts_set(&mut self, name: &str, rest: &[String]) {
        let scripts = rest.iter().filter_map(|word| word.strip_prefix("scripts."));
        for (script, code) in scripts.filter_map(|word| word.split_once('=')) {
            self.checks_nothing(script, code);
            drop(self.aside(|shell| shell.run_text(code, name, String::new())));
        }
    }

    /// Looks at a program that prints; one of them may make another description of the project.
    pub(super) fn printed(&mut self, name: &str, args: &[String], stdin: &str) -> String {
        if name == "jq" {
            self.gates_in_filter(args);
            self.scripts_in_filter(args);
            if let Some(text) = self.description_kept(args) {
                return text;
            }
        }
        self.printer(name, args, stdin)
    }

    /// Looks at a filter for JSON that sets scripts: `.scripts.test = "…"`.
    fn scripts_in_filter(&mut self, args: &[String]) {
        for part in args.iter().flat_map(|arg| arg.split(".scripts").skip(1)) {
            let (script, value) = part.split_once('=').unwrap_or((part, ""));
            let script = script.trim_matches(|c: char| !c.is_alphanumeric());
            let code = value.trim_start().strip_prefix('"');
            if let Some((code, _)) = code.and_then(|code| code.split_once('"')) {
                self.checks_nothing(script, code);
            }
        }
    }

    /// Returns what a filter for JSON makes of the project's own description, where it leaves the scripts as they are: as far as they
    /// matter, nothing of what the command itself wrote.
    fn description_kept(&self, args: &[String]) -> Option<String> {
        let [filter, file] = args else { return None };
        let tells = [
            "scripts", "input", "env", "ENV", "@", "import", "include", "$",
        ];
        let keeps = is_description(file)
            && !self.has_written(file)
            && !tells.iter().any(|word| filter.contains(word));
        (keeps && !filter.starts_with('-')).then(|| "{\"scripts\":{}}\n".to_owned())
    }

    /// Records that a script which checks the work is made one that cannot fail.
    fn checks_nothing(&mut self, script: &str, code: &str) {
        const CHECKS: &str = "test tests lint check typecheck type-check verify ci coverage audit";
        const NOTHING: &str = "true : exit echo";
        let is_check = script.split(':').any(|part| is_in(CHECKS, part));
        let parts = code.split([';', '&', '|']).map(str::trim);
        let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        let is_nothing = |part: &&str| {
            let first = part.split_whitespace().next().unwrap_or("");
            is_in(NOTHING, first) && (first != "exit" || *part == "exit 0" || *part == "exit")
        };
        if is_check && !parts.is_empty() && parts.iter().all(is_nothing) {
            let why = format!("the script `{script}`, which checks nothing any more");
            self.reading.opaque(why);
        }
    }

    /// Runs a script of `package.json` that the command itself wrote.
    pub(super) fn package_script(&mut self, verb: &str, rest: &[String]) {
        let Some(text) = self.remembered("package.json") else {
            return;
        };
        let options = Options::parse(rest, "", &[]);
        let wanted = if verb.starts_with("run") || verb == "rum" || verb == "urn" {
            options.rest.first().cloned().unwrap_or_default()
        } else {
            verb.to_owned()
        };
        let scripts = serde_json::from_str::<serde_json::Value>(&text).ok();
        let scripts = scripts
            .as_ref()
            .and_then(|value| value.get("scripts"))
            .and_then(|value| value.as_object());
        let Some(scripts) = scripts else {
            self.reading.opaque("a package.json that cannot be read");
            return;
        };
        for name in [
            format!("pre{wanted}"),
            wanted.clone(),
            format!("post{wanted}"),
        ] {
            if let Some(code) = scripts.get(&name).and_then(|code| code.as_str()) {
                self.checks_nothing(&name, code);
                drop(self.run_text(code, "npm run", String::new()));
            }
        }
    }
}
