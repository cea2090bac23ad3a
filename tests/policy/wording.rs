//! What a person reads of a verdict: whatever is quoted has something between its marks.

use tos::domain::{
    command::CommandKind,
    policy::{Policy, PolicyContext, PolicyPreset},
};

use crate::{CORPORA, REFUSED, careful, command, lines, rules};

/// Commands that are nothing but a redirection, have no name, or are no shell at all.
const BARE: [&str; 14] = [
    "> /etc/passwd",
    "A=b > /etc/x",
    "{ > /etc/x; }",
    "time > /etc/x",
    "'' -rf /",
    "xargs ''",
    "rm -rf $UNKNOWN",
    "xargs rm -rf < list",
    "xargs -a list rm -rf",
    "switch (1) { 1 { ri C:\\data -r } }",
    "<<",
    "\"\" > ~/.ssh/id_rsa",
    "eval '> /etc/x'",
    "2> /srv/other/log",
];

#[test]
fn a_refusal_of_a_text_of_several_lines_says_which_line_it_means() {
    let world = PolicyContext::unattended("/srv/job/root");
    let judge = |kind, code: &str| careful().judge(&command(kind, code), &world);
    let bash = |code: &str| judge(CommandKind::Bash, code);
    let named = "(line 3: `git push --force`)";
    assert!(
        bash("ls\n\n  git push --force\necho x")
            .reason
            .ends_with(named)
    );
    assert!(
        bash("if true; then\n  :\n  git push --force\nfi")
            .reason
            .ends_with(named)
    );
    // Whatever stands behind a document keeps its line, and a text inside of a text has the one that starts it.
    let behind = bash("cat <<E > ${X}/b\nhello\nE\nls\nrm -rf /srv/x");
    assert_eq!(
        behind.findings.last().and_then(|finding| finding.line),
        Some(5)
    );
    let inside = bash("ls\nsh -c 'true\nrm -rf /srv/x'");
    assert!(
        inside.reason.contains("(line 2: `sh -c 'true`)"),
        "{}",
        inside.reason
    );
    let long = bash(&format!("ls\nrm -rf /srv/{}", "x".repeat(200)));
    assert!(long.reason.ends_with("\u{2026}`)"), "{}", long.reason);
    let windows = judge(CommandKind::Powershell, "dir\nRemove-Item C:\\x -Recurse");
    assert!(
        windows.reason.contains("(line 2: `Remove-Item"),
        "{}",
        windows.reason
    );
    // One line needs no number, and what is allowed has nothing to say.
    for code in ["git push --force", "git push --force\n", "ls\npwd"] {
        let verdict = bash(code);
        assert!(!verdict.reason.contains("line "), "{}", verdict.reason);
        assert!(
            verdict
                .findings
                .iter()
                .all(|finding| finding.line.is_none())
        );
    }
}

#[test]
fn no_verdict_quotes_nothing() {
    let worlds = [true, false].map(|attended| PolicyContext {
        attended,
        ..PolicyContext::unattended("/srv/job/root")
    });
    let policies = [PolicyPreset::Careful, PolicyPreset::Guard].map(|preset| {
        let rules = tos::domain::job::rules::PolicyRules { preset, ..rules() };
        Policy::new(&rules).unwrap()
    });
    let mut codes: Vec<(CommandKind, String)> = lines(REFUSED).collect();
    for code in BARE {
        codes.push((CommandKind::Bash, code.to_owned()));
    }
    for (_, corpus) in CORPORA {
        for line in corpus.lines() {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            if let Some(code) = entry["command"].as_str() {
                codes.push((CommandKind::Bash, code.to_owned()));
            }
        }
    }
    let mut wrong = Vec::new();
    for (kind, code) in &codes {
        for (policy, world) in policies
            .iter()
            .flat_map(|one| worlds.iter().map(move |world| (one, world)))
        {
            let verdict = policy.judge(&command(kind.clone(), code), world);
            let effects = verdict
                .findings
                .iter()
                .map(|finding| finding.effect.clone());
            for text in [verdict.reason.clone()].into_iter().chain(effects) {
                // A command with back quotes of its own ends and begins quotations anywhere.
                let mut quoted = text.split('`').skip(1).step_by(2);
                if !code.contains('`') && quoted.any(|words| words.trim().is_empty()) {
                    wrong.push(format!("{code}: {text}"));
                }
            }
            for finding in &verdict.findings {
                assert!(!finding.command().trim().is_empty());
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}: {wrong:#?}",
        wrong.len(),
        codes.len()
    );
}

#[test]
fn a_redirection_alone_is_named_by_what_it_does() {
    let policy = Policy::new(&rules()).unwrap();
    let reason = |code: &str| {
        let world = PolicyContext::unattended("/srv/job/root");
        policy
            .judge(&command(CommandKind::Bash, code), &world)
            .reason
    };
    assert_eq!(
        reason("> /etc/x"),
        "rule `careful/write-outside`: the command changes /etc/x"
    );
    let nameless = reason("'' x");
    assert!(nameless.contains("a program without a name"), "{nameless}");
}

#[test]
fn a_setting_that_loses_something_later_says_what() {
    let policy = Policy::new(&rules()).unwrap();
    let reason = |value: &str| {
        let world = PolicyContext::unattended("/srv/job/root");
        let code = format!("git config remote.origin.fetch '{value}'");
        policy
            .judge(&command(CommandKind::Bash, &code), &world)
            .reason
    };
    for (value, what) in [
        (
            "+refs/*:refs/*",
            "lets every ref of the remote overwrite the one of its name here",
        ),
        (
            "+refs/heads/*:refs/heads/*",
            "lets the branches of the remote overwrite those here",
        ),
        (
            "+refs/tos/*:refs/tos/*",
            "overwrites what tos has kept with what the remote has",
        ),
    ] {
        assert!(reason(value).contains(what), "{}", reason(value));
    }
}
