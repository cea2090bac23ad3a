//! Which interpreter a text was written for, guessed from its words; a help for people, never part of a verdict.

use crate::domain::command::CommandKind;

/// The verbs that names of PowerShell's own commands begin with, as far as people type them.
const VERBS: [&str; 24] = [
    "add", "clear", "copy", "export", "foreach", "format", "get", "import", "invoke", "join",
    "move", "new", "out", "remove", "rename", "restart", "select", "set", "sort", "start", "stop",
    "test", "where", "write",
];
/// Programs and words of `cmd` whose options begin with a slash.
const CMD_WORDS: [&str; 16] = [
    "attrib", "copy", "del", "dir", "erase", "format", "icacls", "move", "rd", "reg", "rmdir",
    "robocopy", "sc", "schtasks", "taskkill", "xcopy",
];

/// Returns the interpreter of Windows that a text seems to be meant for.
pub fn windows_dialect(code: &str) -> Option<CommandKind> {
    let is_between =
        |c: char| c.is_whitespace() || matches!(c, ';' | '|' | '(' | ')' | '{' | '}' | '&');
    let words: Vec<&str> = code
        .split(is_between)
        .filter(|word| !word.is_empty())
        .collect();
    if words.iter().any(|word| is_powershell(word)) {
        return Some(CommandKind::Powershell);
    }
    let first = words.first()?.to_lowercase();
    let first = first.strip_suffix(".exe").unwrap_or(&first);
    let is_marked = words
        .iter()
        .skip(1)
        .any(|word| has_slash_option(word) || is_windows_path(word));
    (CMD_WORDS.contains(&first) && is_marked).then_some(CommandKind::Cmd)
}

fn is_powershell(word: &str) -> bool {
    let is_cmdlet = word.split_once('-').is_some_and(|(verb, noun)| {
        let is_noun = noun.len() > 2 && noun.chars().all(|c| c.is_ascii_alphabetic());
        is_noun && VERBS.contains(&verb.to_lowercase().as_str())
    });
    is_cmdlet || word.to_lowercase().starts_with("$env:")
}

fn has_slash_option(word: &str) -> bool {
    let option = word.strip_prefix('/');
    option.is_some_and(|letters| {
        letters.len() == 1 && letters.chars().all(|c| c.is_ascii_alphabetic())
    })
}

fn is_windows_path(word: &str) -> bool {
    let mut signs = word.trim_start_matches('"').chars();
    signs.next().is_some_and(|c| c.is_ascii_alphabetic())
        && signs.next() == Some(':')
        && signs.next() == Some('\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_for_windows_are_known_by_their_words() {
        for text in [
            r"Remove-Item -Recurse -Force C:\",
            "get-childitem | Where-Object Name",
            "echo $env:PATH",
        ] {
            assert_eq!(
                windows_dialect(text),
                Some(CommandKind::Powershell),
                "{text}"
            );
        }
        for text in [
            "del /s /q build",
            r"rmdir C:\Users",
            "taskkill.exe /f /im x",
        ] {
            assert_eq!(windows_dialect(text), Some(CommandKind::Cmd), "{text}");
        }
        for text in [
            "rm -rf /s",
            "apt-get install x",
            "start-stop-daemon --stop",
            "rmdir build",
            "git commit -m 'a'",
            "",
        ] {
            assert_eq!(windows_dialect(text), None, "{text}");
        }
    }
}
