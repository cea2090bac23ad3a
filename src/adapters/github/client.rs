//! Requests to the API: tags so that nothing is read twice, pages, limits that are kept, answers that are too slow or too long.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, Once, PoisonError},
    time::Duration,
};

use reqwest::{
    Method, Url,
    header::{
        ACCEPT, AUTHORIZATION, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, LINK,
    },
};
use serde::de::DeserializeOwned;

use super::PAGE;
use crate::domain::{
    board::{GithubRepository, Millis},
    github::{ApiResponse, GithubError, next_page, response_error},
};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// A longer answer is none.
const LONGEST: usize = 32 << 20;
/// More pages than this are not read at once.
const PAGES: usize = 100;
/// How many tags are remembered.
const TAGS: usize = 1000;

/// One answer.
#[derive(Debug, Default)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.headers.get(name.into())?.to_str().ok()
    }

    fn trouble(&self, now: Millis) -> Option<GithubError> {
        let header = |name| self.header(HeaderName::from_static(name));
        let facts = ApiResponse {
            status: self.status,
            retry_after: header("retry-after"),
            remaining: header("x-ratelimit-remaining"),
            reset: header("x-ratelimit-reset"),
            location: header("location"),
            body: &self.body,
        };
        response_error(&facts, now)
    }
}

/// What a server said of an address, and the tag it has.
type Tagged = (String, Vec<u8>);

