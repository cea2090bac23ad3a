//! `/events`: everything that happens, as it becomes durable, from any earlier event on.
//!
//! A follower first gets what is in the log after the number it names, then what comes. One that is too slow reads from the
//! log again, so that nothing is lost and nothing is kept for it. There are only so many places; who gets none is told
//! when to come again.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event as SseEvent, KeepAlive, Sse},
    },
};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;

use crate::{
    interfaces::http::{error::ApiError, extract::ApiQuery, state::HttpState},
    ports::board::{EventFeed, FeedUpdate, SequencedEvent, ServiceBackend},
};

use super::wire::time;

/// How many events are read from the log at once.
const BATCH: usize = 256;

/// From where on.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct EventQuery {
    /// After this event; the header `Last-Event-ID` goes first. Left out = from now on.
    after: Option<u64>,
}

/// Where a follower is.
struct Follower {
    board: Arc<dyn ServiceBackend>,
    feed: Box<dyn EventFeed>,
    /// The last event it was told.
    last: u64,
    /// What was read and not told yet, last one first.
    ready: Vec<SequencedEvent>,
    /// There may be more in the log.
    behind: bool,
    /// What is said before the first event.
    hello: Option<SseEvent>,
    _place: OwnedSemaphorePermit,
}

/// Follows events: `id` is the number, `data` is JSON with `seq`, `at`, `type` and what belongs to that type.
#[utoipa::path(get, path = "/events", tag = "events",
    params(EventQuery, ("Last-Event-ID" = Option<u64>, Header, description = "the last event that was received")),
    responses((status = 200, body = String, content_type = "text/event-stream")))]
pub(super) async fn follow(
    State(service): State<HttpState>,
    headers: HeaderMap,
    ApiQuery(query): ApiQuery<EventQuery>,
) -> Result<Response, ApiError> {
    let given = match headers.get("last-event-id") {
        None => query.after,
        Some(value) => Some(
            value
                .to_str()
                .ok()
                .and_then(|value| value.trim().parse().ok())
                .ok_or_else(|| ApiError::invalid("`Last-Event-ID` is no number of an event"))?,
        ),
    };
    let place = Arc::clone(&service.followers)
        .try_acquire_owned()
        .map_err(|_| {
            ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_followers",
                format!(
                    "{} clients follow events already",
                    service.options.followers
                ),
                "close one, or try again later",
            )
            .retry_after(10)
        })?;
    // Subscribed before the log is looked at: what comes in between is seen twice and told once.
    let feed = service.board().subscribe();
    let newest = service.board().last_event();
    let reset = || Some(SseEvent::default().event("reset").data("{}"));
    // What was before a cleanup is in its archive; the cleanup itself is the first event.
    let first = service.snapshot().globals().cleaned.saturating_sub(1);
    let (last, hello) = match given {
        None => (newest, None),
        Some(after) if after > newest => (newest, reset()),
        Some(after) if after < first => (first, reset()),
        Some(after) => (after, None),
    };
    let follower = Follower {
        board: Arc::clone(service.board()),
        feed,
        last,
        ready: Vec::new(),
        behind: true,
        hello,
        _place: place,
    };
    let alive = KeepAlive::new()
        .interval(Duration::from_secs(15))
        .text("alive");
    let events = stream::unfold(follower, next);
    let mut response = Sse::new(events).keep_alive(alive).into_response();
    response.headers_mut().insert(
        "x-accel-buffering",
        axum::http::HeaderValue::from_static("no"),
    );
    Ok(response)
}

async fn next(mut follower: Follower) -> Option<(Result<SseEvent, Infallible>, Follower)> {
    if let Some(hello) = follower.hello.take() {
        return Some((Ok(hello), follower));
    }
    loop {
        if let Some(notice) = follower.ready.pop() {
            if notice.seq <= follower.last {
                continue;
            }
            follower.last = notice.seq;
            return Some((Ok(written(&notice)), follower));
        }
        if follower.behind {
            let read = follower.board.events_after(follower.last, BATCH).await;
            let mut batch = match read {
                Ok(batch) => batch,
                Err(error) => {
                    tracing::warn!("events cannot be read: {error}");
                    return None;
                }
            };
            follower.behind = batch.len() == BATCH;
            batch.reverse();
            follower.ready = batch;
            continue;
        }
        match follower.feed.next().await {
            FeedUpdate::Event(notice) if notice.seq == follower.last + 1 => {
                follower.ready.push(*notice);
            }
            FeedUpdate::Event(notice) => follower.behind = notice.seq > follower.last,
            FeedUpdate::Missed => follower.behind = true,
            FeedUpdate::End => return None,
        }
    }
}

fn written(notice: &SequencedEvent) -> SseEvent {
    let mut data = serde_json::json!({
        "seq": notice.seq,
        "at": time(notice.event.at),
        "type": notice.event.name(),
    });
    if let (Some(data), Ok(serde_json::Value::Object(what))) = (
        data.as_object_mut(),
        serde_json::to_value(&notice.event.what),
    ) {
        for (name, value) in what {
            data.entry(name).or_insert(value);
        }
    }
    SseEvent::default()
        .id(notice.seq.to_string())
        .data(data.to_string())
}
