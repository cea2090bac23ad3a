//! Which variables a command may see: a short list of harmless names, never a secret.

use std::ffi::OsString;

use crate::domain::redaction::{Redactor, is_secret_name};

/// Names that every command gets, besides those beginning with `LC_`.
pub const ALLOWED: &[&str] = &[
    "PATH", "HOME", "USER", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM", "SHELL", "LOGNAME",
];

/// Picks from the base environment what a command may see: the allowed names and `more`, without
/// those whose name or value says that they hold a secret.
pub fn minimal(
    base: &[(OsString, OsString)],
    more: &[String],
    redactor: &Redactor,
) -> Vec<(OsString, OsString)> {
    let wanted = |name: &str| {
        ALLOWED.contains(&name) || name.starts_with("LC_") || more.iter().any(|more| more == name)
    };
    base.iter()
        .filter(|(name, value)| {
            name.to_str().is_some_and(|name| {
                wanted(name)
                    && !is_secret_name(name)
                    && !redactor.contains_secret(&value.to_string_lossy())
            })
        })
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_names_without_secrets_are_picked() {
        let base: Vec<(OsString, OsString)> = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("OPENAI_API_KEY", "not-a-shape"),
            ("DEPLOY_TOKEN", "abc"),
            ("NODE_ENV", "test"),
            ("LANG", "sk-0123456789abcdefABCDEF"),
            ("EDITOR", "vi"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .to_vec();
        let more = ["NODE_ENV".to_owned(), "DEPLOY_TOKEN".to_owned()];
        let names: Vec<_> = minimal(&base, &more, &Redactor::default())
            .into_iter()
            .map(|(name, _)| name.into_string().unwrap())
            .collect();
        assert_eq!(names, ["PATH", "LC_ALL", "NODE_ENV"]);
    }
}
