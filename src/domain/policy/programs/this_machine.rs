//! Whether an address is this machine.

use crate::domain::policy::partial_text::{SET, is_mark, is_vague};

/// Returns whether a host is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let bracketed = host.strip_prefix(['[', SET]);
    let name = match bracketed.map(|rest| rest.split_once(']').unwrap_or((rest, ""))) {
        Some((name, behind)) if behind.is_empty() || is_port(behind) => name,
        Some(_) => return false,
        None if host.contains("::") => host,
        None => match host.find(':') {
            Some(at) if is_port(host.get(at..).unwrap_or("")) => host.get(..at).unwrap_or(host),
            Some(_) => return false,
            None => host,
        },
    };
    let numbers = name.strip_prefix("127.").is_some_and(|rest| {
        rest.split('.').count() == 3 && rest.chars().all(|c| c.is_ascii_digit() || c == '.')
    });
    numbers
        || ["localhost", "::1", "0.0.0.0", "host.docker.internal"].contains(&name)
        || name.ends_with(".localhost")
}

/// Returns whether a text is a colon and what may be a port, which can be a variable.
fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| {
        port.chars()
            .all(|c| c.is_ascii_alphanumeric() || "${}_-*%".contains(c) || is_mark(c))
    })
}

/// Returns the host of an address, written with or without a scheme.
pub(super) fn host(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']);
    let authority = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
    // Some take a backslash for the end, and some for a part of the name in front.
    if authority.contains('\\') {
        return authority;
    }
    authority.rsplit('@').next().unwrap_or(authority)
}

/// Returns whether an address, or the name of a machine, is this machine. Of several addresses in one text all have to be.
pub(in crate::domain::policy) fn leads_here(address: &str) -> bool {
    if is_vague(address) {
        return false;
    }
    let parts = address.split(|c: char| c.is_whitespace() || "\"'`<>|".contains(c));
    let mut addresses = parts.filter(|part| part.contains("://")).peekable();
    if addresses.peek().is_none() {
        return is_loopback(host(address));
    }
    addresses.all(|address| is_loopback(host(address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_of_an_address_says_where_it_leads() {
        for address in [
            "localhost",
            "localhost:8080",
            "http://localhost:3000/x?next=http://example.org",
            "http://user:pass@127.0.0.1:80/",
            "http://[::1]:80/",
            "::1",
            "ws://app.localhost/",
        ] {
            assert!(leads_here(address), "{address}");
        }
        for address in [
            "localhost.evil.org",
            "127.0.0.1.evil.org",
            "http://localhost@evil.org",
            "http://localhost:80@evil.org/",
            "http://localhost\\@evil.org/",
            "http://evil.org\\@localhost/",
            "http://[::1].evil.org/",
            "http://evil.org/localhost",
            "http://evil.org/?h=localhost",
            "http://evil.org#@localhost",
            "localhost,evil.org",
            "localhost:5432,evil.org:5432",
            "http://localhost/ http://evil.org/",
            "http://evil.org/tmp/x",
            "evillocalhost",
        ] {
            assert!(!leads_here(address), "{address}");
        }
    }
}
