//! Commands that only ask git, put together by code: `execSync(`git show ${revision}:package.json`)`.

use crate::domain::policy::{
    partial_text::{NAME, UNKNOWN, is_in},
    programs::code::{Language, lex::Token},
    shell::ShellInterpreter,
};

/// Returns the command with names in place of what the code puts in, where nothing in the code could make more of it than a question to git.
pub(super) fn settled(tokens: &[Token], command: &str) -> String {
    const ASKS: &str = "show log diff rev-parse cat-file ls-files ls-tree blame describe rev-list merge-base name-rev shortlog";
    let mut words = command.split_whitespace();
    let asks = words.next() == Some("git") && words.next().is_some_and(|verb| is_in(ASKS, verb));
    let is_plain = !command.contains([';', '|', '&', '<', '>', '$', '`', '(', '\n']);
    let is_tame = || {
        let mut places = tokens.iter().enumerate();
        places.all(|(at, token)| match token {
            Token::Text(text) => text == command || is_tame_text(tokens, at, text),
            Token::Word(word) => !brings_in(word),
            Token::Command(_) => false,
            Token::Sign(_) | Token::End => true,
        })
    };
    if command.contains(UNKNOWN) && asks && is_plain && is_tame() {
        return command.replace(UNKNOWN, &NAME.to_string());
    }
    command.to_owned()
}

/// Looks at a program that looks for the home folder, and reads keys or removes something there.
pub(super) fn at_home(shell: &mut ShellInterpreter<'_, '_>, language: Language, code: &str) {
    const HOMES: [&str; 7] = [
        "os.UserHomeDir",
        "Getenv(\"HOME\")",
        "getenv(\"HOME\")",
        "home_dir()",
        "env::var(\"HOME\")",
        "user.home",
        "user.Current()",
    ];
    const HARMS: [&str; 18] = [
        "os.Remove",
        "os.Truncate",
        "remove_file",
        "remove_dir",
        "unlink(",
        "\".netrc",
        "\".ssh",
        "\".aws",
        "\".kube",
        "\".gnupg",
        "\".npmrc",
        "\".pypirc",
        "\".git-credentials",
        "\"id_rsa",
        "\"id_ed25519",
        "/.netrc",
        "/.ssh/",
        "/.aws/",
    ];
    let has = |marks: &[&str]| marks.iter().any(|mark| code.contains(mark));
    if language == Language::C && has(&HOMES) && has(&HARMS) {
        let why = "a program that reads keys or removes files in the home folder";
        shell.reading.opaque(why);
    }
}

/// Returns whether a text cannot end a command and begin another, or give it an option.
fn is_tame_text(tokens: &[Token], at: usize, text: &str) -> bool {
    let back = |steps: usize| at.checked_sub(steps).and_then(|at| tokens.get(at));
    let splits = back(1) == Some(&Token::Sign('('))
        && matches!(back(2), Some(Token::Word(word)) if word.ends_with("split"));
    let redirects = text.trim_end().trim_end_matches('>').contains(['<', '>']);
    let has_end = text.contains([';', '|', '&', '`', '$', '\n']);
    (splits || !has_end && !redirects)
        && !text.trim_start().starts_with("-o")
        && !text.trim_start().starts_with("--o")
}

/// Returns whether a word brings in what does not stand in the code.
fn brings_in(word: &str) -> bool {
    const WORDS: &str = "argv ARGV env environ stdin input prompt fetch chr fromCharCode fromCodePoint atob Buffer decode b64decode
        unhexlify fromhex unescape bytes bytearray urlopen";
    word.split('.').any(|part| is_in(WORDS, part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::programs::code::lex::tokens;

    fn of(code: &str) -> bool {
        let command = "git show \u{F0000}:a.json";
        !settled(&tokens(Language::JavaScript, code), command).contains(UNKNOWN)
    }

    #[test]
    fn a_question_to_git_stays_one_whatever_the_code_puts_in() {
        assert!(of(
            "const at = r => x(`git show ${r}:a.json`); at('HEAD~5'); s.split('\\n'); log(' ->')"
        ));
        for code in [
            "at('; rm -rf src')",
            "at('\\nrm -rf src')",
            "at('a > src/main.ts')",
            "at('--output=src/main.ts')",
            "at(process.argv[2])",
            "at(String.fromCharCode(59))",
            "at(`x`.raw, ['a', 'b'].join('\\n'))",
        ] {
            assert!(!of(code), "{code}");
        }
    }
}
