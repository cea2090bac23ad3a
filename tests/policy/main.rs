//! The policy against commands in many spellings: what has to be refused, what has to pass, and what may
//! never happen whatever the text is.
//!
//! In `corpus/bypass.jsonl` a listener of its writer's own machine is named as the other machine that it stood for.
//! The commands stand in `refused.txt` and `allowed.txt`, grouped by class.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start the built program, and end where they cannot go on"
)]

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use proptest::prelude::*;
use tos::domain::{
    command::{Command, CommandKind},
    job::rules::PolicyRules,
    policy::{
        Decision, EffectKind, FilesystemView, Policy, PolicyContext, PolicyPreset, PolicyRule,
    },
};

mod sets;
mod tables;
mod unreadable;
mod wording;

const REFUSED: &str = include_str!("refused.txt");
const ALLOWED: &str = include_str!("allowed.txt");
const REPORTED: &str = include_str!("corpus/reported.jsonl");
const CORPORA: [(&str, &str); 5] = [
    ("own", include_str!("corpus/own.jsonl")),
    ("bypass", include_str!("corpus/bypass.jsonl")),
    ("benign", include_str!("corpus/benign.jsonl")),
    ("reported", REPORTED),
    ("independent", include_str!("corpus/independent.jsonl")),
];

fn rules() -> PolicyRules {
    PolicyRules {
        allow_types: CommandKind::KNOWN.to_vec(),
        ..PolicyRules::default()
    }
}

fn careful() -> &'static Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY.get_or_init(|| Policy::new(&rules()).unwrap())
}

fn world() -> PolicyContext {
    PolicyContext::unattended("/srv/job/root")
}

fn command(kind: CommandKind, code: &str) -> Command {
    let exec = kind == CommandKind::Exec;
    Command {
        kind,
        code: if exec { String::new() } else { code.to_owned() },
        argv: code
            .split_whitespace()
            .filter(|_| exec)
            .map(str::to_owned)
            .collect(),
    }
}

fn judged(kind: CommandKind, code: &str) -> Decision {
    careful().judge(&command(kind, code), &world()).decision
}

fn bash(code: &str) -> Decision {
    judged(CommandKind::Bash, code)
}

/// Reads `kind | command` lines; `\n` is a line break in shell commands, `␤` in those of Windows.
fn lines(text: &'static str) -> impl Iterator<Item = (CommandKind, String)> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (kind, code) = line.split_once(" | ").unwrap();
            let kind = CommandKind::from(kind.to_owned());
            let windows = matches!(kind, CommandKind::Powershell | CommandKind::Cmd);
            let code = if windows {
                // A backslash is a folder there.
                code.replace('␤', "\n")
            } else {
                code.replace("\\n", "\n")
            };
            (kind, code)
        })
}

fn wrong(text: &'static str, wanted: Decision) -> Vec<String> {
    lines(text)
        .filter(|(kind, code)| judged(kind.clone(), code) != wanted)
        .map(|(kind, code)| format!("{} | {code}", kind.as_str()))
        .collect()
}

#[test]
fn harmful_commands_are_refused_however_they_are_spelled() {
    assert_eq!(wrong(REFUSED, Decision::Deny), Vec::<String>::new());
}

#[test]
fn harmless_commands_pass_even_when_they_look_harmful() {
    assert_eq!(wrong(ALLOWED, Decision::Allow), Vec::<String>::new());
}

/// One line of a corpus.
#[derive(Debug, serde::Deserialize)]
struct Entry {
    id: String,
    command: String,
    shell: String,
    #[serde(default)]
    intent: String,
    harmful: Option<bool>,
}

/// How many commands of a kind there are, which of them are judged wrong, and how many may be.
#[derive(Debug, Default)]
struct Tally {
    all: usize,
    wrong: Vec<String>,
}

impl Tally {
    /// Returns whether at most `percent` of the commands are judged wrong.
    fn is_within(&self, percent: usize) -> bool {
        self.wrong.len() * 100 <= self.all * percent
    }
}

