//! Text of `cmd` cut into parts and words.

/// Full-width letters that the interpreter takes for plain ones.
pub(super) fn ascii_forms(code: &str) -> String {
    code.chars()
        .map(|c| match u32::from(c) {
            n @ 0xFF01..=0xFF5E => char::from_u32(n - 0xFEE0).unwrap_or(c),
            0xA0 | 0x3000 => ' ',
            _ => c,
        })
        .collect()
}

/// Cuts a text into statements: lines, and blocks of brackets that go over several of them.
///
/// Danger: a bracket that opens none must not hide the lines behind it, so only what `if`, `for` and `else` end with opens a block, and
/// where it is not closed each line stands for itself.
pub(super) fn statements(code: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let lines = continued(code);
    let mut open: Vec<&str> = Vec::new();
    let mut depth = 0_usize;
    for line in &lines {
        let plain = line.trim_start_matches([' ', '\t', '@']).trim_end();
        if plain.starts_with(')') {
            depth = depth.saturating_sub(1);
        }
        depth += usize::from(plain.strip_suffix('(').is_some_and(leads_in));
        open.push(line.as_str());
        if depth == 0 {
            found.push(std::mem::take(&mut open).join("\n"));
        }
    }
    found.extend(open.into_iter().map(str::to_owned));
    found
}

/// Returns the lines of a text, those that end with a caret together with the next: the caret then protects its first character.
fn continued(code: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in code.lines() {
        match lines.last_mut().filter(|_| goes_on) {
            Some(last) => last.push_str(line),
            None => lines.push(line.to_owned()),
        }
        goes_on = ends_with_caret(line);
    }
    lines
}

/// Returns whether a line ends with a caret that is in no quotation, and that no other one protects.
fn ends_with_caret(line: &str) -> bool {
    let mut quoted = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '^' if !quoted && chars.next().is_none() => return true,
            _ => {}
        }
    }
    false
}

/// Returns whether a bracket behind this text of a command opens a block: at its start, and behind what leads one in.
fn leads_in(command: &str) -> bool {
    let command = command
        .trim_start_matches([' ', '\t', '@', ')', '\n'])
        .trim_end_matches([' ', '\t', '@']);
    let (first, rest) = command.split_once(' ').unwrap_or((command, ""));
    match first.to_lowercase().as_str() {
        "" => true,
        "else" => leads_in(rest),
        "if" => {
            let behind = behind_condition(rest).to_lowercase();
            behind.is_empty() || behind.ends_with(") else")
        }
        "for" => {
            let last = rest.rsplit([' ', ')']).next().unwrap_or("");
            ["in", "do"]
                .iter()
                .any(|word| last.eq_ignore_ascii_case(word))
        }
        // Where the output of a block goes may stand in front of it.
        _ => command.starts_with('>') && !rest.contains(' '),
    }
}

/// Returns what stands behind the condition of an `if`.
pub(super) fn behind_condition(rest: &str) -> &str {
    let mut words = rest.split_whitespace().peekable();
    let mut skipped: Vec<&str> = Vec::new();
    while let Some(word) =
        words.next_if(|word| word.starts_with('/') || word.eq_ignore_ascii_case("not"))
    {
        skipped.push(word);
    }
    let first = words.next().unwrap_or("");
    skipped.push(first);
    let lower = first.to_lowercase();
    if ["exist", "defined", "errorlevel", "cmdextversion"].contains(&lower.as_str()) {
        skipped.extend(words.next());
    } else if !first.contains("==") {
        skipped.extend(words.next());
        if skipped
            .last()
            .is_some_and(|word| *word == "==" || word.len() == 3)
        {
            skipped.extend(words.next());
        }
    } else if first.ends_with("==") {
        skipped.extend(words.next());
    }
    let mut text = rest;
    for word in skipped {
        text = text.trim_start().get(word.len()..).unwrap_or("");
    }
    text.trim_start()
}

/// Cuts a line at `&`, `|` and brackets outside quotes; tells whether a part reads what the one before prints.
pub(super) fn parts(line: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let (mut current, mut quoted, mut piped) = (String::new(), false, false);
    let mut chars = line.chars().peekable();
    let mut depth = 0_u32;
    // What the command at hand says so far, in brackets or not.
    let mut command = 0;
    let mut outer: Vec<usize> = Vec::new();
    while let Some(c) = chars.next() {
        if c == '\n' || !quoted && matches!(c, '&' | '|') {
            command = current.len() + 1;
        }
        match c {
            '"' => {
                quoted = !quoted;
                current.push(c);
            }
            // A caret protects the next character, and disappears.
            '^' if !quoted => {
                if let Some(next) = chars.next() {
                    if "&|<>()\"".contains(next) {
                        current.push('\u{1}');
                    }
                    current.push(next);
                }
            }
            '\n' if depth > 0 => {
                // A quotation ends with its line.
                quoted = false;
                current.push(c);
            }
            '\n' => {
                quoted = false;
                found.push((std::mem::take(&mut current), piped));
                command = 0;
                piped = false;
            }
            // One stream into another, `2>&1`.
            '&' if current.ends_with(['>', '<']) && goes_to_a_stream(&current, chars.clone()) => {
                current.push(c);
            }
            '&' | '|' if !quoted && depth == 0 => {
                let double = chars.next_if_eq(&c).is_some();
                found.push((std::mem::take(&mut current), piped));
                command = 0;
                piped = c == '|' && !double;
            }
            '(' if !quoted => {
                if leads_in(current.get(command..).unwrap_or("")) {
                    depth += 1;
                    outer.push(command);
                    command = current.len() + 1;
                }
                current.push(c);
            }
            ')' if !quoted => {
                depth = depth.saturating_sub(1);
                command = outer.pop().unwrap_or(command);
                current.push(c);
            }
            other => current.push(other),
        }
    }
    found.push((current, piped));
    found
}

