//! Secrets that a command line gives away by where they stand: `NAME=value`, `--password VALUE`, `curl -u user:password`.
//!
//! Only texts that are commands are read this way. In the output of programs and in code a `key=` is mostly harmless.

use std::{cmp::Reverse, ops::Range};

use super::shapes::is_secret_name;

/// How deep commands in quotes (`bash -c '…'`) are followed.
const DEPTH: usize = 4;
/// Names in small letters and of one part that hold a secret; `key` and `pass` are words of programs.
const SMALL_NAMES: &[&str] = &[
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "apikey",
    "accesskey",
];
/// What makes a `…_key` in small letters a secret.
const KINDS_OF_KEY: &[&str] = &[
    "api",
    "access",
    "secret",
    "private",
    "auth",
    "encryption",
    "signing",
    "master",
    "account",
    "storage",
    "license",
];
/// Last parts of options that take a secret.
const OPTION_ENDINGS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "token",
    "secret",
    "apikey",
    "api-key",
    "access-key",
    "secret-key",
];
/// First parts of options that take none, although they end in such a word.
const OPTION_STARTS: &[&str] = &[
    "no", "with", "without", "show", "ask", "skip", "prompt", "use", "need", "reset",
];
/// Values that are switches.
const SWITCHES: &[&str] = &[
    "true", "false", "yes", "no", "on", "off", "none", "null", "auto", "0", "1",
];
/// Programs to which `-pVALUE` is a password.
const MYSQL: &[&str] = &[
    "mysql",
    "mysqldump",
    "mysqladmin",
    "mysqlimport",
    "mysqlsh",
    "mariadb",
    "mariadb-dump",
    "mariadb-admin",
    "mariadb-import",
];
/// Programs whose `login` takes `-p VALUE`.
const REGISTRIES: &[&str] = &[
    "docker", "podman", "nerdctl", "buildah", "skopeo", "helm", "oras", "az", "oc",
];

/// Returns where the secrets of a command line are, in order and without overlap.
pub(super) fn spans(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    find_assignments(text, &mut found);
    find_options(text, 0, DEPTH, &mut found);
    found.sort_by_key(|span| (span.start, Reverse(span.end)));
    let mut spans: Vec<Range<usize>> = Vec::new();
    for span in found {
        match spans.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => spans.push(span),
        }
    }
    spans
}

/// Finds the values of `NAME=value` wherever a name may begin.
fn find_assignments(text: &[u8], found: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(ahead) = part(text, from..text.len()).iter().position(|b| *b == b'=') {
        let at = from + ahead;
        from = at + 1;
        if name_before(text, at).is_some_and(is_secret_assignment) {
            let value = from..word_end(text, from);
            from = value.end.max(from);
            push(text, value, found);
        }
    }
}

/// Returns the name of which the value stands behind the `=` at `at`.
fn name_before(text: &[u8], at: usize) -> Option<&str> {
    let end = if text.get(at.checked_sub(1)?) == Some(&b'+') {
        at - 1
    } else {
        at
    };
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'.';
    let name = part(text, 0..end).iter().rev().take_while(|b| is_name(b));
    let mut start = end - name.count();
    match start.checked_sub(1).and_then(|before| text.get(before)) {
        Some(b'$' | b'%') => return None,
        // `-DNAME=` and `-eNAME=`; of a long option only the end of its name stands here.
        Some(b'-') => {
            let before = start.checked_sub(2).and_then(|before| text.get(before));
            if before.is_some_and(|byte| !is_break(*byte) && !is_quote(*byte)) {
                return None;
            }
            start += 1;
        }
        _ => {}
    }
    // A comparison is none.
    let is_assigned = !matches!(text.get(at + 1), Some(b'=' | b'~' | b'>'));
    let name = std::str::from_utf8(text.get(start..end)?).ok()?;
    (is_assigned && !name.is_empty()).then_some(name)
}

fn is_secret_assignment(name: &str) -> bool {
    let is_small = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    if is_small && !name.contains(['_', '.']) {
        return SMALL_NAMES.contains(&name);
    }
    if is_small {
        let mut parts: Vec<&str> = name.split(['_', '.']).collect();
        let of_key = parts.iter().any(|part| KINDS_OF_KEY.contains(part));
        parts.retain(|part| *part != "key");
        return is_secret_name(name) && (of_key || is_secret_name(&parts.join("_")));
    }
    is_secret_name(name) || name.ends_with("_PWD")
}

