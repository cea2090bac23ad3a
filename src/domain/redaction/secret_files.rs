//! Recognises files that should not be committed: by their name, and by the tokens in their text.
//!
//! Decides narrowly on purpose: a false alarm stops a checkpoint nobody watches. A name alone is enough
//! only where such a file has no harmless use; otherwise the content must hold a key or token.

use std::sync::LazyLock;

use regex::bytes::Regex;

/// Content above this size is not searched.
pub const MAX_SEARCH_BYTES: u64 = 2 << 20;

/// Files whose very name says it.
const NAMES: &[(&str, &str)] = &[
    ("id_rsa", "a private key"),
    ("id_dsa", "a private key"),
    ("id_ecdsa", "a private key"),
    ("id_ed25519", "a private key"),
    (".netrc", "stored passwords"),
    (".pgpass", "stored passwords"),
    (".git-credentials", "stored passwords"),
    (".htpasswd", "stored passwords"),
    (".pypirc", "stored passwords"),
];

/// Endings that say it.
const ENDINGS: &[(&str, &str)] = &[
    (".p12", "a key store"),
    (".pfx", "a key store"),
    (".jks", "a key store"),
    (".keystore", "a key store"),
    (".kdbx", "a password store"),
    (".ppk", "a private key"),
];

/// Endings of environment files that are written to be shared.
const SHARED: &[&str] = &[
    "example", "sample", "template", "tmpl", "dist", "defaults", "schema", "test", "md",
];

/// The shapes of keys and tokens, each behind the first letters by which it is told afterwards.
const TOKENS: &[(&str, &str, &str)] = &[
    (
        "-----BEGIN",
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?s-u:.){0,200}?[A-Za-z0-9+/=]{40}",
        "a private key",
    ),
    ("AKIA", r"AKIA[0-9A-Z]{16}", "an AWS access key"),
    ("ghp_", r"ghp_[0-9A-Za-z]{36}", "a GitHub token"),
    ("gho_", r"gho_[0-9A-Za-z]{36}", "a GitHub token"),
    ("ghu_", r"ghu_[0-9A-Za-z]{36}", "a GitHub token"),
    ("ghs_", r"ghs_[0-9A-Za-z]{36}", "a GitHub token"),
    ("ghr_", r"ghr_[0-9A-Za-z]{36}", "a GitHub token"),
    (
        "github_pat_",
        r"github_pat_[0-9A-Za-z_]{60,}",
        "a GitHub token",
    ),
    ("glpat-", r"glpat-[0-9A-Za-z_-]{20,}", "a GitLab token"),
    ("sk-ant-", r"sk-ant-[0-9A-Za-z_-]{24,}", "an Anthropic key"),
    ("sk-proj-", r"sk-proj-[0-9A-Za-z_-]{24,}", "an OpenAI key"),
    ("sk-", r"sk-[0-9A-Za-z]{32,}", "an OpenAI key"),
    (
        "xox",
        r"xox[abprs]-[0-9]{6,}-[0-9A-Za-z-]{10,}",
        "a Slack token",
    ),
    ("AIza", r"AIza[0-9A-Za-z_-]{35}", "a Google API key"),
    ("npm_", r"npm_[0-9A-Za-z]{36}", "an npm token"),
    ("hf_", r"hf_[0-9A-Za-z]{34}", "a Hugging Face token"),
    ("sk_live_", r"sk_live_[0-9A-Za-z]{24,}", "a Stripe key"),
    ("rk_live_", r"rk_live_[0-9A-Za-z]{24,}", "a Stripe key"),
    (
        "pypi-",
        r"pypi-AgEIcHlwaS5vcmc[0-9A-Za-z_-]{50,}",
        "a PyPI token",
    ),
];

static SHAPES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let shapes: Vec<&str> = TOKENS.iter().map(|(_, shape, _)| *shape).collect();
    Regex::new(&shapes.join("|")).ok()
});

/// Returns what a file looks like, judged by its path.
pub fn detect_by_path(path: &[u8]) -> Option<&'static str> {
    let name = path.rsplit(|byte| *byte == b'/').next()?;
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    if is_environment_file(&name) {
        return Some("an environment file");
    }
    let whole = NAMES.iter().find(|(known, _)| name == *known);
    let ending = || ENDINGS.iter().find(|(known, _)| name.ends_with(known));
    whole.or_else(ending).map(|(_, looks_like)| *looks_like)
}

