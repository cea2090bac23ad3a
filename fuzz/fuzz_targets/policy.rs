//! No text may make the policy panic, hang or get milder for being wrapped.
//!
//! `cargo +nightly fuzz run policy -- -max_len=4096 -timeout=5`; with a stable compiler `RUSTC_BOOTSTRAP=1 cargo fuzz build
//! --sanitizer none policy` and the program that it makes. A panic that the judge catches still ends the run. What is found
//! becomes a test in `tests/policy`. `corpus/` holds a drawn sample of what an hour's run kept: it saves the next run its beginning.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use tos::domain::{
    command::{Command, CommandKind},
    job::rules::PolicyRules,
    policy::{Decision, Policy, PolicyContext},
};

fn judged(kind: CommandKind, code: &str) -> Decision {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    let policy = POLICY.get_or_init(|| {
        let rules = PolicyRules {
            allow_types: CommandKind::KNOWN.to_vec(),
            ..PolicyRules::default()
        };
        Policy::new(&rules).expect("the default rules are valid")
    });
    let command = Command {
        kind,
        code: code.to_owned(),
        argv: Vec::new(),
    };
    policy
        .judge(&command, &PolicyContext::unattended("/srv/job/root"))
        .decision
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(code) = std::str::from_utf8(bytes) else {
        return;
    };
    judged(CommandKind::Powershell, code);
    judged(CommandKind::Cmd, code);
    let bare = judged(CommandKind::Bash, code);
    let quoted = code.replace('\'', "'\\''");
    assert!(judged(CommandKind::Bash, &format!("sh -c '{quoted}'")) >= bare);
});
