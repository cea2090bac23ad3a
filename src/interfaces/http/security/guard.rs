//! Before every request: name, origin, size, who, how often. After it: the headers that keep browsers from more.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::interfaces::http::{error::ApiError, extract::too_large, state::HttpState};

/// Everything a page needs comes from here, and nothing that is written into a page runs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Headers of every answer.
const HEADERS: &[(&str, &str)] = &[
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    // With `no-referrer`, browsers name no origin with the forms of the page itself.
    ("referrer-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), geolocation=(), microphone=()",
    ),
];

/// Names that lead to this machine and nowhere else.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Where GitHub tells something; what comes there is signed, or refused where it is read.
const WEBHOOK: &str = "/webhooks/github";

/// Lets a request through, or says why not.
pub(in crate::interfaces::http) async fn security_middleware(
    State(service): State<HttpState>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match admit(&service, &request) {
        Ok(()) => {
            let limit = service.options.time_limit;
            match tokio::time::timeout(limit, next.run(request)).await {
                Ok(response) => response,
                Err(_) => too_slow(limit.as_secs()).into_response(),
            }
        }
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

fn too_slow(seconds: u64) -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        "too_slow",
        format!("the request took longer than {seconds} s"),
        "send the body faster, or try again",
    )
}

fn admit(service: &HttpState, request: &Request) -> Result<(), ApiError> {
    let headers = request.headers();
    let host = check_host(service, headers, request.uri())?;
    let by_token = shown_token(headers).is_some();
    // A signature is no cookie that a browser adds by itself.
    let is_signed = request.uri().path() == WEBHOOK;
    check_origin(headers, request.method(), &host, by_token || is_signed)?;
    let length = text(headers, &header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    if length.is_some_and(|length: u64| length > service.options.body_limit as u64) {
        return Err(too_large(service.options.body_limit));
    }
    if is_open(request.method(), request.uri().path()) {
        return Ok(());
    }
    let now = service.now();
    if is_signed_in(service, headers) {
        return service.requests.take(now).map_err(rate_limited);
    }
    service.strangers.take(now).map_err(rate_limited)?;
    Err(ApiError::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        if by_token {
            "the token is wrong"
        } else {
            "this needs a token or a signed-in browser"
        },
        "`tos open` signs a browser in; programs send `Authorization: Bearer TOKEN`",
    ))
}

pub(in crate::interfaces::http) fn rate_limited(seconds: u64) -> ApiError {
    ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_often",
        "too many requests",
        format!("try again in {seconds} s; follow `/events` instead of asking again and again"),
    )
    .retry_after(seconds)
}

