//! The loader in this very process, with more bytes than the program could be started for: the same function that the
//! fuzz target `plan` calls.

use proptest::prelude::*;
use tos::{
    adapters::plan::{expanded_copy, load_bytes},
    ports::plan_store::LoadError,
};

/// Plans that use everything, to be spoilt.
const GOOD: [&str; 4] = [
    r#"goal: "a goal"
artifacts_dir: .orch/artifacts
max_parallel: 3
policy: enforce
origin: model
params: {who: {type: string, default: you, choices: [you, me]}, count: 2}
resources: {db: 1, gpu: 4}
defaults: &d {timeout_sec: 1:30, retries: 2, env: {BASE: "${{ params.who }}"}}
tasks:
- {id: a, cmd: [echo, "${{ params.who }}", 'x"y\'], outputs: ["dist/**", r.json], priority: -3}
- id: m
  matrix: {os: [linux, mac], n: [1, 2]}
  shell: "echo ${{ matrix.os }} > out; exit 0"
  depends_on: [a]
  resources: {gpu: 2}
  when: 'succeeded("a") && !failed("a")'
- {id: j, job: {root: ., config: c.json, args: [--set, a=b]}, stdin: {file: in}, env_file: [e, f]}
- {id: c, cmd: 'printf "%s" "" a\ b', cache: {inputs: ["*.c"], env: [CC]}, needs_files: x, stdin: "t\n"}
- {id: d, cmd: x, depends_on: [m, j], allow_failure: true, env_policy: minimal, cwd: sub, retry_backoff_sec: [0.5, 1.0e+30]}
on_failure:
- {id: alarm, cmd: [touch, alarmed]}
"#,
    "tasks:\n- id: x\n  cmd: >-\n    echo\n    folded\n- &a {id: y, cmd: [x], depends_on: [x], timeout_sec: .5}\n- {<<: *a, id: z, retries: 0x2}\n",
    "agent: {kind: command, args: [x, '{prompt}']}\non_failure: retry_then_stop\nlimits: {files: 3}\nsandbox: off\ntest_command: make test\ndefaults: {class: fix}\ntasks:\n- {id: b, prompt: p, depends_on: [a]}\n- {id: a, prompt: p, class: test, agent: job, context_files: f}\n",
    "tasks: [{id: \"q\\u0041\", cmd: ['\u{e9}', \"\\t\\u2028\"], env: {A: '', B: \"\\\"\"}}]\r\n",
];

/// Pieces that mean something to YAML or to the reader.
const PIECES: [&str; 32] = [
    "- ",
    ": ",
    "\n",
    "  ",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!x ",
    "? ",
    "| ",
    ">-\n",
    "\"",
    "'",
    "#",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "~",
    "0x",
    "1e9",
    ".inf",
    "${{",
    "}}",
    "id: ",
    "cmd: ",
    "\u{0}",
    "\u{feff}",
];

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    match load_bytes(bytes) {
        Ok(plan) => {
            if plan.guarded.is_some() {
                return Ok(());
            }
            let copy = expanded_copy(&plan).unwrap();
            let text = String::from_utf8_lossy(&copy).into_owned();
            prop_assert_eq!(load_bytes(&copy), Ok(plan), "{}", text);
        }
        Err(LoadError::Wrong { line, column, .. }) => prop_assert!(line > 0 && column > 0),
        Err(LoadError::Unreadable { why, .. }) => prop_assert!(false, "there is no file: {why}"),
    }
    Ok(())
}

#[derive(Debug, Clone)]
enum Change {
    Byte(u8),
    Piece(usize),
    Cut(usize),
    Repeat(usize),
}

fn spoilt(text: &str, changes: &[(prop::sample::Index, Change)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (at, change) in changes {
        let at = at.index(bytes.len() + 1);
        let end = |length: usize| (at + length).min(bytes.len());
        match change {
            Change::Byte(byte) => bytes.splice(at..end(1), [*byte]).for_each(drop),
            Change::Piece(piece) => bytes.splice(at..at, PIECES[*piece].bytes()).for_each(drop),
            Change::Cut(length) => bytes.drain(at..end(*length)).for_each(drop),
            Change::Repeat(length) => {
                let part = bytes[at..end(*length)].to_vec();
                bytes.splice(at..at, part).for_each(drop);
            }
        }
    }
    bytes
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<u8>().prop_map(Change::Byte),
        (0..PIECES.len()).prop_map(Change::Piece),
        (1..40_usize).prop_map(Change::Cut),
        (1..200_usize).prop_map(Change::Repeat),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_plan_or_a_fault_with_its_place(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        check(&bytes)?;
    }

    #[test]
    fn a_spoilt_plan_is_a_plan_or_a_fault_with_its_place(
        which in 0..GOOD.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), change()), 0..6),
    ) {
        check(&spoilt(GOOD[which], &changes))?;
    }

    #[test]
    fn pieces_of_yaml_are_a_plan_or_a_fault_with_its_place(pieces in prop::collection::vec(0..PIECES.len(), 0..80)) {
        let text: String = pieces.iter().map(|piece| PIECES[*piece]).collect();
        check(text.as_bytes())?;
        check(format!("tasks:\n- id: a\n  cmd: {text}").as_bytes())?;
    }
}

#[test]
fn the_plans_to_be_spoilt_are_good() {
    for text in GOOD {
        let plan = load_bytes(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        if plan.guarded.is_some() {
            assert!(expanded_copy(&plan).is_err());
            continue;
        }
        assert_eq!(load_bytes(&expanded_copy(&plan).unwrap()), Ok(plan));
    }
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    // Without the limits this test would neither end nor fit into the memory.
    let laughs = |open: char, close: char, of: fn(usize) -> String| -> String {
        let level = |level: usize| format!("a{level}: &a{level} {open}{}{close}\n", of(level - 1));
        format!(
            "a0: &a0 {{x: y}}\n{}",
            (1..30).map(level).collect::<String>()
        )
    };
    let list = laughs('[', ']', |up| vec![format!("*a{up}"); 9].join(", "));
    let map = laughs('{', '}', |up| {
        let entries = (0..9).map(|key| format!("k{key}: *a{up}"));
        entries.collect::<Vec<_>>().join(", ")
    });
    let merges = laughs('{', '}', |up| {
        format!("<<: [*a{up}, *a{up}], k{up}: *a{up}, l{up}: *a{up}")
    });
    let wide = format!("tasks:\n- {{id: a, cmd: x, matrix: {{{}}}}}\n", {
        let names = (0..9).map(|name| format!("n{name}: [1, 2, 3, 4, 5, 6, 7, 8, 9]"));
        names.collect::<Vec<_>>().join(", ")
    });
    let many_keys: String = (0..200_000).map(|key| format!("k{key}: 1\n")).collect();
    for text in [
        list,
        map,
        merges,
        wide,
        many_keys,
        "[".repeat(1_000_000),
        "{a: ".repeat(1_000_000),
        "- ".repeat(1_000_000),
        "? ".repeat(1_000_000),
        "\"".to_owned() + &"\\x41".repeat(1_000_000),
        "&a ".repeat(100_000),
        "!".repeat(1_000_000),
        "tasks: *a".to_owned(),
        "x".repeat(49 * 1024 * 1024),
    ] {
        let head: String = text.chars().take(60).collect();
        match load_bytes(text.as_bytes()) {
            Err(LoadError::Wrong { line, column, .. }) => assert!(line > 0 && column > 0, "{head}"),
            other => panic!("{head}: {other:?}"),
        }
    }
}
