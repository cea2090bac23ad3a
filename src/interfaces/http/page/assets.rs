//! The style sheet and the script, as files: nothing that is written into a page is trusted to run.

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::interfaces::{
    http::api::answer::{etag, matches_etag},
    report::page::STYLE,
};

const SCRIPT: &str = include_str!("page.js");

static SHEET: LazyLock<String> = LazyLock::new(|| format!("{STYLE}{}", include_str!("page.css")));

/// The style sheet.
pub(super) async fn style(headers: HeaderMap) -> Response {
    file(&headers, "text/css; charset=utf-8", &SHEET)
}

/// The script.
pub(super) async fn script(headers: HeaderMap) -> Response {
    file(&headers, "text/javascript; charset=utf-8", SCRIPT)
}

fn file(headers: &HeaderMap, kind: &'static str, text: &'static str) -> Response {
    let tag = etag(text.as_bytes());
    let is_known = matches_etag(headers, &tag);
    let head = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::CONTENT_TYPE, kind.to_owned()),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, text).into_response()
}
