//! The script that a command runs through an interpreter: `sh test.sh` is there as a program, whatever its script is.

use super::TaskList;

impl TaskList {
    /// Returns the commands of its tests and agents, each with the key that says it.
    pub fn commands(&self) -> Vec<(&'static str, &[String])> {
        let tests = self.tasks.iter();
        let tests = tests.map(|task| ("test_command", task.test_command.as_slice()));
        let full = [("full_test_command", self.full_test_command.as_slice())];
        let agents = self.agents().into_iter();
        let agents = agents.map(|agent| ("args", agent.args.as_slice()));
        tests.chain(full).chain(agents).collect()
    }
}

/// Shells, whose `-c` is followed by the text itself.
const SHELLS: &[&str] = &["sh", "bash", "dash", "zsh", "ksh"];
/// Other programs that run a file.
const INTERPRETERS: &[&str] = &[
    "python", "python3", "node", "ruby", "perl", "php", "Rscript",
];

/// Returns the file of the project that a command hands to an interpreter; `None` = it runs no such file, or nobody can tell.
pub fn script_of(words: &[String]) -> Option<&str> {
    let (program, arguments) = words.split_first()?;
    let program = program.rsplit('/').next().unwrap_or(program);
    // With one of these what follows is no file of the project: the text itself, a module, standard input.
    let takes_else = if SHELLS.contains(&program) {
        "cs"
    } else if INTERPRETERS.contains(&program) {
        "cemprER"
    } else {
        return None;
    };
    for word in arguments {
        if word.starts_with("--") {
            // An option may take the next word.
            return None;
        }
        match word.strip_prefix(['-', '+']) {
            Some(letters) if letters.contains(|c| takes_else.contains(c)) => return None,
            Some(_) => {}
            None => return is_project_file(word).then_some(word),
        }
    }
    None
}

fn is_project_file(word: &str) -> bool {
    let looks_like_file = word.contains(['/', '.']);
    let is_elsewhere =
        word.starts_with(['/', '~', '$']) || word.split('/').any(|part| part == "..");
    looks_like_file && !is_elsewhere && !word.contains(['{', '*', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_plain_word_after_an_interpreter_is_its_script() {
        for (text, script) in [
            ("sh tset.sh", Some("tset.sh")),
            ("/bin/bash -eu ci/run now", Some("ci/run")),
            ("python3 -u tests/all.py", Some("tests/all.py")),
            ("node test.js", Some("test.js")),
            ("bash -o pipefail test.sh", None),
            ("sh -ec ./test.sh", None),
            ("bash -s x.sh", None),
            ("python3 -m pytest.x", None),
            ("node -e a.b", None),
            ("node --require a.js b.js", None),
            ("sh", None),
            ("sh ../agent.sh", None),
            ("sh /opt/x.sh", None),
            ("sh ~/x.sh", None),
            ("sh {prompt_file}", None),
            ("bash run", None),
            ("cargo test.sh", None),
            ("", None),
        ] {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            assert_eq!(script_of(&words), script, "{text}");
        }
    }
}
