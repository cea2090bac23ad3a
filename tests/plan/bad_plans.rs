//! Plans that are wrong: exit code 2, a place, a remedy, never a panic, and nothing on disk.

use proptest::prelude::*;

use crate::place::Place;

/// Returns what is said about a plan that must be refused.
fn refused(plan: impl AsRef<[u8]>) -> String {
    let place = Place::new();
    place.write("plan.yaml", plan);
    let seen = place.tos(&["run", "plan.yaml"]);
    assert_eq!(seen.code, 2, "{}\n{}", seen.out, seen.err);
    assert!(!seen.err.contains("panicked"), "{}", seen.err);
    assert!(!place.path().join(".tos").exists());
    seen.err
}

fn task(fields: &str) -> String {
    format!("tasks:\n- id: a\n  cmd: x\n  {fields}\n")
}

#[test]
fn every_rule_names_its_place() {
    let long = format!("tasks:\n- id: {}\n  cmd: x\n", "a".repeat(129));
    let table: &[(&str, &str)] = &[
        ("", "plan.yaml:1:1: the plan must be a mapping"),
        ("[]", "plan.yaml:1:1: the plan must be a mapping"),
        ("goal: x\n", "plan.yaml:1:1: the plan has no tasks"),
        ("tasks: []\n", "plan.yaml:1:1: the plan has no tasks"),
        ("tasks: {}\n", "`tasks` must be a list"),
        ("task: []\n", "did you mean `tasks`?"),
        ("tasks:\n- id: a\n  comand: [ls]\n", "did you mean `cmd`?"),
        (
            "goal: ' '\ntasks: [{id: a, cmd: x}]\n",
            "plan.yaml:1:7: field `goal`",
        ),
        ("tasks:\n- cmd: x\n", "plan.yaml:2:3: task 1 has no `id`"),
        ("tasks:\n- id: on\n  cmd: x\n", "found the boolean `on`"),
        ("tasks:\n- id: 010\n  cmd: x\n", "found the number `010`"),
        (
            "tasks:\n- id: -a\n  cmd: x\n",
            "must begin with a letter or digit",
        ),
        (&long, "at most 128 characters"),
        ("tasks:\n- id: a\n", "plan.yaml:2:3: task `a` has no `cmd`"),
        ("tasks:\n- id: a\n  cmd: []\n", "must not be empty"),
        ("tasks:\n- id: a\n  cmd: ''\n", "must not be empty"),
        ("tasks:\n- id: a\n  cmd: \"echo 'x\"\n", "never closed"),
        (
            "tasks:\n- id: a\n  cmd: [1]\n",
            "plan.yaml:3:9: field `cmd` of task `a` must be text, found the number `1`",
        ),
        (
            "tasks:\n- id: a\n  cmd: x\n  shell: y\n",
            "has both `cmd` and `shell`",
        ),
        (
            "tasks:\n- {id: a, cmd: x}\n- {id: a, cmd: x}\n",
            "used twice, first in line 2",
        ),
        (
            "tasks:\n- {id: a, cmd: x}\n- {id: A, cmd: x}\n",
            "differ only in upper and lower case",
        ),
        (
            "tasks:\n- {id: a, cmd: x, depends_on: [a]}\n",
            "depends on itself",
        ),
        (
            "tasks:\n- {id: abc, cmd: x}\n- {id: b, cmd: x, depends_on: [abd]}\n",
            "did you mean `abc`?",
        ),
        (
            "tasks:\n- {id: a, cmd: x}\n- {id: b, cmd: x, depends_on: [a, a]}\n",
            "twice",
        ),
        (
            "tasks:\n- {id: a, cmd: x, depends_on: [c]}\n- {id: b, cmd: x, depends_on: [a]}\n- {id: c, cmd: x, depends_on: [b]}\n",
            "in a circle: a -> c -> b -> a",
        ),
        (
            "tasks:\n- id: a\n  id: b\n  cmd: x\n",
            "plan.yaml:3:3: the key `id` is given twice, first in line 2",
        ),
        (
            "tasks: [{id: a, cmd: x}]\n---\ntasks: []\n",
            "a second one begins",
        ),
        (
            "tasks: [{id: a, cmd: !!python/object x}]\n",
            "means nothing in a plan",
        ),
        ("tasks: [{id: a, cmd: !own x}]\n", "means nothing in a plan"),
        ("tasks: &a [*a]\n", "alias"),
        ("tasks: [\n", "this is not YAML"),
        ("on: x\ntasks: []\n", "put the key in quotes"),
    ];
    for (plan, wanted) in table {
        let said = refused(plan);
        assert!(
            said.contains(wanted),
            "{plan:?}\nwanted {wanted:?} in\n{said}"
        );
    }
}

