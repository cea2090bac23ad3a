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

/// Cuts a line at `&`, `|` and brackets outside quotes; tells whether a part reads what the one before prints.
pub(super) fn parts(line: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let (mut current, mut quoted, mut piped) = (String::new(), false, false);
    let mut chars = line.chars().peekable();
    let mut depth = 0_u32;
    while let Some(c) = chars.next() {
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
            '&' | '|' | '\n' if !quoted && depth == 0 => {
                let double = chars.next_if_eq(&c).is_some();
                found.push((std::mem::take(&mut current), piped));
                piped = c == '|' && !double;
            }
            '(' if !quoted => {
                depth += 1;
                current.push(c);
            }
            ')' if !quoted => {
                depth = depth.saturating_sub(1);
                current.push(c);
            }
            other => current.push(other),
        }
    }
    found.push((current, piped));
    found
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