/// Judges a corpus; returns what is missed and what is refused though it is harmless, for bash and for the rest.
fn tallies(corpus: &str) -> [[Tally; 2]; 2] {
    tallies_by(corpus, judged)
}

/// The same, with another judge.
fn tallies_by(corpus: &str, judge: impl Fn(CommandKind, &str) -> Decision) -> [[Tally; 2]; 2] {
    let mut found = <[[Tally; 2]; 2]>::default();
    for line in corpus.lines() {
        let entry: Entry = serde_json::from_str(line).unwrap();
        let harmful = entry.harmful.unwrap_or(entry.intent != "benign");
        let kind = match entry.shell.as_str() {
            "posix" => CommandKind::Bash,
            shell => CommandKind::from(shell.to_owned()),
        };
        let windows = matches!(kind, CommandKind::Powershell | CommandKind::Cmd);
        let tally = &mut found[usize::from(windows)][usize::from(!harmful)];
        tally.all += 1;
        let refused = judge(kind, &entry.command) == Decision::Deny;
        if refused != harmful {
            tally.wrong.push(format!("{} {}", entry.id, entry.command));
        }
    }
    found
}

#[test]
fn what_the_field_reported_is_judged_right() {
    for line in REPORTED.lines() {
        let entry: Entry = serde_json::from_str(line).unwrap();
        assert!(entry.harmful.is_some(), "{line}: nobody says what is right");
    }
    let mut judged = 0;
    for [missed, alarms] in tallies(REPORTED) {
        judged += missed.all + alarms.all;
        assert_eq!(missed.wrong, Vec::<String>::new());
        assert_eq!(alarms.wrong, Vec::<String>::new());
    }
    assert_eq!(judged, REPORTED.lines().count());
}

#[test]
fn the_corpora_are_judged_within_the_goals() {
    for (name, corpus) in CORPORA {
        let [[missed, alarms], [missed_windows, alarms_windows]] = tallies(corpus);
        assert!(missed.is_within(3), "{name}: {missed:#?}");
        assert!(alarms.is_within(3), "{name}: {alarms:#?}");
        assert!(missed_windows.is_within(5), "{name}: {missed_windows:#?}");
        assert!(alarms_windows.is_within(7), "{name}: {alarms_windows:#?}");
    }
}

#[test]
fn w18_no_spelling_of_a_deletion_gets_past() {
    let deletions = [
        r"remove-item C:\x",
        "ri -r -fo C:\\x",
        "rm -rf C:\\x",
        "Get-ChildItem C:\\x | ri",
        "& ('Rem'+'ove-Item') C:\\x",
        "Remove'-Item' C:\\x",
        "[IO.File]::Delete('C:\\x')",
        "cmd /c rd /s /q C:\\x",
    ];
    for code in deletions {
        assert_eq!(
            judged(CommandKind::Powershell, code),
            Decision::Deny,
            "{code}"
        );
    }
}

#[test]
fn w19_harmless_text_is_not_denied_for_the_letters_in_it() {
    let harmless = [
        "Write-Output \"model data\"",
        "$format = 'x'",
        "Write-Output 'the shutdown procedure'",
        "Set-Content model/f.txt x",
    ];
    for code in harmless {
        assert_eq!(
            judged(CommandKind::Powershell, code),
            Decision::Allow,
            "{code}"
        );
    }
}

#[test]
fn w20_a_default_action_of_deny_denies() {
    let rules = PolicyRules {
        default_allow: false,
        ..rules()
    };
    let verdict = Policy::new(&rules)
        .unwrap()
        .judge(&command(CommandKind::Bash, "true"), &world());
    assert_eq!(verdict.decision, Decision::Deny);
}

