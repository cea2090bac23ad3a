//! The only way outside when a few hosts are allowed: a proxy in tos, reached over a socket in the
//! file system that is bound into the wall.
//!
//! It decides by the name that the command asks for, resolves that name itself, and never connects
//! to an address of this machine or a private network unless that very address is allowed by name:
//! a name server under foreign control must not open a way inside.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpStream, UnixListener, UnixStream},
    task::JoinHandle,
};

use super::proxy_request::{
    LONGEST_HEAD, PATIENCE, ProxyRequest, TUNNEL_OPEN, closing_response, split_port,
};

/// A running proxy; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct HttpProxy {
    folder: tempfile::TempDir,
    task: JoinHandle<()>,
    refused: Refused,
}

/// What the proxy has refused, as `host:port`.
type Refused = Arc<Mutex<BTreeSet<String>>>;

/// More refused hosts than this are not remembered.
const MOST_REFUSED: usize = 64;

impl HttpProxy {
    /// Starts a proxy for these hosts (`host` or `host:port`, `*.` in front for everything below).
    pub(super) fn start(hosts: &[String]) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("tos-proxy-").tempdir()?;
        let listener = UnixListener::bind(folder.path().join("socket"))?;
        let hosts: Arc<[AllowedHost]> = hosts.iter().map(|host| AllowedHost::new(host)).collect();
        let refused = Refused::default();
        let task = tokio::spawn(serve(listener, hosts, Arc::clone(&refused)));
        Ok(Self {
            folder,
            task,
            refused,
        })
    }

    /// Returns the hosts that were asked for and refused, and forgets them.
    pub(super) fn take_refused(&self) -> Vec<String> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *refused).into_iter().collect()
    }

    /// Returns where the socket is.
    pub(super) fn socket(&self) -> PathBuf {
        let path: &Path = self.folder.path();
        path.join("socket")
    }
}

impl Drop for HttpProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One allowed host.
#[derive(Debug, PartialEq, Eq)]
struct AllowedHost {
    name: String,
    below: bool,
    port: Option<u16>,
}

impl AllowedHost {
    fn new(text: &str) -> Self {
        let (name, port) = split_port(text);
        let (name, below) = match name.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (name, false),
        };
        Self {
            name: name.to_ascii_lowercase(),
            below,
            port,
        }
    }

    fn allows(&self, name: &str, port: u16) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let is_named = if self.below {
            name.strip_suffix(&self.name)
                .is_some_and(|rest| rest.ends_with('.'))
        } else {
            name == self.name
        };
        is_named
            && self
                .port
                .map_or(port == 443 || port == 80, |own| own == port)
    }
}

async fn serve(listener: UnixListener, hosts: Arc<[AllowedHost]>, refused: Refused) {
    while let Ok((stream, _)) = listener.accept().await {
        let (hosts, refused) = (Arc::clone(&hosts), Arc::clone(&refused));
        tokio::spawn(async move {
            if let Err(error) = answer(stream, &hosts, &refused).await {
                tracing::debug!(%error, "proxied connection ended");
            }
        });
    }
}

async fn answer(
    mut inside: UnixStream,
    hosts: &[AllowedHost],
    refused: &Refused,
) -> io::Result<()> {
    let head = tokio::time::timeout(PATIENCE, head(&mut inside)).await??;
    let Some(request) = ProxyRequest::parse(&head) else {
        return refuse(&mut inside, "400 Bad Request").await;
    };
    let allowed = hosts
        .iter()
        .find(|host| host.allows(&request.name, request.port));
    let Some(allowed) = allowed else {
        tracing::info!(
            host = request.name,
            port = request.port,
            "sandbox: host refused"
        );
        remember(refused, &request);
        return refuse(&mut inside, "403 Forbidden").await;
    };
    let Some(mut outside) = connect(&request, allowed).await else {
        return refuse(&mut inside, "502 Bad Gateway").await;
    };
    if request.is_tunnel {
        inside.write_all(TUNNEL_OPEN).await?;
    }
    outside.write_all(&request.forward).await?;
    if request.is_tunnel || request.upgrades {
        copy_bidirectional(&mut inside, &mut outside).await?;
        return Ok(());
    }
    one_exchange(inside, outside).await
}

/// Carries one request and its answer, which is told as the only one of the connection.
async fn one_exchange(inside: UnixStream, outside: TcpStream) -> io::Result<()> {
    let (mut from_inside, mut to_inside) = inside.into_split();
    let (mut from_outside, mut to_outside) = outside.into_split();
    let there = async {
        tokio::io::copy(&mut from_inside, &mut to_outside).await?;
        to_outside.shutdown().await
    };
    let back = async {
        let mut answer = Vec::new();
        while answer.len() <= LONGEST_HEAD {
            let count = from_outside.read_buf(&mut answer).await?;
            if let Some(told) = closing_response(&answer) {
                answer = told;
                break;
            }
            if count == 0 {
                break;
            }
        }
        to_inside.write_all(&answer).await?;
        tokio::io::copy(&mut from_outside, &mut to_inside).await?;
        to_inside.shutdown().await
    };
    let (there, back) = tokio::join!(there, back);
    back.and(there)
}

fn remember(refused: &Refused, request: &ProxyRequest) {
    let mut refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
    if refused.len() < MOST_REFUSED {
        refused.insert(format!("{}:{}", request.name, request.port));
    }
}

async fn refuse(inside: &mut UnixStream, status: &str) -> io::Result<()> {
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    inside.write_all(answer.as_bytes()).await
}

async fn head(inside: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.windows(4).any(|part| part == b"\r\n\r\n") {
        if head.len() > LONGEST_HEAD || inside.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(head)
}

async fn connect(request: &ProxyRequest, allowed: &AllowedHost) -> Option<TcpStream> {
    let place = (request.name.trim_matches(['[', ']']), request.port);
    let addresses = tokio::net::lookup_host(place).await.ok()?;
    let named = allowed.name.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let local = allowed.name == "localhost";
    let usable = addresses.filter(|address: &SocketAddr| {
        is_public(address.ip())
            || named == Some(address.ip())
            || local && address.ip().is_loopback()
    });
    for address in usable {
        if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
            return Some(stream);
        }
    }
    None
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && (64..128).contains(&v4.octets()[1]);
            !(v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_multicast()
                || v4.is_broadcast()
                || shared)
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_public(IpAddr::V4(v4)),
            None => {
                !(v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_multicast()
                    || v6.is_unique_local()
                    || v6.is_unicast_link_local())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_allowed_by_its_whole_name_and_port() {
        for (rule, name, port, allowed) in [
            ("example.org", "example.org", 443, true),
            ("example.org", "EXAMPLE.org.", 443, true),
            ("example.org", "evil-example.org", 443, false),
            ("example.org", "www.example.org", 443, false),
            ("*.example.org", "www.example.org", 80, true),
            ("*.example.org", "example.org", 443, false),
            ("example.org:8443", "example.org", 443, false),
            ("example.org:8443", "example.org", 8443, true),
            ("example.org", "example.org", 22, false),
        ] {
            assert_eq!(
                AllowedHost::new(rule).allows(name, port),
                allowed,
                "{rule} {name}:{port}"
            );
        }
    }

    #[test]
    fn addresses_inside_are_not_public() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "100.64.0.1",
            "::1",
            "fd00::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        assert!(is_public("93.184.216.34".parse().unwrap()));
    }
}
