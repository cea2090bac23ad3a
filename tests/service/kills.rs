//! The service is killed again and again while tasks come in: whatever was acknowledged is there afterwards.
//!
//! `TOS_KILLS=200 cargo test --test service kills` kills more often.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::place::{Place, Service};

#[test]
fn kills_lose_nothing_that_was_acknowledged() {
    let kills: u64 = std::env::var("TOS_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5);
    let place = Place::new("");
    let mut acknowledged = BTreeSet::new();
    for round in 0..kills {
        let mut service = Service::start(&place);
        let board = service.ask("GET", "/tasks", &Value::Null);
        let there: BTreeSet<u64> = ids(&board).collect();
        assert!(
            acknowledged.is_subset(&there),
            "round {round}: {acknowledged:?} {there:?}"
        );
        // The kill falls after a few answers, in the middle of whatever the service does then.
        for number in 0..=round % 7 {
            let key = format!("{round}-{number}");
            acknowledged.insert(service.add(json!({ "title": "a note", "key": key })));
        }
        service.kill();
    }
    let service = Service::start(&place);
    let first = *acknowledged.first().unwrap();
    service.until(first, "done");
    drop(service);
    let events = place.tos(&["board", "export"]);
    let mut fences = BTreeMap::new();
    for line in events.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let what = &event["what"];
        if what["type"] == "run.started" {
            let fence = what["fence"].as_u64().unwrap();
            let old = fences.insert(fence, what["task"].as_u64());
            assert_eq!(old, None, "one number, two runs");
        }
    }
    assert!(
        place
            .tos(&["board", "rebuild"])
            .contains("everything is what the events say")
    );
}

fn ids(answer: &Value) -> impl Iterator<Item = u64> {
    answer["tasks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|task| task["id"].as_u64())
}