#[test]
fn what_cannot_be_known_is_decided_by_who_is_there_and_what_surrounds_it() {
    let opaque = command(CommandKind::Bash, "\"$TOOL\" x");
    let judged = |sandbox_proved, attended| {
        let world = PolicyContext {
            sandbox_proved,
            attended,
            ..world()
        };
        careful().judge(&opaque, &world).decision
    };
    assert_eq!(judged(false, false), Decision::Deny);
    assert_eq!(judged(false, true), Decision::Ask);
    assert_eq!(judged(true, false), Decision::Allow);
}

#[test]
fn what_one_command_writes_is_known_when_the_next_is_judged() {
    let in_order = |codes: [&str; 2]| {
        let commands = codes.map(|code| command(CommandKind::Bash, code));
        let verdicts = careful().judge_sequence(&commands, &world());
        verdicts[1].decision
    };
    let refused = [
        ["echo 'rm -rf /srv/data' > s.sh", "sh s.sh"],
        ["cat a b > s.sh", "./s.sh"],
        ["cp /dev/stdin s.py", "python3 s.py"],
        [
            "printf 'import os\\nos.system(\"reboot\")\\n' > conftest.py",
            "pytest -q",
        ],
        ["sed -i s/a/b/ run.sh", "./run.sh"],
        ["printf 'echo hi' > s.sh; sed -i s/hi/x/ s.sh", "sh s.sh"],
        [
            "sed -i s/a/b/ run.sh",
            "echo 'echo hi' >> run.sh; sh run.sh",
        ],
    ];
    for codes in refused {
        assert_eq!(in_order(codes), Decision::Deny, "{codes:?}");
    }
    let allowed = [
        ["chmod +x run.sh", "./run.sh"],
        ["cp run.sh copy.sh", "sh copy.sh"],
        ["printf 'echo hi\\n' > s.sh", "sh s.sh"],
        ["gcc a.c -o a", "./a"],
        ["sed -i s/a/b/ src/lib.rs", "cargo test"],
    ];
    for codes in allowed {
        assert_eq!(in_order(codes), Decision::Allow, "{codes:?}");
    }
}

#[test]
fn what_is_not_understood_is_named_with_what_helps() {
    let verdict = careful().judge(&command(CommandKind::Bash, "mytool --all"), &world());
    assert_eq!(
        verdict.reason,
        "rule `opaque`: `mytool --all` not understood: a program that is not described; it runs behind a \
         proved wall, with a rule that allows it, or where somebody can be asked"
    );
    let rules = PolicyRules {
        rules: vec![PolicyRule {
            name: "mytool".into(),
            decision: Decision::Allow,
            program: vec!["mytool".into()],
            effect: vec![EffectKind::Opaque],
            ..PolicyRule::default()
        }],
        ..rules()
    };
    let granted = Policy::new(&rules).unwrap();
    let judged = |code: &str| {
        granted
            .judge(&command(CommandKind::Bash, code), &world())
            .decision
    };
    assert_eq!(judged("mytool --all"), Decision::Allow);
    assert_eq!(judged("mytool --all > /etc/x"), Decision::Deny);
    assert_eq!(judged("othertool"), Decision::Deny);
}

#[test]
fn a_finding_says_which_command_it_is_and_how_it_was_reached() {
    let code = "true; env sh -c 'rm -r /opt/x'";
    let verdict = careful().judge(&command(CommandKind::Bash, code), &world());
    let finding = verdict.findings.first().unwrap();
    assert_eq!(finding.rule, "careful/delete-outside");
    assert_eq!(finding.words, ["rm", "-r", "/opt/x"]);
    assert_eq!(finding.via, ["env", "sh", "sh"]);
    assert_eq!(
        verdict.reason,
        "rule `careful/delete-outside`: `rm -r /opt/x` removes /opt/x"
    );
}

