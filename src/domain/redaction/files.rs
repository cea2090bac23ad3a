//! Finds the secrets in files of settings (`.env`, JSON, YAML, INI, key files): values of names that say so, and whatever
//! looks like nothing else.

use super::{SHORTEST, shapes::is_secret_name};

/// A value of another name is a secret from this length on, where it is one word of letters and digits.
const LONG_WORD: usize = 20;

/// Returns the values of a file that nobody may see.
pub fn secrets_in_file(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| {
        let is_comment = line.starts_with('#') || line.starts_with("//");
        !line.is_empty() && !is_comment && !line.starts_with("-----")
    });
    let mut found: Vec<String> = lines.flat_map(secrets_in_line).collect();
    found.sort();
    found.dedup();
    found
}

fn secrets_in_line(line: &str) -> Vec<String> {
    let Some((name, value)) = assignment(line) else {
        // A key file, or a further line of a value.
        let word = bare(line);
        return Some(word.to_owned())
            .filter(|word| is_long_word(word))
            .into_iter()
            .collect();
    };
    let value = bare(value);
    let mut found = Vec::new();
    if is_secret_name(name) && value.len() >= SHORTEST {
        found.push(value.to_owned());
    } else if let Some(password) = password_of_address(value) {
        found.push(password.to_owned());
    } else if is_long_word(value) {
        found.push(value.to_owned());
    }
    found
}

/// Splits `export NAME=value`, `name: value` and `"name": "value",`.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let at = line.find(['=', ':'])?;
    let (name, value) = (line.get(..at)?, line.get(at + 1..)?);
    let name = name
        .trim()
        .trim_matches(|c| matches!(c, '"' | '\'' | '{' | ' '));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!name.is_empty() && name.chars().all(plain)).then_some((name, value))
}

/// Takes quotes and what separates values off.
fn bare(value: &str) -> &str {
    let value = value.trim().trim_end_matches([',', '}', ';']).trim_end();
    value.trim_matches(|c| matches!(c, '"' | '\''))
}

fn password_of_address(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("://")?;
    let (login, _) = rest.split_once('@')?;
    let (_, password) = login.split_once(':')?;
    (password.len() >= SHORTEST).then_some(password)
}

/// Tells whether a text is one long word of letters and digits mixed, as keys and tokens are; paths and addresses are not.
fn is_long_word(text: &str) -> bool {
    let token =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-' | '.');
    let has = |kind: fn(&char) -> bool| text.chars().any(|c| kind(&c));
    text.len() >= LONG_WORD
        && !text.starts_with(['/', '.'])
        && text.chars().all(token)
        && has(char::is_ascii_digit)
        && has(char::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_names_passwords_in_addresses_and_long_words_are_found() {
        let text = "# API_KEY=not-this-one\nexport API_KEY='k-1234567'\nDEBUG=true\nPORT=3000\n\
                    DATABASE_URL=postgres://me:hunter22@localhost/db\nSALT=0123456789abcdef0123\n\
                    PUBLIC=http://localhost:3000/a/long/enough/path1\n\"clientSecret\": \"json-secret\",\n\
                    SHORT_TOKEN=abc\n";
        assert_eq!(
            secrets_in_file(text),
            [
                "0123456789abcdef0123",
                "hunter22",
                "json-secret",
                "k-1234567"
            ]
        );
    }

    #[test]
    fn a_key_file_is_secret_line_by_line() {
        let text = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END KEY-----\nplain words of people 1\n";
        assert_eq!(secrets_in_file(text), ["MIIEvQIBADANBgkqhkiG9w0B"]);
    }
}
