//! Signing in with a one-time code or the token, signing out, and errors as people see them.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;

use crate::interfaces::{
    http::{
        api::sign_in::fresh_secret,
        error::ApiError,
        extract::{ApiForm, ApiQuery},
        security::{
            credentials::SESSION_LIFE,
            guard::{rate_limited, session_cookie},
        },
        state::HttpState,
    },
    report::page::text,
};

use super::{frame::page, view::PageContext};

/// A code in the address, or in the form.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SignInCode {
    code: String,
}

/// Signs in with the code of the address; without one, asks for it.
pub(super) async fn show(
    State(service): State<HttpState>,
    view: PageContext,
    ApiQuery(query): ApiQuery<SignInCode>,
) -> Result<Response, ApiError> {
    if query.code.is_empty() {
        let body = form(&view, None);
        return Ok(Html(page(&view, None, view.t("Sign in"), &body)).into_response());
    }
    sign_in(&service, &view, &query.code)
}

/// Signs in with the code of the form.
pub(super) async fn enter(
    State(service): State<HttpState>,
    view: PageContext,
    ApiForm(given): ApiForm<SignInCode>,
) -> Result<Response, ApiError> {
    sign_in(&service, &view, &given.code)
}

fn sign_in(service: &HttpState, view: &PageContext, code: &str) -> Result<Response, ApiError> {
    let now = service.now();
    // Only what is wrong uses the bucket up, and an empty one lets nobody guess on.
    service.strangers.peek(now).map_err(rate_limited)?;
    let good = service.credentials.use_code(code, now) || service.credentials.is_token(code.trim());
    if !good {
        service.strangers.take(now).map_err(rate_limited)?;
        let wrong = view.t("This code is wrong, used or too old. `tos open` makes a new one.");
        let body = form(view, Some(wrong));
        let page = page(view, None, view.t("Sign in"), &body);
        return Ok((StatusCode::UNAUTHORIZED, Html(page)).into_response());
    }
    let value = service
        .credentials
        .new_session(&fresh_secret(service)?, now);
    let mut response = Html(entered()).into_response();
    set_cookie(service, response.headers_mut(), &value, SESSION_LIFE / 1000);
    Ok(response)
}

/// Leads on from a page of this origin: a cookie for this site only is not sent along a redirection from elsewhere.
fn entered() -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; meta http-equiv="refresh" content="0;url=/"; title { "tos" } link rel="icon" href="data:,"; link rel="stylesheet" href="/assets/page.css"; }
            body { main { h1 { "tos" } p { a href="/" { "Now" } } } }
        }
    };
    page.into_string()
}

fn set_cookie(service: &HttpState, headers: &mut HeaderMap, value: &str, seconds: u64) {
    let secure = if service.options.is_tls {
        "; Secure"
    } else {
        ""
    };
    let name = service.credentials.cookie();
    let cookie =
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        headers.append(header::SET_COOKIE, cookie);
    }
}

/// Signs this browser out.
pub(super) async fn sign_out(State(service): State<HttpState>, headers: HeaderMap) -> Response {
    if let Some(session) = session_cookie(&service, &headers) {
        service.credentials.end_session(session, service.now());
    }
    let mut response = Redirect::to("/sign-in").into_response();
    set_cookie(&service, response.headers_mut(), "", 0);
    response
}

fn form(view: &PageContext, wrong: Option<&str>) -> Markup {
    html! {
        @if let Some(wrong) = wrong { p class="note error" role="alert" { (wrong) } }
        p { (view.t("Run `tos open` on the machine of the service: it opens this page signed in, or shows a code for another device.")) }
        form.stack method="post" action="/sign-in" {
            label { (view.t("Code"))
                input name="code" required autocomplete="one-time-code" autocapitalize="none" spellcheck="false"; }
            div.row { button.ok { (view.t("Sign in")) } }
        }
    }
}

/// What a person sees when something is not done.
pub(in crate::interfaces::http) fn error_page(view: &PageContext, error: &ApiError) -> String {
    if error.status == StatusCode::UNAUTHORIZED {
        return page(view, None, view.t("Sign in"), &form(view, None));
    }
    let body = html! {
        p class="note error" role="alert" { (text(&error.message)) }
        @if !error.hint.is_empty() { p { (text(&error.hint)) } }
        p { a href="/" { (view.t("Now")) } }
    };
    page(view, None, view.t("This was not done"), &body)
}