/// What needs no token: whether the service lives, how to sign in, how it looks, and what is signed.
fn is_open(method: &Method, path: &str) -> bool {
    match path {
        "/health" | "/health/ready" => method == Method::GET || method == Method::HEAD,
        "/sign-in" => true,
        WEBHOOK => method == Method::POST,
        _ => path.starts_with("/assets/"),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Returns the host as the client wrote it, when it is a name of this machine.
fn check_host(service: &HttpState, headers: &HeaderMap, uri: &Uri) -> Result<String, ApiError> {
    let mut given = headers.get_all(header::HOST).iter();
    let first = given.next().and_then(|value| value.to_str().ok());
    let host = uri
        .authority()
        .map(axum::http::uri::Authority::as_str)
        .or(first);
    let agrees = uri.authority().is_none() || first.is_none() || first == host;
    let allowed = |host: &&str| {
        let name = name_of(host);
        let extra = &service.options.hosts;
        LOOPBACK.contains(&name.as_str())
            || extra.iter().any(|known| known.eq_ignore_ascii_case(&name))
    };
    host.filter(allowed)
        .filter(|_| agrees && given.next().is_none())
        .map(str::to_lowercase)
        .ok_or_else(|| {
            ApiError::new(
                StatusCode::FORBIDDEN,
                "wrong_host",
                "the request names another host than this machine",
                "use http://127.0.0.1 with the port that `tos serve` printed",
            )
        })
}

/// Returns a host without its port.
fn name_of(host: &str) -> String {
    let name = match host.rfind(':') {
        Some(colon) if !host.ends_with(']') => host.get(..colon).unwrap_or(host),
        _ => host,
    };
    name.to_lowercase()
}

/// Refuses what a page of another origin makes a browser send.
fn check_origin(
    headers: &HeaderMap,
    method: &Method,
    host: &str,
    by_token: bool,
) -> Result<(), ApiError> {
    let origin = headers.get(header::ORIGIN);
    let site = text(headers, &HeaderName::from_static("sec-fetch-site"));
    let mode = text(headers, &HeaderName::from_static("sec-fetch-mode"));
    let is_same = origin.is_some_and(|origin| {
        let origin = origin.to_str().unwrap_or("").to_lowercase();
        ["http://", "https://"]
            .iter()
            .any(|scheme| origin.strip_prefix(scheme) == Some(host))
    });
    let reads = method == Method::GET || method == Method::HEAD;
    let ours = match (origin, site) {
        (Some(_), _) => is_same,
        (None, Some("same-origin" | "none")) => true,
        // A link on another page may lead here; it does not carry the cookie along.
        (None, Some(_)) => reads && mode == Some("navigate"),
        // No browser, or a very old one, which must not be trusted with a cookie.
        (None, None) => reads || by_token,
    };
    if ours {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "cross_site",
        "the request comes from another page",
        "open the page of tos itself; programs send `Authorization: Bearer TOKEN`",
    ))
}

fn shown_token(headers: &HeaderMap) -> Option<&str> {
    let bearer = text(headers, &header::AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.or_else(|| text(headers, &HeaderName::from_static("x-api-key")))
}

/// Returns whether the token or a session is shown.
pub(in crate::interfaces::http) fn is_signed_in(service: &HttpState, headers: &HeaderMap) -> bool {
    if let Some(token) = shown_token(headers) {
        return service.credentials.is_token(token);
    }
    session_cookie(service, headers)
        .is_some_and(|session| service.credentials.is_session(session, service.now()))
}

/// Returns the value of the session's cookie.
pub(in crate::interfaces::http) fn session_cookie<'a>(
    service: &HttpState,
    headers: &'a HeaderMap,
) -> Option<&'a str> {
    cookie(headers, service.credentials.cookie())
}

/// Returns the value of a cookie.
pub(in crate::interfaces::http) fn cookie<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter();
    all.filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(known, value)| (known == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_name_is_told_from_its_port() {
        for (host, name) in [
            ("localhost:4301", "localhost"),
            ("LOCALHOST", "localhost"),
            ("[::1]:4301", "[::1]"),
            ("[::1]", "[::1]"),
            ("127.0.0.1.evil.example:80", "127.0.0.1.evil.example"),
        ] {
            assert_eq!(name_of(host), name);
        }
    }

    #[test]
    fn only_pages_of_this_origin_may_change_something() {
        let host = "127.0.0.1:4301";
        let may = |method: &Method, pairs: &[(&'static str, &'static str)], token| {
            check_origin(&headers(pairs), method, host, token).is_ok()
        };
        let (get, post) = (Method::GET, Method::POST);
        assert!(may(&post, &[("origin", "http://127.0.0.1:4301")], false));
        assert!(may(&post, &[("sec-fetch-site", "same-origin")], false));
        assert!(may(&post, &[], true));
        assert!(!may(&post, &[], false));
        for other in [
            "http://127.0.0.1:4302",
            "http://evil.example",
            "null",
            "http://127.0.0.1:4301.evil.example",
            "file://127.0.0.1:4301",
        ] {
            let given = [("origin", other)];
            assert!(!may(&post, &given, false), "{other}");
            assert!(!may(&post, &given, true), "{other}");
            assert!(!may(&get, &given, false), "{other}");
        }
        assert!(!may(&post, &[("sec-fetch-site", "same-site")], true));
        assert!(!may(&get, &[("sec-fetch-site", "same-site")], false));
        let link = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
        ];
        assert!(may(&get, &link, false));
        assert!(!may(&post, &link, false));
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let headers = headers(&[("cookie", "a=1; tos_x=two; b=3"), ("accept", "*/*")]);
        assert_eq!(cookie(&headers, "tos_x"), Some("two"));
        assert_eq!(cookie(&headers, "x"), None);
    }
}