/// Asks a server. Clones share nothing; one is enough.
pub(super) struct Client {
    /// How long one answer may take.
    patience: Duration,
    clients: Mutex<BTreeMap<bool, reqwest::Client>>,
    tags: Mutex<BTreeMap<String, Tagged>>,
    /// The tag of the first page of a list.
    lists: Mutex<BTreeMap<String, String>>,
    /// Until when nothing may be asked.
    limit: Mutex<Option<(Millis, String)>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable(error: &reqwest::Error) -> GithubError {
    // The address is configured, not secret; what reqwest says holds no headers.
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    GithubError::Unavailable(format!("GitHub does not answer: {text}"))
}

impl Client {
    /// Makes it; connects to nothing.
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            clients: Mutex::default(),
            tags: Mutex::default(),
            lists: Mutex::default(),
            limit: Mutex::default(),
        }
    }

    /// Reads one thing. What is unchanged since it was last read is not sent again.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        url: &str,
        token: &str,
        now: Millis,
    ) -> Result<T, GithubError> {
        let known = lock(&self.tags).get(url).cloned();
        let tag = known.as_ref().map(|(tag, _)| tag.as_str());
        let reply = self.ask(Method::GET, url, None, tag, token, now).await?;
        if reply.status == 304
            && let Some((_, body)) = known
        {
            return read(&body);
        }
        let read = read(&reply.body)?;
        if let Some(tag) = reply.header(ETAG) {
            let mut tags = lock(&self.tags);
            if tags.len() >= TAGS {
                tags.clear();
            }
            tags.insert(url.to_owned(), (tag.to_owned(), reply.body.clone()));
        }
        Ok(read)
    }

    /// Reads a list to its last page; `None` = its first page is unchanged since it was last read to its end.
    pub(super) async fn get_pages<T: DeserializeOwned>(
        &self,
        at: &GithubRepository,
        url: &str,
        token: &str,
        now: Millis,
    ) -> Result<Option<Vec<T>>, GithubError> {
        let tag = lock(&self.lists).get(url).cloned();
        let mut reply = self
            .ask(Method::GET, url, None, tag.as_deref(), token, now)
            .await?;
        if reply.status == 304 {
            return Ok(None);
        }
        let tag = reply.header(ETAG).map(str::to_owned);
        let mut all: Vec<T> = read(&reply.body)?;
        let mut pages = 1;
        while let Some(next) = reply.header(LINK).and_then(next_page) {
            if !at.is_api_origin(&next) {
                return Err(GithubError::Refused(format!(
                    "an answer names {next} as its next page, which is another server"
                )));
            }
            if pages == PAGES {
                break;
            }
            pages += 1;
            reply = self.ask(Method::GET, &next, None, None, token, now).await?;
            all.extend(read::<Vec<T>>(&reply.body)?);
        }
        // A later page can change while the first does not, so that only a list of one page has a tag.
        let mut lists = lock(&self.lists);
        lists.clear();
        if let Some(tag) = tag.filter(|_| pages == 1 && all.len() < PAGE) {
            lists.insert(url.to_owned(), tag);
        }
        Ok(Some(all))
    }

    /// Makes something.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        url: &str,
        body: &serde_json::Value,
        token: &str,
        now: Millis,
    ) -> Result<T, GithubError> {
        let body = Some(body.to_string());
        let reply = self.ask(Method::POST, url, body, None, token, now).await?;
        read(&reply.body)
    }

    async fn ask(
        &self,
        method: Method,
        url: &str,
        body: Option<String>,
        tag: Option<&str>,
        token: &str,
        now: Millis,
    ) -> Result<Reply, GithubError> {
        if let Some((until, detail)) = lock(&self.limit).clone().filter(|(until, _)| *until > now) {
            return Err(GithubError::Limited { until, detail });
        }
        let asked =
            Url::parse(url).map_err(|error| GithubError::Refused(format!("{url}: {error}")))?;
        let mut request = self.client(&asked)?.request(method, asked);
        request = request.headers(headers(token, tag)?);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        let reply = tokio::time::timeout(self.patience, received(request)).await;
        let reply = reply.map_err(|_| {
            GithubError::Unavailable(format!("GitHub did not answer within {:?}", self.patience))
        })??;
        match reply.trouble(now) {
            None => Ok(reply),
            Some(trouble) => {
                if let GithubError::Limited { until, detail } = &trouble {
                    *lock(&self.limit) = Some((*until, detail.clone()));
                }
                Err(trouble)
            }
        }
    }

    /// Returns the client for an address; one without encryption is for this machine only and needs no certificates.
    fn client(&self, url: &Url) -> Result<reqwest::Client, GithubError> {
        static PROVIDER: Once = Once::new();
        // A second installation fails and changes nothing, which is what the caller wants.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let is_encrypted = url.scheme() == "https";
        let mut clients = lock(&self.clients);
        if let Some(client) = clients.get(&is_encrypted) {
            return Ok(client.clone());
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("tos/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            // A redirected request would carry the token to a place nobody configured.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never());
        if !is_encrypted {
            builder = builder.no_proxy().tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| unavailable(&error))?;
        clients.insert(is_encrypted, client.clone());
        Ok(client)
    }
}

async fn received(request: reqwest::RequestBuilder) -> Result<Reply, GithubError> {
    let mut response = request.send().await.map_err(|error| unavailable(&error))?;
    let mut reply = Reply {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: Vec::new(),
    };
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| unavailable(&error))?
    {
        if reply.body.len() + chunk.len() > LONGEST {
            return Err(GithubError::Unavailable(
                "GitHub's answer has more than 32 MiB".to_owned(),
            ));
        }
        reply.body.extend_from_slice(&chunk);
    }
    Ok(reply)
}

fn headers(token: &str, tag: Option<&str>) -> Result<HeaderMap, GithubError> {
    let fault = |_| GithubError::Token("the token for GitHub is no token".to_owned());
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(fault)?;
    value.set_sensitive(true);
    let mut headers = HeaderMap::from_iter([
        (AUTHORIZATION, value),
        (
            ACCEPT,
            HeaderValue::from_static("application/vnd.github+json"),
        ),
        (
            HeaderName::from_static("x-github-api-version"),
            HeaderValue::from_static("2022-11-28"),
        ),
    ]);
    if let Some(tag) = tag.and_then(|tag| HeaderValue::from_str(tag).ok()) {
        headers.insert(IF_NONE_MATCH, tag);
    }
    Ok(headers)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, GithubError> {
    serde_json::from_slice(body).map_err(|error| {
        GithubError::Unavailable(format!("GitHub's answer cannot be read: {error}"))
    })
}

/// Returns an address with a query.
pub(super) fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let written = |text: &str| {
        let bytes = text.bytes().map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        });
        bytes.collect::<String>()
    };
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", written(value)));
    format!("{url}?{}", pairs.collect::<Vec<_>>().join("&"))
}
