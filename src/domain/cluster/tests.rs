//! What travels comes back as it was, and who may take it.

use super::*;

fn order() -> WorkOrder {
    let list = serde_json::json!({ "schema": 1, "id": "board", "agent": { "kind": "claude" }, "task": [] });
    WorkOrder {
        protocol: PROTOCOL_VERSION,
        instance: "i".to_owned(),
        run: RunId(3),
        fence: Fence(7),
        agent: "worker-1".to_owned(),
        task: crate::domain::board::Task {
            id: crate::domain::board::TaskId(2),
            ..task()
        },
        base: "b".to_owned(),
        inside: None,
        list: serde_json::from_value(list).unwrap(),
        agents: BTreeMap::new(),
        test_command: vec!["true".to_owned()],
        start: SessionStart::default(),
    }
}

fn task() -> Task {
    let mut board = crate::domain::board::Board::default();
    let spec = crate::domain::board::TaskSpec {
        title: "one".to_owned(),
        ..crate::domain::board::TaskSpec::default()
    };
    let input = crate::domain::board::Input::CreateTask {
        spec: Box::new(spec),
    };
    let decision = board.handle(&input, 1).unwrap();
    decision.events.iter().for_each(|event| board.apply(event));
    board.tasks().next().unwrap().clone()
}

fn card() -> WorkerInfo {
    WorkerInfo {
        name: "w".to_owned(),
        protocol: PROTOCOL_VERSION,
        roles: vec![AgentRole::Worker],
        slots: 1,
        ..WorkerInfo::default()
    }
}

#[test]
fn an_order_comes_back_as_it_was_sent() {
    let order = order();
    let text = serde_json::to_string(&order).unwrap();
    assert_eq!(serde_json::from_str::<WorkOrder>(&text).unwrap(), order);
    assert_eq!(order.id(), "task-2.run-3.7");
}

#[test]
fn a_worker_takes_only_what_it_can_do() {
    assert_eq!(ineligible_reason(&card(), &order()), None);
    let cases = [
        (
            WorkerInfo {
                protocol: PROTOCOL_VERSION + 1,
                ..card()
            },
            "form",
        ),
        (
            WorkerInfo {
                draining: true,
                ..card()
            },
            "nothing new",
        ),
        (
            WorkerInfo {
                roles: vec![AgentRole::Tester],
                ..card()
            },
            "no worker",
        ),
    ];
    for (card, word) in cases {
        assert!(
            ineligible_reason(&card, &order()).unwrap().contains(word),
            "{word}"
        );
    }
}

#[test]
fn a_worker_without_a_label_takes_nothing_that_requires_it() {
    let mut order = order();
    order.task.spec.requires = vec!["gpu".to_owned()];
    assert!(
        ineligible_reason(&card(), &order)
            .unwrap()
            .contains("label gpu")
    );
    let card = WorkerInfo {
        labels: vec!["os=linux".to_owned(), "gpu".to_owned()],
        ..card()
    };
    assert_eq!(ineligible_reason(&card, &order), None);
}

#[test]
fn only_workers_that_take_work_count_as_kinds_and_slots() {
    let labelled = |label: &str| WorkerInfo {
        labels: vec![label.to_owned()],
        slots: 2,
        ..card()
    };
    let view = ClusterView {
        workers: vec![
            labelled("gpu"),
            labelled("gpu"),
            WorkerInfo {
                draining: true,
                ..labelled("arm")
            },
            WorkerInfo {
                protocol: PROTOCOL_VERSION - 1,
                ..labelled("old")
            },
        ],
        ..ClusterView::default()
    };
    let kinds = view.worker_capabilities();
    assert_eq!(kinds.len(), 1);
    assert_eq!(kinds[0].labels, ["gpu"]);
    assert_eq!(view.slots(), 4);
    assert!(
        view.workers[3]
            .unschedulable_reason()
            .unwrap()
            .contains("install")
    );
}

#[test]
fn a_lost_worker_is_shown_and_counts_for_nothing() {
    let since = chrono::DateTime::from_timestamp(100, 0)
        .unwrap()
        .fixed_offset();
    let named = |name: &str| WorkerInfo {
        name: name.to_owned(),
        slots: 2,
        busy: [1].into(),
        ..card()
    };
    let view = ClusterView {
        workers: vec![named("one"), named("two")],
        lost: [("one".to_owned(), since)].into(),
        ..ClusterView::default()
    };
    assert_eq!(view.state_of(&view.workers[0]), WorkerState::Lost(since));
    assert_eq!(view.state_of(&view.workers[1]), WorkerState::TakesWork);
    assert_eq!((view.slots(), view.running_attempts()), (2, 1));
    let ended = WorkerInfo {
        draining: true,
        ..named("one")
    };
    assert!(matches!(view.state_of(&ended), WorkerState::NoWork(_)));
}

#[test]
fn an_order_that_was_lost_is_handed_out_five_times_more_and_each_has_a_name() {
    let mut names = std::collections::BTreeSet::new();
    let mut next = Some(PlanTaskRequest::default());
    while let Some(order) = next {
        let result = PlanTaskResult::to(&order, "", RemoteExit::default());
        assert_eq!(result.key(), order.key());
        assert!(names.insert(order.key()), "{names:?}");
        next = order.again();
    }
    assert_eq!(names.len(), 6);
}

#[test]
fn a_board_tells_its_workers_what_they_have_to_know() {
    let (lane, entry) = WorkerInstructions::lane_of(&["gpu".to_owned(), "arm".to_owned()]);
    let (key, value) = entry.unwrap();
    assert_eq!(value, "arm gpu");
    assert_eq!(
        WorkerInstructions::lane_of(&["arm".to_owned(), "gpu".to_owned(), "gpu".to_owned()]).0,
        lane,
        "the order of labels does not matter"
    );
    let one = WorkerInstructions::drain_key(Some("desk"));
    let entries = [
        (key.as_str(), value.as_str()),
        (one.as_str(), ""),
        ("form", "3"),
        ("later", "x"),
    ];
    let controls = WorkerInstructions::read(entries);
    assert!(controls.drains("desk") && !controls.drains("other"));
    let labels = ["gpu".to_owned(), "arm".to_owned(), "more".to_owned()];
    assert!(controls.lanes(&labels).contains(&lane));
    assert_eq!(controls.lanes(&labels[..1]).len(), 1);
    assert!(controls.version_skew(2).unwrap().contains("newer"));
    assert!(controls.version_skew(4).unwrap().contains("older"));
    assert_eq!(controls.version_skew(3), None);
    assert_eq!(WorkerInstructions::default().version_skew(3), None);
    let all = WorkerInstructions::drain_key(None);
    let everybody = WorkerInstructions::read([(all.as_str(), "")]);
    assert!(everybody.drains("other") && everybody.drains_everybody());
}

#[test]
fn whoever_gave_something_last_is_asked_last() {
    assert_eq!(round_robin(3, 1).collect::<Vec<_>>(), [2, 0, 1]);
    assert_eq!(round_robin(1, 0).collect::<Vec<_>>(), [0]);
    assert_eq!(round_robin(0, 0).count(), 0);
}