/// Finds the values of options, command by command.
fn find_options(text: &[u8], base: usize, depth: usize, found: &mut Vec<Range<usize>>) {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut inner = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'`' => {
                judge(text, &words, &mut inner);
                words.clear();
                at += 1;
            }
            b'<' | b'>' => {
                words.push(at..at + 1);
                at += 1;
            }
            b'\\' if text.get(at + 1) == Some(&b'\n') => at += 2,
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => {
                let end = word_end(text, at).max(at + 1);
                let bare = unquoted(text, at..end);
                let is_command = part(text, bare.clone()).iter().any(u8::is_ascii_whitespace);
                if depth > 0 && is_command && bare.start > at {
                    let code = part(text, bare.clone());
                    find_options(code, base + bare.start, depth - 1, found);
                }
                words.push(bare);
                at = end;
            }
        }
    }
    judge(text, &words, &mut inner);
    let moved = |span: Range<usize>| base + span.start..base + span.end;
    found.extend(inner.into_iter().map(moved));
}

/// Finds the values of the options of one command.
fn judge(text: &[u8], words: &[Range<usize>], found: &mut Vec<Range<usize>>) {
    let word = |at: usize| {
        words
            .get(at)
            .map_or(&b""[..], |word| part(text, word.clone()))
    };
    let is_program = |names: &[&str]| {
        (0..words.len()).any(|at| {
            let name = word(at).rsplit(|byte| *byte == b'/').next();
            name.is_some_and(|name| names.iter().any(|known| known.as_bytes() == name))
        })
    };
    let is_login = is_program(REGISTRIES) && (0..words.len()).any(|at| word(at) == b"login");
    let (is_mysql, is_sshpass) = (is_program(MYSQL), is_program(&["sshpass"]));
    let (is_curl, is_aws) = (is_program(&["curl"]), is_program(&["aws"]));
    for (at, place) in words.iter().enumerate() {
        let text_of_word = part(text, place.clone());
        // What stands behind so many bytes of this word, or else the next word.
        let behind = |length: usize| {
            if text_of_word.len() > length {
                Some(place.start + length..place.end)
            } else {
                let next = words.get(at + 1)?;
                (!word(at + 1).starts_with(b"-")).then(|| next.clone())
            }
        };
        if let Some(option) = text_of_word.strip_prefix(b"--") {
            let end = option.iter().position(|byte| *byte == b'=');
            let name = part(option, 0..end.unwrap_or(option.len()));
            let value = behind(name.len() + if end.is_some() { 3 } else { 2 });
            let value = value.filter(|value| end.is_none() || value.start > place.start);
            let value = value.filter(|value| end.is_none() || value.end == place.end);
            let is_user = is_curl && (name == b"user" || name == b"proxy-user");
            if let Some(value) = value.filter(|_| is_user || is_secret_option(name)) {
                push(
                    text,
                    if is_user {
                        password(text, value)
                    } else {
                        value
                    },
                    found,
                );
            }
        } else if is_curl && text_of_word.starts_with(b"-") {
            let letters = text_of_word.iter().position(|byte| b"uU".contains(byte));
            // Letters before it that take a value would have taken this one.
            let switches = |end: &usize| {
                let before = part(text_of_word, 1..*end);
                before
                    .iter()
                    .all(|byte| b"sSfLkviIgGnNaO#0123456".contains(byte))
            };
            if let Some(value) = letters.filter(switches).and_then(|end| behind(end + 1)) {
                push(text, password(text, value), found);
            }
        } else if text_of_word.starts_with(b"-p") {
            let is_joined = text_of_word.len() > 2;
            if is_login || is_sshpass || (is_mysql && is_joined) {
                found_value(text, behind(2), found);
            }
        } else if is_aws && text_of_word == b"set" && at > 0 && word(at - 1) == b"configure" {
            let name = std::str::from_utf8(word(at + 1)).unwrap_or_default();
            if is_secret_name(name) {
                found_value(text, words.get(at + 2).cloned(), found);
            }
        }
    }
}

fn is_secret_option(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let ends = |end: &str| {
        name.strip_suffix(end)
            .is_some_and(|front| front.is_empty() || front.ends_with(['-', '_', '.']))
    };
    let first = name.split('-').next().unwrap_or_default();
    OPTION_ENDINGS.iter().any(|end| ends(end)) && !OPTION_STARTS.contains(&first)
}

/// Returns the place of the password in `user:password`; an empty one where there is none.
fn password(text: &[u8], value: Range<usize>) -> Range<usize> {
    let colon = part(text, value.clone()).iter().position(|b| *b == b':');
    colon.map_or(value.end..value.end, |colon| {
        value.start + colon + 1..value.end
    })
}

