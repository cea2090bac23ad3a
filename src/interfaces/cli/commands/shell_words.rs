//! The words of a command line where tos stands in for a shell: which of them are tos' own, and what bash would make of the rest.

use std::{ffi::OsString, path::Path};

use super::own_options::own_length;
use crate::domain::command::{Command, CommandKind};

/// The names of a link to tos that is a shell; some agents take only a program with `bash` or `zsh` in its path for one.
const LINKS: [&str; 3] = ["tos-shell", "tos-bash", "tos-zsh"];
/// More options that may stand before the words of the shell; `true` = they take a word.
const OWN: [(&str, bool); 4] = [
    ("--timeout", true),
    ("--max-output", true),
    ("--checkpoint", false),
    ("--as-shell", false),
];

/// Rewrites a command line that means a shell, so that options of the shell are not taken for ours: callers of a shell take the
/// path of a program for it, and know no `--`.
pub fn rewrite_shell_args(words: Vec<OsString>) -> Vec<OsString> {
    let name = words
        .first()
        .and_then(|word| Path::new(word).file_name()?.to_str());
    // A login shell is told so by a `-` before its name.
    if name.is_some_and(|name| LINKS.contains(&name.strip_prefix('-').unwrap_or(name))) {
        let front = ["tos", "exec", "--as-shell", "--"].map(OsString::from);
        return front.into_iter().chain(words.into_iter().skip(1)).collect();
    }
    let is_exec = words.get(1).is_some_and(|word| word == "exec");
    let flag = words.iter().position(|word| word == "--as-shell");
    let end = words.iter().position(|word| word == "--");
    let Some(flag) = flag.filter(|at| is_exec && end.is_none_or(|end| *at < end)) else {
        return words;
    };
    let mut at = flag + 1;
    while let Some(length) = own_length(&words, at, &OWN) {
        at += length;
    }
    if words.get(at).is_none_or(|word| word == "--") {
        return words;
    }
    let mut words = words;
    words.insert(at, "--".into());
    words
}

/// Returns a command for bash.
pub(super) fn bash_command(code: &str) -> Command {
    Command::with_code(CommandKind::Bash, code.to_owned())
}

/// Reads words as bash reads its own; the error is a sentence. That it is a login shell or an interactive one means nothing
/// here; every other option is kept.
pub(super) fn parse_bash_args(words: &[String]) -> Result<Command, String> {
    let mut rest = words.iter();
    let (mut reads_code, mut kept) = (false, Vec::new());
    while let Some(word) = rest.clone().next() {
        if word == "--" || word == "-" {
            rest.next();
            break;
        }
        if !word.starts_with(['-', '+']) {
            break;
        }
        rest.next();
        if word.starts_with("--") {
            // These two take the next word, and are for somebody who types.
            if ["--rcfile", "--init-file"].contains(&word.as_str()) {
                rest.next();
            } else if word != "--login" {
                kept.push(word.clone());
            }
            continue;
        }
        reads_code |= word.starts_with('-') && word.contains('c');
        let letters: String = word.chars().filter(|one| !"cli".contains(*one)).collect();
        if letters.len() > 1 {
            kept.push(letters);
        }
        // `-o` and `-O` take the next word.
        if word.contains(['o', 'O']) {
            kept.extend(rest.next().cloned());
        }
    }
    let rest: Vec<String> = rest.cloned().collect();
    match (reads_code, rest.split_first()) {
        (true, Some((code, []))) if kept.is_empty() => Ok(bash_command(code)),
        (true, Some(_)) => Ok(shell_exec(kept, "-c", rest)),
        (true, None) => Err("`-c` needs a command".to_owned()),
        (false, Some(_)) => Ok(shell_exec(kept, "--", rest)),
        (false, None) => Err(
            "a shell of tos runs `-c COMMAND` or a script; what is typed or piped into a shell cannot be judged before it runs"
                .to_owned(),
        ),
    }
}

fn shell_exec(kept: Vec<String>, mark: &str, rest: Vec<String>) -> Command {
    let front = ["bash".to_owned()].into_iter().chain(kept);
    Command::exec(front.chain([mark.to_owned()]).chain(rest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(words: &[&str]) -> Result<Command, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        parse_bash_args(&words)
    }

    #[test]
    fn words_of_a_shell_are_read_as_bash_reads_them() {
        for words in [
            &["-c", "ls"][..],
            &["-lc", "ls"],
            &["-l", "-i", "-c", "ls"],
            &["--login", "-c", "--", "ls"],
        ] {
            assert_eq!(shell(words).unwrap(), bash_command("ls"), "{words:?}");
        }
        let with_name = shell(&["-c", "echo $1", "sh", "x"]).unwrap();
        assert_eq!(with_name.argv, ["bash", "-c", "echo $1", "sh", "x"]);
        assert_eq!(
            shell(&["run.sh", "-c"]).unwrap().argv,
            ["bash", "--", "run.sh", "-c"]
        );
        for (words, argv) in [
            (
                &["-euo", "pipefail", "-lc", "ls"][..],
                &["bash", "-euo", "pipefail", "-c", "ls"][..],
            ),
            (&["-ec", "ls"], &["bash", "-e", "-c", "ls"]),
            (&["--posix", "x.sh"], &["bash", "--posix", "--", "x.sh"]),
        ] {
            assert_eq!(shell(words).unwrap().argv, argv, "no option is lost");
        }
        for words in [&[][..], &["-i"], &["-c"]] {
            assert!(shell(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_caller_of_a_shell_needs_no_separator() {
        let made = |line: &str| {
            let words = line.split(' ').map(OsString::from).collect();
            let words = rewrite_shell_args(words).into_iter();
            let words: Vec<String> = words.map(|word| word.into_string().unwrap()).collect();
            words.join(" ")
        };
        for (given, meant) in [
            ("/bin/tos-shell -c ls", "tos exec --as-shell -- -c ls"),
            ("-tos-shell -c ls", "tos exec --as-shell -- -c ls"),
            ("/bin/tos-bash -c -l ls", "tos exec --as-shell -- -c -l ls"),
            ("-tos-zsh -lc ls", "tos exec --as-shell -- -lc ls"),
            ("/bin/tos-bash-not -c ls", "/bin/tos-bash-not -c ls"),
            ("tos exec --as-shell -c ls", "tos exec --as-shell -- -c ls"),
            (
                "tos exec --as-shell -lc ls",
                "tos exec --as-shell -- -lc ls",
            ),
            (
                "tos exec --as-shell run.sh x",
                "tos exec --as-shell -- run.sh x",
            ),
            (
                "tos exec --as-shell --json --timeout 5 --set=a=b --login -c ls",
                "tos exec --as-shell --json --timeout 5 --set=a=b -- --login -c ls",
            ),
            (
                "tos exec --as-shell -- -c ls",
                "tos exec --as-shell -- -c ls",
            ),
            ("tos exec --as-shell", "tos exec --as-shell"),
            ("tos exec -- x --as-shell -c", "tos exec -- x --as-shell -c"),
            ("tos run --as-shell -c", "tos run --as-shell -c"),
        ] {
            assert_eq!(made(given), meant);
        }
    }
}
