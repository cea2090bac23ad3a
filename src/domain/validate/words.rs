//! Texts: banned patterns, and the first tier of danger where it shows in a text rather than in code.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    FileChange, FileVersion, FindingGroup, ValidationFinding, ValidationRules, added, danger,
    is_test_path, substance::is_prose,
};

/// Shapes that have no place in a change, and what they are.
const SHAPES: &[(&str, &str)] = &[
    (
        r"/(?:var/)?run/docker\.sock",
        "the socket of the container daemon",
    ),
    (
        r"/proc/(?:self|\d+|\*|\$\{?\w+\}?|\{\w*\})/(?:environ|cmdline|fd|mem|root|ns)\b",
        "another process's memory, environment or files",
    ),
    (
        r"\b(?:nsenter|unshare|setns|ptrace)\b",
        "a way out of a container",
    ),
    (
        r"--privileged\b|--cap-add|--pid[= ]host|--security-opt[= ]\S*unconfined",
        "a container without its walls",
    ),
    (
        r"\b(?:npm|pnpm|yarn|bun)\s+(?:install|i|add|exec)\s+[^-\s]|\bnpx\s+\S|\b(?:pip3?|uv pip|pipx|gem|cargo|go)\s+install\s+\S|\buv add\s+\S",
        "installs software at run time",
    ),
    (
        r"\b(?:curl|wget)\b[^\n|;&]*\|\s*(?:sudo\s+)?(?:ba|z|k|da)?sh\b",
        "runs what it downloads",
    ),
    (
        r"\bbase64\s+(?:-d|--decode|-D)\b[^\n|]*\|\s*(?:ba|z|da)?sh\b",
        "runs what it decodes",
    ),
    (r"/dev/tcp/", "a connection made by the shell"),
];

/// The second tier: places of secrets.
const SECRETS: &[(&str, &str)] = &[
    (
        r"(?:^|[/\s'])\.env(?:\.(?:local|production|prod))?(?:$|[\s'])",
        "an environment file",
    ),
    (
        r"\bid_(?:rsa|dsa|ecdsa|ed25519)\b|\.ssh/(?:[^k\s]|k[^n]|\s|$)",
        "a private key",
    ),
    (
        r"\.aws/credentials|/\.(?:netrc|git-credentials|npmrc|pypirc)\b|['`\x22]\.(?:netrc|git-credentials|npmrc|pypirc)['`\x22]|\b(?:cat|cp|mv|tar|zip|head|tail|base64|xxd|scp|rsync|source|curl)\b[^\n]*[\s@=]\.(?:netrc|git-credentials|npmrc|pypirc)(?:$|['`\x22)]|\s*[;|&<>])|\.docker/config\.json|\.kube/config|gcloud/credentials",
        "stored credentials",
    ),
    (r"/etc/(?:shadow|sudoers)\b", "the system's passwords"),
    (
        r"169\.254\.169\.254|metadata\.google\.internal",
        "the cloud's credentials",
    ),
];

static COMPILED: LazyLock<Vec<(FindingGroup, Regex, &'static str)>> = LazyLock::new(|| {
    let tiers = [
        (FindingGroup::Danger, SHAPES),
        (FindingGroup::Secret, SECRETS),
    ];
    let all = tiers
        .into_iter()
        .flat_map(|(group, shapes)| shapes.iter().map(move |one| (group, one)));
    all.filter_map(|(group, (shape, what))| Some((group, Regex::new(shape).ok()?, *what)))
        .collect()
});

/// Characters that make a text read otherwise than it runs.
const fn deceives(c: char) -> bool {
    matches!(c,
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{2064}'
        | '\u{E0000}'..='\u{E007F}' | '\u{FF21}'..='\u{FF5A}' | '\u{1D400}'..='\u{1D7FF}')
}

/// Finds them in what a change adds.
pub(super) fn findings(rules: &ValidationRules, change: &FileChange) -> Vec<ValidationFinding> {
    let Some(after) = &change.after else {
        return Vec::new();
    };
    let before = change.before.as_ref();
    let mut found = banned(rules, change, before, after);
    found.extend(deceptions(change, before, after));
    if !is_prose(&change.path) {
        let told = shapes(change, before, after);
        let only_says = !told.is_empty() && is_test_path(&change.path) && !acts(rules, change);
        let weighed = |finding: ValidationFinding| {
            if only_says {
                finding.warning()
            } else {
                finding
            }
        };
        found.extend(told.into_iter().map(weighed));
    }
    found
}

