//! Answers with an `ETag`, pages of long lists, and the words for what the board answered.

use axum::{
    Json,
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    domain::{board::BoardResponse, ledger::chain::sha256},
    interfaces::http::error::ApiError,
};

/// How many things a page of a list has at most.
const MOST: usize = 500;

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct PageQuery {
    /// How many, up to 500; 100 when it is not said.
    pub(super) limit: Option<usize>,
    /// `nextCursor` of the page before.
    pub(super) cursor: Option<String>,
}

impl PageQuery {
    /// Takes a page from things with falling numbers; returns the cursor of the next page too.
    pub(super) fn paginate<T>(
        &self,
        all: impl Iterator<Item = T>,
        number: impl Fn(&T) -> u64,
    ) -> Result<(Vec<T>, Option<String>), ApiError> {
        let before = match self.cursor.as_deref() {
            None => u64::MAX,
            Some(cursor) => cursor
                .strip_prefix('b')
                .and_then(|number| number.parse().ok())
                .ok_or_else(|| {
                    ApiError::invalid("`cursor` is none that tos gave")
                        .hint("take `nextCursor` of the page before")
                })?,
        };
        let limit = self.limit.unwrap_or(100);
        if !(1..=MOST).contains(&limit) {
            return Err(ApiError::invalid(format!(
                "`limit` is {limit}; it goes from 1 to {MOST}"
            )));
        }
        let mut rest = all.filter(|thing| number(thing) < before);
        let page: Vec<T> = rest.by_ref().take(limit).collect();
        let next = rest
            .next()
            .and(page.last())
            .map(|last| format!("b{}", number(last)));
        Ok((page, next))
    }
}

/// Returns the tag of what is answered, for `ETag`.
pub(in crate::interfaces::http) fn etag(bytes: &[u8]) -> String {
    let mut tag = sha256(bytes);
    tag.truncate(32);
    format!("\"{tag}\"")
}

/// Says whether the client names this tag as one that it has; weak and strong ones are compared alike.
pub(in crate::interfaces::http) fn matches_etag(headers: &HeaderMap, tag: &str) -> bool {
    let plain = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let named = headers.get_all(header::IF_NONE_MATCH).iter();
    named
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|value| value == "*" || plain(value) == plain(tag))
}

/// Answers with a body and its `ETag`, or that the client has it already.
pub(super) fn etag_response(headers: &HeaderMap, body: &impl Serialize) -> Response {
    let Ok(bytes) = serde_json::to_vec(body) else {
        return ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the answer could not be written",
            "",
        )
        .into_response();
    };
    let tag = format!("W/{}", etag(&bytes));
    let mut response = if matches_etag(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Response::new(Body::from(bytes));
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        response
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// That something is done.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DoneView {
    /// It is.
    ok: bool,
    /// That it was so before, in one line.
    message: Option<String>,
    /// Processes that have to be started again for it to count, in order.
    restart: Vec<String>,
    /// The plan that was begun.
    plan: Option<u64>,
}

impl DoneView {
    pub(super) const fn new() -> Self {
        Self {
            ok: true,
            message: None,
            restart: Vec::new(),
            plan: None,
        }
    }

    pub(super) fn restarting(restart: Vec<String>) -> Self {
        Self {
            restart,
            ..Self::new()
        }
    }
}

/// Says what the board answered.
pub(super) fn done(answer: BoardResponse) -> Json<DoneView> {
    let mut view = DoneView::new();
    match answer {
        BoardResponse::Already { detail } => view.message = Some(detail),
        BoardResponse::Restart { processes } => {
            view.restart = processes.iter().map(ToString::to_string).collect();
        }
        BoardResponse::Plan { plan } => view.plan = Some(plan.0),
        BoardResponse::Done
        | BoardResponse::Task { .. }
        | BoardResponse::Process { .. }
        | BoardResponse::Approval { .. }
        | BoardResponse::Session { .. }
        | BoardResponse::Run { .. }
        | BoardResponse::Stopped(_)
        | BoardResponse::Cleaned(_) => {}
    }
    Json(view)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let mut query = PageQuery {
            limit: Some(3),
            cursor: None,
        };
        let mut seen = Vec::new();
        loop {
            let (page, next) = query.paginate((1..=7_u64).rev(), |number| *number).unwrap();
            seen.extend(page);
            let Some(next) = next else { break };
            query.cursor = Some(next);
        }
        assert_eq!(seen, (1..=7).rev().collect::<Vec<_>>());
        for wrong in ["", "7", "b", "bx", "b-1"] {
            query.cursor = Some(wrong.into());
            assert!(
                query.paginate((1..=7_u64).rev(), |n| *n).is_err(),
                "{wrong}"
            );
        }
        for limit in [0, MOST + 1] {
            let query = PageQuery {
                limit: Some(limit),
                cursor: None,
            };
            assert!(
                query.paginate((1..=7_u64).rev(), |n| *n).is_err(),
                "{limit}"
            );
        }
    }
}
