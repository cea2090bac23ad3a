//! What travels comes back as it was, and who may take it.

use super::*;

fn order() -> WorkOrder {
    let list = serde_json::json!({ "schema": 1, "id": "board", "agent": { "kind": "claude" }, "task": [] });
    WorkOrder {
        protocol: PROTOCOL,
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

fn card() -> WorkerCard {
    WorkerCard {
        name: "w".to_owned(),
        protocol: PROTOCOL,
        roles: vec![Role::Worker],
        slots: 1,
        ..WorkerCard::default()
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
    assert_eq!(refusal(&card(), &order()), None);
    let cases = [
        (
            WorkerCard {
                protocol: PROTOCOL + 1,
                ..card()
            },
            "form",
        ),
        (
            WorkerCard {
                draining: true,
                ..card()
            },
            "nothing new",
        ),
        (
            WorkerCard {
                roles: vec![Role::Tester],
                ..card()
            },
            "no worker",
        ),
    ];
    for (card, word) in cases {
        assert!(refusal(&card, &order()).unwrap().contains(word), "{word}");
    }
}
