//! How a controller knows what workers say of themselves: it listens, and reads only what it did not hear.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{self, kv};
use tos::{
    adapters::nats::{NatsMember, NatsOptions},
    domain::{cluster::WorkerInfo, redaction::Redactor},
    ports::cluster::{ClusterMember as _, RunDispatcher},
};

use crate::{nats::NatsServer, place::Place};

/// Says something of a worker, as that worker would.
async fn say(cards: &kv::Store, name: &str, slots: u16) {
    let card = WorkerInfo {
        name: name.to_owned(),
        slots,
        ..WorkerInfo::default()
    };
    let body = serde_json::to_vec(&card).unwrap();
    cards.put(name, body.into()).await.unwrap();
}

async fn seen(runs: &Arc<dyn RunDispatcher>) -> Vec<(String, u16)> {
    let cards = runs.view().await.unwrap().workers.into_iter();
    cards.map(|card| (card.name, card.slots)).collect()
}

/// Looks until the workers are these.
async fn until(runs: &Arc<dyn RunDispatcher>, wanted: &[(&str, u16)]) {
    for _ in 0..500 {
        let seen = seen(runs).await;
        let seen: Vec<(&str, u16)> = seen.iter().map(|one| (one.0.as_str(), one.1)).collect();
        if seen == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{wanted:?} are not seen: {:?}", seen(runs).await);
}

#[test]
fn a_controller_hears_what_workers_say_and_does_not_ask_each_of_them_again() {
    let server = NatsServer::start();
    let place = Place::new("");
    let login = NatsOptions {
        url: server.url.clone(),
        name: "controller".to_owned(),
        lease: Duration::from_secs(30),
        ..NatsOptions::default()
    };
    let database = place.top.join(".tos/board.sqlite");
    let member = NatsMember::connect(&login, "test", &place.top, &database, Redactor::new([]));
    let member = member.unwrap();
    let runs = member.runs().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    runtime.block_on(async {
        let client = async_nats::connect(&server.url).await.unwrap();
        let asked = "$JS.API.DIRECT.GET.KV_TOS_test_WORKERS.>";
        let mut asked = client.subscribe(asked).await.unwrap();
        let mut single = || {
            let readings = std::iter::from_fn(|| {
                futures_util::FutureExt::now_or_never(futures_util::StreamExt::next(&mut asked))
            });
            readings.count()
        };
        let cards = jetstream::new(client.clone());
        let cards = cards.get_key_value("TOS_test_WORKERS").await.unwrap();
        say(&cards, "desk", 1).await;
        say(&cards, "lap", 2).await;
        until(&runs, &[("desk", 1), ("lap", 2)]).await;
        // What was said before anybody listened is read; from here on it is heard.
        say(&cards, "desk", 3).await;
        until(&runs, &[("desk", 3), ("lap", 2)]).await;
        let before = single();
        assert!(before <= 4, "{before}");
        for slots in 4..20 {
            say(&cards, "desk", slots).await;
            until(&runs, &[("desk", slots), ("lap", 2)]).await;
        }
        assert_eq!(single(), 0);
        // One that has gone is not seen any more, although it was heard a moment ago.
        cards.purge("lap").await.unwrap();
        until(&runs, &[("desk", 19)]).await;
    });
}
