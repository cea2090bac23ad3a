//! What all models of a process share: connections, secrets to remove, and what was learnt about servers.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError},
    time::Duration,
};

use crate::{adapters::model::quirks::UnsupportedFields, domain::redaction::Redactor};

/// How long establishing a connection may take; the rest of the deadline belongs to the answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Probes an idle connection, so that a model thinking for minutes is not cut off by a router on the way.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// One value per process; clones share everything.
#[derive(Clone, Default)]
pub struct HttpClients(Arc<ClientTable>);

#[derive(Default)]
struct ClientTable {
    redactor: Redactor,
    clients: Mutex<BTreeMap<ConnectionSettings, reqwest::Client>>,
    quirks: Mutex<BTreeMap<String, UnsupportedFields>>,
}

/// What a connection needs. Each combination gets its own client, built when first used: reading the
/// system's certificates costs milliseconds that a model on this machine need not pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionSettings {
    /// Certificates are needed.
    pub(super) encrypted: bool,
    /// The server is this machine, so no proxy is asked.
    pub(super) loopback: bool,
}

impl fmt::Debug for HttpClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The redactor holds the very values that must not be shown.
        f.write_str("Shared")
    }
}

impl HttpClients {
    /// Makes the shared part; `redactor` removes secrets from replies and messages.
    pub fn new(redactor: Redactor) -> Self {
        Self(Arc::new(ClientTable {
            redactor,
            ..ClientTable::default()
        }))
    }

    pub(super) fn clean(&self, text: &str) -> String {
        self.0.redactor.clean(text)
    }

    /// Returns the client for this route, building it the first time.
    pub(super) fn client(
        &self,
        route: ConnectionSettings,
    ) -> Result<reqwest::Client, reqwest::Error> {
        let mut clients = lock(&self.0.clients);
        if let Some(client) = clients.get(&route) {
            return Ok(client.clone());
        }
        let client = build(route)?;
        clients.insert(route, client.clone());
        Ok(client)
    }

    /// Returns what is known about the server and model behind `key`.
    pub(super) fn quirks(&self, key: &str) -> UnsupportedFields {
        lock(&self.0.quirks).get(key).copied().unwrap_or_default()
    }

    pub(super) fn remember(&self, key: &str, quirks: UnsupportedFields) {
        lock(&self.0.quirks).insert(key.to_owned(), quirks);
    }
}

/// The maps stay usable after a panic elsewhere: an insert either happened or did not.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn build(route: ConnectionSettings) -> Result<reqwest::Client, reqwest::Error> {
    static PROVIDER: Once = Once::new();
    // A second installation fails and changes nothing, which is what the caller wants.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("tos/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(KEEPALIVE)
        // A redirected request would carry prompt and key to a place nobody configured.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never());
    if route.loopback {
        builder = builder.no_proxy();
    }
    if !route.encrypted && route.loopback {
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_built_once_for_each_route() {
        let shared = HttpClients::default();
        let route = ConnectionSettings {
            encrypted: false,
            loopback: true,
        };
        shared.client(route).unwrap();
        shared.clone().client(route).unwrap();
        assert_eq!(lock(&shared.0.clients).len(), 1);
    }

    #[test]
    fn a_client_with_certificates_can_be_built() {
        let route = ConnectionSettings {
            encrypted: true,
            loopback: false,
        };
        assert!(HttpClients::default().client(route).is_ok());
    }
}
