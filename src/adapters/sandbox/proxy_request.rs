//! What a command behind a wall asks its proxy for: the one HTTP head that both ends read, the proxy port behind the wall and the proxy outside.

use std::{net::IpAddr, time::Duration};

/// The longest head of a request.
pub(super) const LONGEST_HEAD: usize = 16 * 1024;
/// How long a command may take to say what it wants, and a host to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// What a command hears once its tunnel stands.
pub(super) const TUNNEL_OPEN: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// What the command asks the proxy for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProxyRequest {
    pub(super) name: String,
    pub(super) port: u16,
    /// The command wants the bare connection.
    pub(super) is_tunnel: bool,
    /// The connection becomes something else than HTTP once it is answered.
    pub(super) upgrades: bool,
    /// What goes to the host first.
    pub(super) forward: Vec<u8>,
}

impl ProxyRequest {
    /// Reads a head, with whatever came after it in the same breath.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let end = text.windows(4).position(|part| part == b"\r\n\r\n")?;
        let (head, rest) = text.split_at_checked(end)?;
        let rest = rest.get(4..)?;
        let mut lines = head.split(|byte| *byte == b'\n');
        let line = std::str::from_utf8(lines.next()?).ok()?.trim_end();
        let mut words = line.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if method == "CONNECT" {
            let (name, port) = split_port(target);
            return Some(Self {
                name: name.into(),
                port: port?,
                is_tunnel: true,
                upgrades: false,
                forward: rest.to_vec(),
            });
        }
        let address = target.strip_prefix("http://")?;
        let (place, path) = address.split_at(address.find('/').unwrap_or(address.len()));
        let (name, port) = split_port(place);
        let path = if path.is_empty() { "/" } else { path };
        let mut forward = format!("{method} {path} {version}\r\n").into_bytes();
        let headers: Vec<&[u8]> = lines
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .collect();
        let upgrades = headers.iter().any(|line| is_header(line, "upgrade"));
        put_headers(&mut forward, headers, upgrades);
        forward.extend_from_slice(rest);
        Some(Self {
            name: name.into(),
            port: port.unwrap_or(80),
            is_tunnel: false,
            upgrades,
            forward,
        })
    }

    /// Returns the addresses of this machine that it may mean, where it means one.
    pub(super) fn loopback(&self) -> Vec<IpAddr> {
        let name = self.name.trim_matches(['[', ']']);
        if name.eq_ignore_ascii_case("localhost") {
            return vec![
                std::net::Ipv4Addr::LOCALHOST.into(),
                std::net::Ipv6Addr::LOCALHOST.into(),
            ];
        }
        let address = name.parse::<IpAddr>().ok();
        address.filter(IpAddr::is_loopback).into_iter().collect()
    }
}

/// Returns what a server has answered so far, told as the only answer of its connection; `None` = its head is not whole yet.
/// Whatever a server thinks, its client must not send the next request the same way.
pub(super) fn closing_response(text: &[u8]) -> Option<Vec<u8>> {
    let mut told = Vec::new();
    let mut text = text;
    loop {
        let end = text.windows(4).position(|part| part == b"\r\n\r\n")?;
        let (head, rest) = text.split_at_checked(end)?;
        let rest = rest.get(4..)?;
        let is_interim = head.get(8..10) == Some(b" 1") && head.get(9..12) != Some(b"101");
        if is_interim {
            told.extend_from_slice(head);
            told.extend_from_slice(b"\r\n\r\n");
            text = rest;
            continue;
        }
        let mut lines = head
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        told.extend_from_slice(lines.next()?);
        told.extend_from_slice(b"\r\n");
        put_headers(&mut told, lines.collect(), false);
        told.extend_from_slice(rest);
        return Some(told);
    }
}

/// Writes headers and the empty line behind them. A connection that is kept would carry the next request to the same host,
/// whichever it is for.
fn put_headers(out: &mut Vec<u8>, headers: Vec<&[u8]>, keeps: bool) {
    const KEEPING: [&str; 3] = ["connection", "proxy-connection", "keep-alive"];
    for line in headers {
        if keeps || !KEEPING.iter().any(|name| is_header(line, name)) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
    if !keeps {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

fn is_header(line: &[u8], name: &str) -> bool {
    let colon = line.iter().position(|byte| *byte == b':');
    let own = colon.and_then(|at| line.get(..at));
    own.is_some_and(|own| own.eq_ignore_ascii_case(name.as_bytes()))
}

/// Splits `host:port`; an address in brackets keeps its colons.
pub(super) fn split_port(text: &str) -> (&str, Option<u16>) {
    match text.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
            (name, port.parse().ok())
        }
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_and_a_plain_request_are_understood() {
        let tunnel =
            ProxyRequest::parse(b"CONNECT a.b:443 HTTP/1.1\r\nHost: a.b\r\n\r\nhello").unwrap();
        assert_eq!((tunnel.name.as_str(), tunnel.port), ("a.b", 443));
        assert!(tunnel.is_tunnel);
        assert_eq!(tunnel.forward, b"hello", "nothing is lost");
        let plain =
            ProxyRequest::parse(b"POST http://a.b/c?d HTTP/1.1\r\nHost: a.b\r\n\r\n{}").unwrap();
        assert_eq!(
            plain.forward,
            b"POST /c?d HTTP/1.1\r\nHost: a.b\r\nConnection: close\r\n\r\n{}"
        );
        for text in [
            &b"GET /c HTTP/1.1\r\n\r\n"[..],
            b"GET http://a.b/ HTTP/1.1\r\n",
            b"",
        ] {
            assert_eq!(ProxyRequest::parse(text), None);
        }
    }

    #[test]
    fn a_connection_carries_one_request_because_the_next_may_be_for_another_host() {
        let kept = b"GET http://a.b/ HTTP/1.1\r\nProxy-Connection: keep-alive\r\nConnection: keep-alive\r\nHost: a.b\r\n\r\n";
        assert_eq!(
            ProxyRequest::parse(kept).unwrap().forward,
            b"GET / HTTP/1.1\r\nHost: a.b\r\nConnection: close\r\n\r\n"
        );
        let upgrade =
            b"GET http://a.b/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        let upgrade = ProxyRequest::parse(upgrade).unwrap().forward;
        assert!(
            String::from_utf8(upgrade)
                .unwrap()
                .contains("Connection: Upgrade")
        );
    }

    #[test]
    fn an_answer_is_told_as_the_only_one_of_its_connection() {
        let kept = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(
            closing_response(kept).unwrap(),
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
        );
        let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(
            closing_response(interim).unwrap(),
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
        );
        for text in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
        ] {
            assert_eq!(closing_response(text), None);
        }
    }

    #[test]
    fn addresses_of_the_own_loopback_are_known_by_every_name() {
        let meant = |name: &str| {
            let head = format!("CONNECT {name}:4096 HTTP/1.1\r\n\r\n");
            ProxyRequest::parse(head.as_bytes()).unwrap().loopback()
        };
        assert_eq!(meant("127.0.0.1").len(), 1);
        assert_eq!(meant("[::1]").len(), 1);
        assert_eq!(meant("LOCALHOST").len(), 2);
        for other in ["example.org", "10.0.0.1", "localhost.example.org"] {
            assert!(meant(other).is_empty(), "{other}");
        }
    }
}