#[test]
fn every_field_of_a_task_is_checked() {
    let table = [
        ("retrys: 1", "did you mean `retries`?"),
        ("retries: -1", "must be an integer of at least 0"),
        ("retries: yes", "found the boolean `yes`"),
        ("retries: 1.5", "must be an integer"),
        ("retries: null", "must be an integer"),
        ("timeout_sec: 0", "must be a finite number above 0"),
        ("timeout_sec: 5m", "write 300"),
        ("timeout_sec: .inf", "must be a finite number above 0"),
        ("timeout_sec: .nan", "must be a finite number above 0"),
        ("timeout_sec: 1e3", "without an exponent"),
        ("timeout_sec: true", "must be a finite number above 0"),
        (
            "timeout_sec: 99999999999999999999999999999999",
            "must be a finite number above 0",
        ),
        (
            "retry_backoff_sec: [1]",
            "must not be longer than `retries`",
        ),
        ("retry_backoff_sec: null", "must be a list"),
        ("depends_on: x", "must be a list"),
        ("outputs: [a, A]", "names `A` twice"),
        ("cwd: ''", "must not be blank"),
        ("env: {'A=B': x}", "has `=` in it"),
        ("env: {A: 1}", "must be text"),
        ("when: sometimes", "unknown word `sometimes`"),
        ("when: 'failed(\"b\")'", "on which it does not depend"),
        ("resources: [gpu]", "which the plan does not have"),
        ("priority: high", "must be an integer"),
        ("allow_failure: 1", "must be true or false"),
        ("cache: {input: []}", "did you mean `inputs`?"),
        ("env_policy: some", "must be `inherit` or `minimal`"),
        ("matrix: {a: []}", "at least one value"),
        ("stdin: {path: x}", "unknown field `path`"),
    ];
    for (fields, wanted) in table {
        let said = refused(task(fields));
        assert!(
            said.contains("plan.yaml:4:") || said.contains("plan.yaml:2:"),
            "{fields}: {said}"
        );
        assert!(
            said.contains(wanted),
            "{fields}\nwanted {wanted:?} in\n{said}"
        );
    }
}

#[test]
fn huge_deep_and_binary_files_are_refused_quickly() {
    assert!(refused("tasks: ".to_owned() + &"[".repeat(100_000)).contains("plan.yaml:1:"));
    assert!(refused("a: ".to_owned() + &"{a: ".repeat(5_000)).contains("plan.yaml:1:"));
    let deep: String = (0..70)
        .map(|level| format!("{}a:\n", " ".repeat(level)))
        .collect();
    assert!(refused(deep).contains("nested more than 64 levels deep"));
    assert!(refused("- ".repeat(20_000)).contains("plan.yaml:1:"));
    assert!(refused([0xff, 0xfe, 0x00, 0x01]).contains("plan.yaml:1:1: this is not UTF-8"));
    assert!(refused(b"tasks:\n- id: \"a\0b\"\n").contains("plan.yaml:2:"));
    assert!(refused("x".repeat(50 * 1024 * 1024)).contains("the limit is"));
    let laughs: String = (1..12)
        .map(|level| {
            format!(
                "a{level}: &a{level} [{}]\n",
                vec![format!("*a{}", level - 1); 10].join(", ")
            )
        })
        .collect();
    assert!(refused(format!("a0: &a0 x\n{laughs}")).contains("use fewer aliases"));
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting() {
    let place = Place::new();
    let pipe = place.path().join("pipe.yaml");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    std::fs::create_dir(place.path().join("directory.yaml")).unwrap();
    place.write("real/plan.yaml", "tasks:\n- {id: a, cmd: 'true'}\n");
    std::os::unix::fs::symlink("real/plan.yaml", place.path().join("link.yaml")).unwrap();
    std::os::unix::fs::symlink("real", place.path().join("folder")).unwrap();
    for name in [
        "pipe.yaml",
        "directory.yaml",
        "link.yaml",
        "folder/plan.yaml",
        "missing.yaml",
    ] {
        assert_eq!(place.tos(&["validate", name]).code, 2, "{name}");
    }
    assert_eq!(place.tos(&["validate", "real/plan.yaml"]).code, 0);
}

#[test]
fn old_peculiarities_of_yaml_still_hold() {
    let place = Place::with("\u{feff}base: &base\r\n");
    assert_eq!(place.tos(&["validate", "plan.yaml"]).code, 2);
    place.write(
        "plan.yaml",
        "\u{feff}defaults: &base {timeout_sec: 1:30, retries: 010}\r\ntasks:\r\n- {id: a, cmd: x, <<: *base, retries: 0x2}\r\n- {id: b, cmd: !!str 5, timeout_sec: 1_000}\r\n",
    );
    let seen = place.tos(&["run", "plan.yaml"]);
    assert_eq!(seen.code, 3, "{}", seen.err);
    let state = place.state("latest");
    let fact = |id: &str, key: &str| state["tasks"][id][key].as_f64();
    assert_eq!(
        (fact("a", "timeout_sec"), fact("a", "retries")),
        (Some(90.0), Some(2.0))
    );
    assert_eq!(
        (fact("b", "timeout_sec"), fact("b", "retries")),
        (Some(1000.0), Some(8.0))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_file_makes_the_loader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let place = Place::new();
        place.write("plan.yaml", bytes);
        let seen = place.tos(&["validate", "plan.yaml"]);
        prop_assert!(seen.code == 2 || seen.code == 0, "{}", seen.err);
    }

    #[test]
    fn no_yaml_like_text_makes_the_loader_panic(text in "(tasks|id|cmd|- |: |\\[|\\]|\\{|\\}|&a |\\*a|<<|\"|'|\n| |!!str |x|1|,|#|\\||>){0,60}") {
        let place = Place::with(&text);
        let seen = place.tos(&["validate", "plan.yaml"]);
        prop_assert!(seen.code == 2 || seen.code == 0, "{}", seen.err);
    }
}