fn found_value(text: &[u8], value: Option<Range<usize>>, found: &mut Vec<Range<usize>>) {
    if let Some(value) = value {
        push(text, value, found);
    }
}

/// Notes a value, unless it is a switch or names a variable that holds it.
fn push(text: &[u8], value: Range<usize>, found: &mut Vec<Range<usize>>) {
    let bare = part(text, unquoted(text, value.clone()));
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b':';
    let is_reference = bare.strip_prefix(b"$").is_some_and(|name| {
        let braced = name
            .strip_prefix(b"{")
            .and_then(|name| name.strip_suffix(b"}"));
        braced.unwrap_or(name).iter().all(is_word)
    });
    let is_of_cmd = bare.len() > 2 && bare.starts_with(b"%") && bare.ends_with(b"%");
    let is_switch = SWITCHES
        .iter()
        .any(|word| bare.eq_ignore_ascii_case(word.as_bytes()));
    // `--secret id=name,src=file` of a build names a secret.
    let is_named = bare.starts_with(b"id=") || bare == b"<" || bare == b">";
    if !(bare.is_empty() || is_reference || is_of_cmd || is_switch || is_named) {
        found.push(value);
    }
}

/// Returns where the word that begins at `from` ends. A quote that closes what was opened before the word is not of it.
fn word_end(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(byte) = text.get(at) {
        at = match byte {
            b'\\' if at == from && text.get(at + 1).copied().is_some_and(is_quote) => {
                let mark = part(text, at..at + 2);
                let rest = part(text, at + 2..text.len());
                let end = rest.windows(2).position(|pair| pair == mark);
                end.map_or(at + 2, |end| at + 2 + end + 2)
            }
            b'\\' => at + 2,
            quote if is_quote(*quote) => match quote_end(text, at, from) {
                Some(end) => end,
                None => break,
            },
            byte if is_break(*byte) => break,
            _ => at + 1,
        };
    }
    at.min(text.len())
}

/// Returns where what the quote at `at` opens ends; `None` where it closes what was opened before the word.
fn quote_end(text: &[u8], at: usize, from: usize) -> Option<usize> {
    let closes = |byte: u8| is_break(byte) || is_quote(byte) || b",:]}".contains(&byte);
    if at > from && text.get(at + 1).is_none_or(|next| closes(*next)) {
        return None;
    }
    let quote = text.get(at)?;
    let mut end = at + 1;
    while let Some(byte) = text.get(end) {
        if byte == quote {
            return Some(end + 1);
        }
        end += if *byte == b'\\' && *quote == b'"' {
            2
        } else {
            1
        };
    }
    (at == from).then_some(at + 1)
}

/// Returns a word without the quotes around it.
fn unquoted(text: &[u8], word: Range<usize>) -> Range<usize> {
    match part(text, word.clone()) {
        [first, .., last] if first == last && is_quote(*first) => word.start + 1..word.end - 1,
        _ => word,
    }
}

fn part(text: &[u8], range: Range<usize>) -> &[u8] {
    text.get(range).unwrap_or_default()
}

const fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'')
}

fn is_break(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b";&|()<>`".contains(&byte)
}

#[cfg(test)]
mod tests {
    use crate::domain::redaction::Redactor;

    fn clean(text: &str) -> String {
        Redactor::default().clean_command(text)
    }

