//! Connections: how many, how long their heads may take, plain on the loopback and TLS elsewhere, and an orderly end.
//!
//! Danger: a connection that is accepted and never bounded is a way to hold the service; each one has a time for its head,
//! the guard has a time for the rest, and there are only so many.

use std::{io, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use super::options::HttpOptions;

/// What somebody is told for whom there is no place.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\n\
      Content-Length: 109\r\nConnection: close\r\n\r\n\
      {\"error\":{\"code\":\"busy\",\"message\":\"there are too many connections\",\"hint\":\"close some, or try again in 5 s\"}}";

/// Reads a certificate chain and its key, both in PEM.
pub fn tls_acceptor(certificates: &[u8], key: &[u8]) -> Result<TlsAcceptor, String> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the certificate cannot be read: {error}"))?;
    if chain.is_empty() {
        return Err("the file of the certificate holds none; it has to be in PEM".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| format!("the key of the certificate cannot be read: {error}"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| format!("certificate and key do not belong together: {error}"))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Says whether the service may listen there: on the loopback, or with TLS.
pub fn may_listen(address: std::net::SocketAddr, is_tls: bool) -> Result<(), String> {
    if address.ip().is_loopback() || is_tls {
        return Ok(());
    }
    Err(format!(
        "{address} can be reached from elsewhere; give --tls-cert and --tls-key, or listen on 127.0.0.1 and use a tunnel"
    ))
}

/// Answers until `end` is over; then gives those who are being answered a moment.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: &HttpOptions,
    tls: Option<TlsAcceptor>,
    end: impl Future<Output = ()>,
) -> io::Result<()> {
    may_listen(listener.local_addr()?, tls.is_some()).map_err(io::Error::other)?;
    let places = Arc::new(Semaphore::new(options.connections));
    let graceful = GracefulShutdown::new();
    let head_limit = options.head_limit;
    let mut end = pin!(end);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of files, mostly: waiting helps, ending does not.
                    tracing::warn!("no connection could be accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = &mut end => break,
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tokio::spawn(turn_away(stream, tls.is_some()));
            continue;
        };
        let (router, tls, watcher) = (router.clone(), tls.clone(), graceful.watcher());
        tokio::spawn(async move {
            match tls {
                None => converse(stream, router, head_limit, watcher).await,
                Some(tls) => {
                    let secured = tokio::time::timeout(head_limit, tls.accept(stream)).await;
                    if let Ok(Ok(stream)) = secured {
                        converse(stream, router, head_limit, watcher).await;
                    }
                }
            }
            drop(place);
        });
    }
    drop(listener);
    // Followers of events never end by themselves; the others get a moment.
    drop(tokio::time::timeout(Duration::from_secs(2), graceful.shutdown()).await);
    Ok(())
}

async fn turn_away(mut stream: TcpStream, is_tls: bool) {
    if !is_tls {
        drop(tokio::time::timeout(Duration::from_secs(1), stream.write_all(FULL)).await);
        drop(stream.shutdown().await);
    }
}

async fn converse<S>(
    stream: S,
    router: Router,
    head_limit: Duration,
    watcher: hyper_util::server::graceful::Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_limit)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // What a client does wrong is its own matter.
    drop(watcher.watch(connection).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_without_a_place_is_as_long_as_it_says() {
        let text = String::from_utf8(FULL.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("Content-Length: {}", body.len())),
            "{}",
            body.len()
        );
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }

    #[test]
    fn only_the_loopback_is_served_without_tls() {
        for (address, is_tls, may) in [
            ("127.0.0.1:1", false, true),
            ("[::1]:1", false, true),
            ("0.0.0.0:1", false, false),
            ("192.168.0.1:1", false, false),
            ("0.0.0.0:1", true, true),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(may_listen(address, is_tls).is_ok(), may, "{address}");
        }
    }
}