/// Returns whether the file, as it is now, may do what its texts say: a test that starts nothing and reaches nothing only
/// compares with them.
fn acts(rules: &ValidationRules, change: &FileChange) -> bool {
    let known = change
        .language()
        .is_some_and(|language| language != super::facts::Language::Shell);
    let whole = FileChange {
        before: None,
        ..change.clone()
    };
    let rules = ValidationRules {
        confined: false,
        ..rules.clone()
    };
    !known || !danger::findings(&rules, &whole).is_empty()
}

fn lines(side: Option<&FileVersion>) -> Vec<(u32, &str)> {
    let text = side
        .and_then(|side| side.text.as_deref())
        .unwrap_or_default();
    (1..).zip(text.lines()).collect()
}

fn new_lines<'a>(before: Option<&'a FileVersion>, after: &'a FileVersion) -> Vec<(u32, &'a str)> {
    let (old, new) = (lines(before), lines(Some(after)));
    let fresh = added(&old, &new, |(_, text)| text.to_string());
    fresh
        .into_iter()
        .filter_map(|place| new.get(place).copied())
        .collect()
}

fn banned(
    rules: &ValidationRules,
    change: &FileChange,
    before: Option<&FileVersion>,
    after: &FileVersion,
) -> Vec<ValidationFinding> {
    let mut found = Vec::new();
    for (line, text) in new_lines(before, after) {
        for pattern in rules
            .banned_patterns
            .iter()
            .filter(|pattern| text.contains(pattern.as_str()))
        {
            found.push(ValidationFinding::new(
                FindingGroup::Banned,
                change,
                line,
                format!("the banned text `{pattern}`"),
            ));
        }
    }
    // A name says as much as a line.
    for pattern in &rules.banned_patterns {
        if before.is_none() && change.path.contains(pattern.as_str()) {
            found.push(ValidationFinding::new(
                FindingGroup::Banned,
                change,
                0,
                format!("the banned text `{pattern}` in the name"),
            ));
        }
    }
    found
}

fn deceptions(
    change: &FileChange,
    before: Option<&FileVersion>,
    after: &FileVersion,
) -> Vec<ValidationFinding> {
    new_lines(before, after)
        .into_iter()
        .filter_map(|(line, text)| {
            let c = text.chars().find(|c| deceives(*c))?;
            let what = format!(
                "the character U+{:04X}, which makes code read otherwise than it runs",
                c as u32
            );
            Some(ValidationFinding::new(
                FindingGroup::Danger,
                change,
                line,
                what,
            ))
        })
        .collect()
}

fn shapes(
    change: &FileChange,
    before: Option<&FileVersion>,
    after: &FileVersion,
) -> Vec<ValidationFinding> {
    // Where a grammar knows what is a comment, only literal texts count; elsewhere every line does.
    let known = change
        .language()
        .is_some_and(|language| language != super::facts::Language::Shell);
    let texts: Vec<(u32, String)> = if known {
        let old = before
            .map(|side| side.facts.strings.as_slice())
            .unwrap_or_default();
        let new = &after.facts.strings;
        let fresh = added(old, new, |one| one.what.clone());
        fresh
            .iter()
            .filter_map(|place| new.get(*place))
            .map(|one| (one.line, one.what.clone()))
            .collect()
    } else {
        let code = |text: &str| !text.trim_start().starts_with('#') || text.starts_with("#!");
        let fresh = new_lines(before, after)
            .into_iter()
            .filter(|(_, text)| code(text));
        fresh.map(|(line, text)| (line, text.to_owned())).collect()
    };
    let mut found = Vec::new();
    for (line, text) in texts {
        for (group, shape, what) in COMPILED.iter() {
            if shape.is_match(&text) {
                found.push(ValidationFinding::new(
                    *group,
                    change,
                    line,
                    format!("names {what}"),
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_compiles() {
        assert_eq!(COMPILED.len(), SHAPES.len() + SECRETS.len());
    }
}