#[test]
fn a_rule_of_ones_own_wins_over_the_preset_and_a_look_alike_does_not_profit() {
    let rules = PolicyRules {
        rules: vec![PolicyRule {
            name: "fetch".into(),
            decision: Decision::Allow,
            program: vec!["curl".into()],
            effect: vec![EffectKind::Network],
            ..PolicyRule::default()
        }],
        ..rules()
    };
    let policy = Policy::new(&rules).unwrap();
    let judged = |code: &str| {
        policy
            .judge(&command(CommandKind::Bash, code), &world())
            .decision
    };
    assert_eq!(judged("curl http://example.org"), Decision::Allow);
    assert_eq!(judged("./curl http://example.org"), Decision::Deny);
    assert_eq!(judged("curl -o /etc/x http://example.org"), Decision::Deny);
    assert_eq!(judged("wget http://example.org"), Decision::Deny);
}

#[test]
fn an_example_that_does_not_hold_is_an_error_naming_rule_and_example() {
    let rules = PolicyRules {
        rules: vec![PolicyRule {
            name: "no-docker".into(),
            decision: Decision::Deny,
            program: vec!["docker".into()],
            matches: vec!["podman ps".to_owned().into()],
            ..PolicyRule::default()
        }],
        ..rules()
    };
    assert_eq!(
        Policy::new(&rules).unwrap_err().to_string(),
        "execution_policy.rules: rule `no-docker` does not match its example: `podman ps`"
    );
}

#[test]
fn the_presets_differ_as_they_say() {
    let judged = |preset, code: &str| {
        let rules = PolicyRules { preset, ..rules() };
        let policy = Policy::new(&rules).unwrap();
        policy
            .judge(&command(CommandKind::Bash, code), &world())
            .decision
    };
    assert_eq!(judged(PolicyPreset::Strict, "rm build/x"), Decision::Deny);
    assert_eq!(judged(PolicyPreset::Careful, "rm build/x"), Decision::Allow);
    assert_eq!(
        judged(PolicyPreset::Original, "rm -rf /opt/x"),
        Decision::Allow
    );
}

#[test]
fn too_much_of_anything_is_refused() {
    let many = "true;".repeat(20_000);
    let deep = "(".repeat(500);
    let nested = format!("{}true", "env ".repeat(200));
    let long = format!("echo {}", "x".repeat(300_000));
    for code in [many, deep, nested, long] {
        assert_eq!(bash(&code), Decision::Deny, "{}", &code[..20]);
    }
}

/// Texts on which the parser of shell text ran without end or panicked; each was found by fuzzing or reported.
const HOSTILE: [&str; 14] = [
    "cat <<\r  <<-  ",
    "cat <<\u{c} x",
    "\"${ <<'' \"",
    "cat${ <<'' x ",
    "cat <<'' x",
    "cat <<\"\" x",
    "cat <<-'' x",
    "x=$(cat <<  x",
    "x=$(( 1 << ''",
    "cat <<a <<'' b",
    "echo hi 22222222222>/dev/null",
    "rm -rf /srv/data 22222222222>/dev/null",
    "chmod 600600600600600<<",
    "echo 2147483648<x",
];

#[test]
fn a_text_that_breaks_the_parser_is_refused() {
    for code in HOSTILE {
        assert_eq!(bash(code), Decision::Deny, "{code}");
        let inner = code.replace('\'', "'\\''");
        assert_eq!(bash(&format!("sh -c '{inner}'")), Decision::Deny, "{code}");
    }
}

#[test]
fn white_space_that_is_no_blank_is_a_program_however_it_is_wrapped() {
    for code in ["\u{c}", "sh -c '\u{c}'", "eval '\u{c}'", "x=$(\u{c})"] {
        assert_eq!(bash(code), Decision::Deny, "{code:?}");
    }
}

#[test]
fn a_text_that_is_too_long_is_opaque() {
    let long = command(
        CommandKind::Bash,
        &format!("echo {}", "x".repeat(64 * 1024)),
    );
    let judged = |sandbox_proved, attended| {
        let world = PolicyContext {
            sandbox_proved,
            attended,
            ..world()
        };
        careful().judge(&long, &world).decision
    };
    assert_eq!(judged(false, false), Decision::Deny);
    assert_eq!(judged(false, true), Decision::Ask);
    assert_eq!(judged(true, false), Decision::Allow);
}