/// Returns what a text holds, judged by the shape of the first key or token in it.
pub fn detect_by_content(content: &[u8]) -> Option<&'static str> {
    let shapes = SHAPES.as_ref()?;
    let found = shapes
        .find_iter(content)
        .find(|found| stands_alone(content, found.start()))?;
    let told = |(start, _, _): &&(&str, &str, &str)| found.as_bytes().starts_with(start.as_bytes());
    TOKENS
        .iter()
        .find(told)
        .map(|(_, _, looks_like)| *looks_like)
}

fn is_environment_file(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(".env") else {
        return name
            .rsplit_once('.')
            .is_some_and(|(_, ending)| ending == "env");
    };
    let shared = || {
        rest.rsplit(['.', '-', '_'])
            .next()
            .is_some_and(|end| SHARED.contains(&end))
    };
    rest.is_empty() || (rest.starts_with(['.', '-', '_']) && !shared())
}

/// A token in the middle of a word, e.g. `task-…`, is none.
fn stands_alone(content: &[u8], start: usize) -> bool {
    let before = start.checked_sub(1).and_then(|at| content.get(at));
    !before.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_files_are_told_from_their_templates() {
        for name in [
            ".env",
            "a/.env",
            ".env.local",
            ".env-prod",
            "prod.env",
            ".ENV",
            ".env_x",
        ] {
            assert_eq!(
                detect_by_path(name.as_bytes()),
                Some("an environment file"),
                "{name}"
            );
        }
        for name in [
            ".env.example",
            ".env.local.sample",
            ".envrc",
            "env",
            "environment.rs",
            ".env.md",
        ] {
            assert_eq!(detect_by_path(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn keys_are_told_from_their_public_halves() {
        assert_eq!(
            detect_by_path(b"home/.ssh/id_ed25519"),
            Some("a private key")
        );
        assert_eq!(detect_by_path(b"home/.ssh/id_ed25519.pub"), None);
        assert_eq!(detect_by_path(b"store.P12"), Some("a key store"));
        assert_eq!(detect_by_path(b"cert.pem"), None);
    }

    #[test]
    fn a_private_key_needs_more_than_its_first_line() {
        let head = concat!("-----BEGIN RSA ", "PRIVATE KEY-----");
        let body = "MIIEowIBAAKCAQEA7bq0lq1l3q5m7n9p1r3t5v7x9z1B3D5F7H9J";
        assert_eq!(detect_by_content(head.as_bytes()), None);
        let key = format!("{head}\nProc-Type: 4,ENCRYPTED\n\n{body}\n");
        assert_eq!(detect_by_content(key.as_bytes()), Some("a private key"));
        let json = format!("{{\"private_key\": \"{head}\\n{body}\\n\"}}");
        assert_eq!(detect_by_content(json.as_bytes()), Some("a private key"));
    }

    #[test]
    fn tokens_are_known_by_their_shape() {
        let text = |token: &str| format!("key = \"{token}\"\n");
        let forty = "0123456789abcdefghijABCDEFGHIJ0123456789";
        for (start, rest, looks_like) in [
            ("ghp_", &forty[..36], "a GitHub token"),
            ("sk-", &forty[..40], "an OpenAI key"),
            ("sk-ant-", &forty[..40], "an Anthropic key"),
            ("AKIA", "ABCDEFGHIJKLMNOP", "an AWS access key"),
        ] {
            let content = text(&format!("{start}{rest}"));
            assert_eq!(
                detect_by_content(content.as_bytes()),
                Some(looks_like),
                "{start}"
            );
        }
    }

    #[test]
    fn words_that_only_resemble_tokens_pass() {
        let forty = "0123456789abcdefghijABCDEFGHIJ0123456789";
        for text in [
            format!("ta{}{forty}", "sk-"),
            "sk-learn and npm_config_registry".to_owned(),
            "AKIAexample".to_owned(),
        ] {
            assert_eq!(detect_by_content(text.as_bytes()), None, "{text}");
        }
    }
}