/// Returns whether what follows an ampersand is the number of a stream alone.
fn goes_to_a_stream(before: &str, mut behind: impl Iterator<Item = char>) -> bool {
    let is_escaped = before.trim_end_matches(['>', '<']).ends_with('\u{1}');
    let is_number = behind.next().is_some_and(|c| c.is_ascii_digit());
    !is_escaped && is_number && behind.next().is_none_or(|c| !c.is_alphanumeric())
}

/// Splits a text into words; quotes keep blanks and fall away.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut current, mut quoted, mut begun) = (String::new(), false, false);
    for c in text.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            c if !quoted
                && (c.is_whitespace() || c == ',' || c == ';' || c == '=' && found.is_empty()) =>
            {
                if begun {
                    found.push(std::mem::take(&mut current));
                }
                begun = false;
            }
            // `rmdir/s` and `cd..` need no blank.
            '/' if !quoted && found.is_empty() && begun && builtin(&current) => {
                found.push(std::mem::take(&mut current));
                current.push(c);
            }
            '.' | '\\' | ':' | '('
                if !quoted
                    && found.is_empty()
                    && begun
                    && ["echo", "cd", "del", "erase", "rd", "md", "type", "dir"]
                        .contains(&current.to_lowercase().as_str()) =>
            {
                found.push(std::mem::take(&mut current));
                current.push(c);
            }
            c => {
                current.push(c);
                begun = true;
            }
        }
    }
    if begun {
        found.push(current);
    }
    // `/s/q` is two options.
    found
        .into_iter()
        .flat_map(|word| options_apart(&word))
        .collect()
}

pub(super) fn options_apart(word: &str) -> Vec<String> {
    let letters: Vec<&str> = word.split('/').skip(1).collect();
    if word.starts_with('/')
        && letters.len() > 1
        && letters
            .iter()
            .all(|part| !part.is_empty() && part.len() <= 3)
    {
        return letters.iter().map(|part| format!("/{part}")).collect();
    }
    vec![word.to_owned()]
}

pub(super) fn builtin(word: &str) -> bool {
    [
        "del", "erase", "rd", "rmdir", "cmd", "cmd.exe", "dir", "copy", "move", "ren", "start",
        "if", "for", "format", "shutdown", "xcopy", "attrib", "md", "mkdir", "type", "echo",
        "taskkill", "reg", "schtasks", "net", "set",
    ]
    .contains(&word.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_over_lines_is_one_statement() {
        let block = "for %%p in (a b) do (\n  echo %%p\n  if exist x (\n del x\n )\n)";
        assert_eq!(
            statements(&format!("echo a\n{block}\necho b")),
            ["echo a", block, "echo b"]
        );
        let both = "if errorlevel 1 (\n echo a\n) else (\n echo b\n)";
        assert_eq!(statements(both), [both]);
    }

    #[test]
    fn a_bracket_that_opens_nothing_hides_no_line() {
        for text in [
            "echo (\ndel *",
            "if exist x echo (\ndel *",
            "for %%i in (a) do echo (\ndel *",
            "if exist x (\ndel *",
        ] {
            assert_eq!(statements(text).len(), 2, "{text}");
        }
    }

    #[test]
    fn what_stands_behind_a_block_stands_alone() {
        for text in [
            "if exist x (\n echo (\n) & del y",
            "(echo () & del y",
            "if exist x (echo () & del y",
        ] {
            let last = parts(text).pop().unwrap().0;
            assert_eq!(last.trim(), "del y", "{text}");
        }
        assert_eq!(parts("for %i in (a b) do (echo %i & echo b)").len(), 1);
    }

    #[test]
    fn a_caret_at_the_end_goes_on_in_the_next_line() {
        assert_eq!(
            statements("de^\nl x\necho \"a^\ndel y"),
            ["de^l x", "echo \"a^", "del y"]
        );
        assert_eq!(statements("echo a^^\ndel y").len(), 2);
        assert_eq!(statements("echo ^\" \"^\ndel y").len(), 2);
    }

    #[test]
    fn one_stream_into_another_is_no_new_command() {
        assert_eq!(
            parts("a > b 2>&1 & c"),
            [("a > b 2>&1 ".to_owned(), false), (" c".to_owned(), false)]
        );
        assert_eq!(parts("a >&del").len(), 2);
        assert_eq!(parts("echo ^>&7z a").len(), 2);
    }
}
