//! One POST: the connection, the headers, the whole body or a typed failure.

use chrono::Utc;
use reqwest::{
    Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};

use crate::{
    adapters::model::{
        error::BuildError,
        options::Secret,
        shared::{ConnectionSettings, HttpClients},
        trouble,
        trouble::HttpReply,
    },
    domain::model::{ModelError, ModelErrorKind},
};

/// A reply larger than this is not a reply.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// Where one model's questions go, and with which headers.
#[derive(Debug)]
pub(super) struct Endpoint {
    provider: &'static str,
    url: Url,
    /// The address without user, password and query, for messages.
    shown: String,
    headers: HeaderMap,
    route: ConnectionSettings,
    shared: HttpClients,
}

impl Endpoint {
    /// Checks the address and the headers; connects to nothing.
    pub(super) fn new(
        provider: &'static str,
        base: &str,
        path: &str,
        headers: HeaderMap,
        shared: &HttpClients,
    ) -> Result<Self, BuildError> {
        let url = address(provider, base, path)?;
        Ok(Self {
            provider,
            shown: shown(&url),
            route: ConnectionSettings {
                encrypted: url.scheme() == "https",
                loopback: is_loopback(&url),
            },
            url,
            headers,
            shared: shared.clone(),
        })
    }

    /// Returns the address as it may be shown.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// Sends one request and reads the whole answer, whatever its status.
    pub(super) async fn post(&self, body: Vec<u8>) -> Result<HttpReply, ModelError> {
        let request = self.client()?.post(self.url.clone()).body(body);
        self.send(request).await
    }

    /// Asks for a resource and reads the whole answer, whatever its status.
    pub(super) async fn get(&self) -> Result<HttpReply, ModelError> {
        let request = self.client()?.get(self.url.clone());
        self.send(request).await
    }

    fn client(&self) -> Result<reqwest::Client, ModelError> {
        let client = self.shared.client(self.route);
        client.map_err(|error| self.fault(&error))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<HttpReply, ModelError> {
        let sent = request.headers(self.headers.clone()).send().await;
        self.receive(sent.map_err(|error| self.fault(&error))?)
            .await
    }

    fn fault(&self, error: &reqwest::Error) -> ModelError {
        trouble::from_transport(self.provider, &self.shown, error)
    }

    async fn receive(&self, mut response: reqwest::Response) -> Result<HttpReply, ModelError> {
        let mut answer = heading(&response);
        while let Some(chunk) = response.chunk().await.map_err(|error| ModelError {
            request_id: answer.request_id.clone(),
            ..self.fault(&error)
        })? {
            if answer.body.len() + chunk.len() > MAX_BODY {
                return Err(ModelError {
                    trouble: ModelErrorKind::Malformed,
                    ..trouble::malformed(self.provider, &answer, "more than 32 MiB of body")
                });
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }
}

/// Reads status and headers.
fn heading(response: &reqwest::Response) -> HttpReply {
    let header = |name: &str| response.headers().get(name)?.to_str().ok();
    let mut url = response.url().clone();
    url.set_query(None);
    url.set_fragment(None);
    // Neither can fail for an address that was just asked.
    url.set_username("").ok();
    url.set_password(None).ok();
    HttpReply {
        url: url.to_string(),
        status: response.status().as_u16(),
        request_id: header("x-request-id")
            .or_else(|| header("request-id"))
            .map(str::to_owned),
        retry_after_ms: trouble::retry_after(
            header("retry-after-ms"),
            header("retry-after"),
            Utc::now(),
        ),
        final_refusal: header("x-should-retry") == Some("false"),
        body: Vec::new(),
    }
}

/// Returns the headers every request has, with one more.
pub(super) fn headers() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

/// Adds a key, marked so that no layer below prints it.
pub(super) fn add_key(
    headers: &mut HeaderMap,
    provider: &'static str,
    name: HeaderName,
    prefix: &str,
    key: &Secret,
) -> Result<(), BuildError> {
    let mut value = HeaderValue::from_str(&format!("{prefix}{}", key.expose_secret()))
        .map_err(|_| BuildError::KeyUnusable { provider })?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

fn address(provider: &'static str, base: &str, path: &str) -> Result<Url, BuildError> {
    let fault = |problem: String| BuildError::BaseUrl { provider, problem };
    let text = format!("{}{path}", base.trim().trim_end_matches('/'));
    let url = Url::parse(&text).map_err(|error| fault(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(fault(format!("the scheme is `{}`", url.scheme())));
    }
    Ok(url)
}

fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_joined_checked_and_shown_without_secrets() {
        let url = address("openai", " http://user:pw@h:1/v1/ ", "/chat/completions").unwrap();
        assert_eq!(shown(&url), "http://h:1/v1/chat/completions");
        for bad in ["h:1", "ftp://h", "", "/v1"] {
            let fault = address("openai", bad, "/x").unwrap_err();
            assert!(matches!(fault, BuildError::BaseUrl { .. }), "{bad}");
        }
    }

    #[test]
    fn a_proxy_is_never_asked_for_this_machine() {
        let cases = [
            ("http://127.0.0.1:1", true),
            ("http://localhost", true),
            ("http://[::1]:1", true),
            ("https://api.openai.com", false),
            ("http://10.0.0.1", false),
        ];
        for (url, expected) in cases {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn a_key_with_a_line_break_inside_is_refused_without_being_shown() {
        let name = reqwest::header::AUTHORIZATION;
        let fault = add_key(
            &mut headers(),
            "openai",
            name,
            "Bearer ",
            &Secret::new("sk-a\nb"),
        );
        assert!(!fault.unwrap_err().to_string().contains("sk-a"));
    }
}
