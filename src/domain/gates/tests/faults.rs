//! What is wrong in a gate file, and that each fault is named by itself.

use super::*;

/// Changes the shipped file, and says what has to be found wrong with it.
type Case = (fn(&mut GateConfig), &'static [&'static str]);

fn require<'a>(gates: &'a mut GateConfig, id: &str) -> &'a mut Requirement {
    let mut all = gates.gate.iter_mut().flat_map(|gate| &mut gate.require);
    all.find(|require| require.id == id).unwrap()
}

fn phase<'a>(gates: &'a mut GateConfig, name: &str) -> &'a mut Phase {
    gates.phase.get_mut(name).unwrap()
}

fn check(cases: &[Case]) {
    for (number, (change, wanted)) in cases.iter().enumerate() {
        let mut gates = gates();
        change(&mut gates);
        assert_eq!(gates.validation_errors(), *wanted, "case {number}");
    }
}

#[test]
fn the_shipped_file_has_no_fault() {
    check(&[(|_| (), &[])]);
}

#[test]
fn what_holds_for_the_whole_file_is_checked() {
    check(&[
        (
            |gates| gates.schema = 2,
            &["`schema` is 2; this tos knows 1"],
        ),
        (
            |gates| gates.promote.mode = "auto".into(),
            &["`promote.mode` must be \"confirm\": only a person promotes"],
        ),
        (
            |gates| gates.night.window = "always".into(),
            &["`night.window` is \"always\"; write it like \"20:00-08:00\""],
        ),
        (
            |gates| gates.track[0].phases.clear(),
            &["track `stage` has no phases"],
        ),
        (
            |gates| gates.track[0].phases.push("S-9".into()),
            &["track `stage` names the unknown phase `S-9`"],
        ),
    ]);
}

#[test]
fn a_phase_inherits_from_one_that_inherits_nothing_and_has_readable_values() {
    check(&[
        (
            |gates| phase(gates, "done").inherits = Some("4".into()),
            &["phase `done` inherits from `4`, which must exist and inherit nothing"],
        ),
        (
            |gates| phase(gates, "3").inherits = Some("2b".into()),
            &["phase `done` inherits from `3`, which must exist and inherit nothing"],
        ),
        (
            |gates| phase(gates, "2a").max_session = "soon".into(),
            &["`phase.2a.max_session` is \"soon\"; write it like \"45m\" or \"2h\""],
        ),
        (|gates| phase(gates, "2a").max_session = String::new(), &[]),
        (
            |gates| phase(gates, "2a").skip = "sometimes".into(),
            &["`phase.2a.skip` must be \"never\" or \"dag\""],
        ),
        (|gates| phase(gates, "2a").skip = String::new(), &[]),
    ]);
}

#[test]
fn a_gate_joins_phases_that_exist_and_asks_for_something() {
    check(&[
        (
            |gates| gates.gate[3].to = "4".into(),
            &[
                "gate 3 -> 4: there is no phase `4`",
                "track `autonomy` names the unknown phase `4`",
            ],
        ),
        (
            |gates| gates.gate[0].require.clear(),
            &["gate 1 -> 2a: a gate without a criterion is no gate"],
        ),
    ]);
}

#[test]
fn every_metric_names_the_value_it_lacks() {
    const LACKS_KIND: &[&str] = &[
        "gate 2a -> 2b, criterion `retry-seen`: `kind` must be \"retry.success\" or \"checkpoint\"",
    ];
    check(&[
        (
            |gates| require(gates, "failure-drills").names.clear(),
            &["gate 1 -> 2a, criterion `failure-drills`: it needs `names`"],
        ),
        (
            |gates| require(gates, "run-summary").names.clear(),
            &["gate S-4 -> S-5, criterion `run-summary`: it needs `names`"],
        ),
        (
            |gates| require(gates, "runbook-understood").names.clear(),
            &["gate S-5 -> S-6, criterion `runbook-understood`: it needs `names`"],
        ),
        (
            |gates| require(gates, "isolation-verdict").subject = None,
            &["gate 2a -> 2b, criterion `isolation-verdict`: it needs `subject`"],
        ),
        (|gates| require(gates, "retry-seen").kind = None, LACKS_KIND),
        (
            // What could be gathered by failing is no evidence.
            |gates| require(gates, "retry-seen").kind = Some("retry.failed".into()),
            LACKS_KIND,
        ),
        (
            |gates| require(gates, "retry-seen").kind = Some("checkpoint".into()),
            &[],
        ),
    ]);
}