#[test]
fn a_judge_that_panics_has_refused() {
    #[derive(Debug)]
    struct Broken;
    impl FilesystemView for Broken {
        fn real_path(&self, _: &Path) -> Option<PathBuf> {
            panic!("the disk is on fire")
        }
        fn known_program(&self, _: &Path) -> Option<String> {
            None
        }
    }
    let world = PolicyContext {
        eyes: Some(Arc::new(Broken)),
        ..world()
    };
    let verdict = careful().judge(&command(CommandKind::Bash, "rm -r build"), &world);
    assert_eq!(verdict.decision, Decision::Deny);
    assert_eq!(
        verdict.reason,
        "the judge failed on this text, which is a fault of tos; write it differently"
    );
}

/// A disk on which only `/srv/job/root/build` is.
#[derive(Debug)]
struct OneFolder;

impl FilesystemView for OneFolder {
    fn real_path(&self, path: &Path) -> Option<PathBuf> {
        Some(path.to_owned())
    }
    fn known_program(&self, _: &Path) -> Option<String> {
        None
    }
    fn is_there(&self, path: &Path) -> bool {
        path == Path::new("/srv/job/root/build")
    }
}

#[test]
fn who_goes_to_a_folder_that_is_not_there_may_stay_where_they_are() {
    let world = PolicyContext {
        eyes: Some(Arc::new(OneFolder)),
        ..world()
    };
    let decision = |code: &str| {
        let command = command(CommandKind::Bash, code);
        careful().judge(&command, &world).decision
    };
    for code in ["cd bulid; rm -rf ./*", "cd bulid 2>/dev/null\nrm -rf *"] {
        assert_eq!(decision(code), Decision::Deny, "{code}");
    }
    for code in [
        "cd build; rm -rf ./*",
        "cd bulid && rm -rf ./*",
        "mkdir -p out; cd out; rm -rf ./*",
        "cd gone; make",
    ] {
        assert_eq!(decision(code), Decision::Allow, "{code}");
    }
}

#[test]
fn a_home_below_scratch_keeps_its_protection() {
    let harmful = [
        "cat ~/.ssh/id_rsa",
        "rm -rf ~",
        "echo x >> ~/.bashrc",
        "cat ~/.aws/credentials",
        "cp -r x $HOME/.config/autostart",
        "rm -rf $HOME/*",
    ];
    let below = |home: Option<&str>, code: &str| {
        let world = PolicyContext {
            home: home.map(PathBuf::from),
            ..PolicyContext::unattended("/tmp/place/job")
        };
        careful()
            .judge(&command(CommandKind::Bash, code), &world)
            .decision
    };
    for home in [Some("/tmp/x"), Some("/tmp"), Some("/"), Some(""), None] {
        for code in harmful {
            assert_eq!(below(home, code), Decision::Deny, "{home:?}: {code}");
        }
        let scratch = "t=$(mktemp -d); echo x > $t/f; rm -rf $t; rm -f /tmp/y.txt";
        assert_eq!(below(home, scratch), Decision::Allow, "{home:?}");
        for code in ["rm -rf /tmp/place", "rm -rf /tmp/p*", "rm -rf /tmp/*"] {
            assert_eq!(below(home, code), Decision::Deny, "{home:?}: {code}");
        }
    }
    assert_eq!(below(None, "cat /root/.ssh/id_rsa"), Decision::Deny);
    assert_eq!(below(Some("/"), "cat /etc/shadow"), Decision::Deny);
}