    /// Commands, and what is left of them.
    const CLEANED: &[(&str, &str)] = &[
        ("export API_KEY=hunter2hunter2", "export API_KEY=[redacted]"),
        (
            "AWS_SECRET_ACCESS_KEY=ab/cd+ef aws s3 ls",
            "AWS_SECRET_ACCESS_KEY=[redacted] aws s3 ls",
        ),
        (
            "PGPASSWORD='a b' psql -h db",
            "PGPASSWORD=[redacted] psql -h db",
        ),
        ("PGPASSWORD=a\\ b psql", "PGPASSWORD=[redacted] psql"),
        ("MYSQL_PWD=abc; ls", "MYSQL_PWD=[redacted]; ls"),
        (
            "bash -c 'TOKEN=abc cmd'; ls",
            "bash -c 'TOKEN=[redacted] cmd'; ls",
        ),
        (
            "bash -c \"export TOKEN=abc\" && ls",
            "bash -c \"export TOKEN=[redacted]\" && ls",
        ),
        (
            r#"sh -c "DB_PASS=\"a b\" cmd""#,
            r#"sh -c "DB_PASS=[redacted] cmd""#,
        ),
        (
            "docker run -e API_KEY=abc -p 8080:80 x",
            "docker run -e API_KEY=[redacted] -p 8080:80 x",
        ),
        (
            "docker run -eAPI_KEY=abc x",
            "docker run -eAPI_KEY=[redacted] x",
        ),
        (
            "mvn -Dspring.datasource.password=abc x",
            "mvn -Dspring.datasource.password=[redacted] x",
        ),
        (
            "kubectl create secret generic a --from-literal=password=abc",
            "kubectl create secret generic a --from-literal=password=[redacted]",
        ),
        (
            "curl 'https://host/x?access_token=abc&page=2'",
            "curl 'https://host/x?access_token=[redacted]&page=2'",
        ),
        ("$env:API_KEY=\"abc\"; ls", "$env:API_KEY=[redacted]; ls"),
        (
            "mysql -u bob -phunter2pass db",
            "mysql -u bob -p[redacted] db",
        ),
        (
            "ssh host \"/usr/bin/mysqldump -phunter2pass db\"",
            "ssh host \"/usr/bin/mysqldump -p[redacted] db\"",
        ),
        (
            "mariadb --password=abc db",
            "mariadb --password=[redacted] db",
        ),
        (
            "curl -u bob:hunter2pass https://host",
            "curl -u bob:[redacted] https://host",
        ),
        (
            "curl -sSu 'bob:a b' https://host",
            "curl -sSu 'bob:[redacted]' https://host",
        ),
        ("curl --user=bob:abc x", "curl --user=bob:[redacted] x"),
        ("curl -ubob:abc x", "curl -ubob:[redacted] x"),
        (
            "docker login -u bob -p abc host",
            "docker login -u bob -p [redacted] host",
        ),
        (
            "docker login --password abc host",
            "docker login --password [redacted] host",
        ),
        ("sshpass -p abc ssh host", "sshpass -p [redacted] ssh host"),
        (
            "aws configure set aws_secret_access_key abc --profile x",
            "aws configure set aws_secret_access_key [redacted] --profile x",
        ),
        (
            "x --api-key abc --client-secret='a b' y",
            "x --api-key [redacted] --client-secret=[redacted] y",
        ),
    ];

    #[test]
    fn a_secret_goes_by_where_it_stands_and_its_name_stays() {
        for (text, cleaned) in CLEANED {
            assert_eq!(clean(text), *cleaned);
            assert_eq!(clean(cleaned), *cleaned, "twice is once");
        }
    }

    #[test]
    fn an_ordinary_command_stays_as_it_is() {
        for text in [
            "docker run -p 8080:80 -u 1000:1000 x",
            "make -p",
            "mkdir -p a/b && cp -pr a b",
            "mysql -p db -P3306",
            "KEYBOARD=us TOKENIZERS_PARALLELISM=false cmd",
            "API_KEY=$KEY TOKEN=\"${TOKEN}\" cmd",
            "TOKEN=$(cat file) cmd",
            "TOKEN= cmd",
            "AUTH=true cmake -DAUTH=ON .",
            "sort --key=2 a; sort -k 2",
            "python3 -c 'sorted(x, key=len); f(sort_key=g)'",
            "[ \"$TOKEN\" = x ] || [[ $TOKEN=x ]]",
            "pip install secret==1.0 auth==2",
            "docker login --password-stdin host < file",
            "gh auth login --with-token < file",
            "curl -o u:x -H 'Accept: a' https://host:80/",
            "curl -u bob https://host",
            "curl -u \"$USER:$PASS\" https://host",
            "aws configure set region eu-west-1",
            "docker build --secret id=a,src=b .",
            "git commit -m 'token: say what a password is'",
            "echo 'it''s' \"a",
            "SSH_KEY_PATH=/a/b cmd",
            "'",
            "--password=",
            "--password",
            "=",
        ] {
            assert_eq!(clean(text), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_value_is_left_wherever_its_command_stands(before in "([a-z]{1,6}[ ;&|\n]){0,8}", behind in "[ ;&|\n][a-z ;]{0,20}") {
            for secret in ["API_KEY=hunter2pass", "x --password hunter2pass", "curl -u a:hunter2pass", "mysql -phunter2pass"] {
                let text = format!("{before}{secret}{behind}");
                let cleaned = text.replace("hunter2pass", "[redacted]");
                proptest::prop_assert_eq!(clean(&text), cleaned);
            }
        }

        #[test]
        fn no_text_is_too_odd(text in "([a-z=:' \"\\\\$;-]|TOKEN=|--password |curl -u |mysql -p|\\PC){0,40}") {
            let cleaned = clean(&text);
            proptest::prop_assert!(cleaned == text || cleaned.contains("[redacted]"));
        }
    }
}