#[test]
fn what_is_counted_has_bounds_that_can_be_reached_and_missed() {
    const LACKS_RATE: &[&str] =
        &["gate 3 -> done, criterion `last-20-rate`: it needs `last` and a `need` of at most 1"];
    const LACKS_ACTIVE: &[&str] =
        &["gate 2a -> 2b, criterion `unattended-1h`: it needs `min_active`, e.g. \"45m\""];
    check(&[
        (|gates| require(gates, "last-20-rate").last = 0, LACKS_RATE),
        (
            |gates| require(gates, "last-20-rate").need = 1.1,
            LACKS_RATE,
        ),
        (|gates| require(gates, "last-20-rate").need = 1.0, &[]),
        (
            |gates| require(gates, "successes").only.outcome = None,
            &["gate 1 -> 2a, criterion `successes`: it needs `where = { outcome = \"success\" }`"],
        ),
        (
            |gates| require(gates, "kinds").only.outcome = Some("failed".into()),
            &["gate 1 -> 2a, criterion `kinds`: it needs `where = { outcome = \"success\" }`"],
        ),
        (
            |gates| require(gates, "successes").metric = Metric::SessionsDirty,
            &["gate 1 -> 2a, criterion `successes`: this metric can only lead back"],
        ),
        (
            |gates| require(gates, "unattended-1h").min_active = None,
            LACKS_ACTIVE,
        ),
        (
            |gates| require(gates, "unattended-1h").min_active = Some("long".into()),
            LACKS_ACTIVE,
        ),
        (
            |gates| require(gates, "three-nights").min_tasks = 0,
            &["gate 3 -> done, criterion `three-nights`: it needs `min_tasks`"],
        ),
        (
            |gates| require(gates, "unattended-1h").clean.push("noise".into()),
            &["gate 2a -> 2b, criterion `unattended-1h`: `clean` names an unknown counter"],
        ),
        (
            |gates| require(gates, "kinds").need = 0.0,
            &["gate 1 -> 2a, criterion `kinds`: `need` must be above 0"],
        ),
    ]);
}

#[test]
fn a_demotion_leads_somewhere_and_has_every_value_of_its_metric() {
    const TO_1: &[&str] = &["a demotion to `1` lacks a value its metric needs (docs/gates.md)"];
    const BACK: &[&str] =
        &["a demotion to `previous` lacks a value its metric needs (docs/gates.md)"];
    check(&[
        (
            |gates| gates.demote[0].to = "4".into(),
            &["demotion leads to the unknown phase `4`"],
        ),
        (|gates| gates.demote[0].kind = None, TO_1),
        (|gates| gates.demote[0].at_least = None, TO_1),
        (|gates| gates.demote[0].at_least = Some(0), TO_1),
        (|gates| gates.demote[0].at_least = Some(2), &[]),
        (|gates| gates.demote[0].metric = Metric::TasksCount, TO_1),
        (|gates| gates.demote[3].kind = None, BACK),
        (|gates| gates.demote[3].kind = Some("noise".into()), BACK),
        (|gates| gates.demote[3].at_least = None, BACK),
        (|gates| gates.demote[3].at_least = Some(0), BACK),
        (|gates| gates.demote[3].at_least = Some(1), &[]),
        (|gates| gates.demote[3].last_sessions = 0, BACK),
        (|gates| gates.demote[3].last_sessions = 1, &[]),
        (|gates| gates.demote[5].below = None, BACK),
        (|gates| gates.demote[5].last = 0, BACK),
        (|gates| gates.demote[5].last = 1, &[]),
    ]);
}

#[test]
fn durations_are_read_and_written_as_people_say_them() {
    for (seconds, text) in [
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (90, "90s"),
        (3600, "1h"),
        (3660, "61m"),
        (5400, "90m"),
        (7200, "2h"),
    ] {
        assert_eq!(duration_text(seconds), text);
        assert_eq!(parse_duration_sec(text), Some(seconds), "{text}");
    }
}