/// Pieces of commands, so that random texts reach deep into the reader.
#[expect(clippy::too_many_lines, reason = "a table of pieces")]
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "rm",
        "-rf",
        "/opt/x",
        "build",
        "echo",
        "sh -c",
        "'",
        "\"",
        "$(",
        ")",
        "`",
        "{",
        "}",
        ";",
        "|",
        "&&",
        "||",
        "&",
        "\n",
        "x=",
        "$x",
        "${x",
        "${x:-",
        "$((",
        "))",
        "<<E\n",
        "\nE\n",
        "<<<",
        ">",
        ">>",
        "if",
        "then",
        "fi",
        "for i in",
        "do",
        "done",
        "case",
        "esac",
        "in",
        "\\",
        "*",
        "[a",
        "~",
        "find . -exec",
        "\\;",
        "xargs",
        "python3 -c",
        "import os;",
        "os.system(",
        "git -c",
        "core.pager=",
        "Remove-Item",
        "[IO.File]::Delete(",
        "%x%",
        "^",
        "for %i in (",
        ") do",
        "$env:X",
        "@(",
        "-join",
        "[char]",
        "\u{F0000}",
        "\u{202e}",
        "é",
        "sed 's/a/b/e'",
        "awk '{",
        "}'",
        "!",
        "((",
        "function f",
        "()",
    ]);
    prop_oneof![
        4 => known.prop_map(str::to_owned),
        1 => "[ -~]{0,6}",
        1 => any::<String>(),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..14).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_policy_fail(code in text(), kind in 0_usize..5) {
        let kind = CommandKind::KNOWN[kind].clone();
        let verdict = careful().judge(&command(kind, &code), &world());
        prop_assert!(!verdict.reason.contains('\n'));
        prop_assert!(!verdict.reason.contains("a fault of tos"), "{}", verdict.reason);
    }

    #[test]
    fn no_random_text_stops_the_judge(code in "[ -~\n]{0,120}|[<>'\"$(){}`\\\\ \n\t0-9a|&;#!~*?=\\[\\]-]{0,40}", kind in 0_usize..5) {
        let kind = CommandKind::KNOWN[kind].clone();
        let verdict = careful().judge(&command(kind, &code), &world());
        prop_assert!(!verdict.reason.contains("a fault of tos"), "{}", verdict.reason);
    }

    #[test]
    fn a_rule_that_denies_never_makes_a_verdict_milder(code in text(), name in "[a-z]{1,3}") {
        let more = PolicyRules {
            rules: vec![
                PolicyRule { name: "some".into(), decision: Decision::Allow, program: vec!["e*".into()], ..PolicyRule::default() },
                PolicyRule { name: "none".into(), decision: Decision::Deny, program: vec![format!("{name}*")], ..PolicyRule::default() },
            ],
            ..rules()
        };
        let mut fewer = more.clone();
        drop(fewer.rules.pop());
        let judged = |rules| Policy::new(&rules).unwrap().judge(&command(CommandKind::Bash, &code), &world()).decision;
        prop_assert!(judged(more) >= judged(fewer));
    }

    #[test]
    fn a_wrapper_never_makes_a_verdict_milder(code in text()) {
        let bare = bash(&code);
        let quoted = code.replace('\'', "'\\''");
        for wrapped in [format!("sh -c '{quoted}'"), format!("eval '{quoted}'"), format!("env A=1 bash -c '{quoted}'")] {
            prop_assert!(bash(&wrapped) >= bare, "{wrapped}");
        }
    }

    #[test]
    fn a_wrapper_around_words_never_makes_a_verdict_milder(words in prop::collection::vec("[a-z/.-]{1,8}|rm|sudo|curl", 1..5)) {
        let code = words.join(" ");
        let bare = bash(&code);
        // A word that starts with a dash would be an option of the wrapper.
        prop_assume!(!code.starts_with('-'));
        for wrapper in ["env", "nice", "nohup", "timeout 5", "xargs"] {
            prop_assert!(bash(&format!("{wrapper} {code}")) >= bare, "{wrapper} {code}");
        }
    }
}
