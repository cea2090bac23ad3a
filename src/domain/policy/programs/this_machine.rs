//! Whether an address is this machine.

use crate::domain::policy::partial_text::is_vague;

/// Returns whether a host is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches(['[', crate::domain::policy::partial_text::SET]);
    let host = host.split(']').next().unwrap_or(host);
    let name = if host.contains("::") {
        host
    } else {
        host.split(':').next().unwrap_or(host)
    };
    let numbers = name.strip_prefix("127.").is_some_and(|rest| {
        rest.split('.').count() == 3 && rest.chars().all(|c| c.is_ascii_digit() || c == '.')
    });
    numbers
        || ["localhost", "::1", "0.0.0.0", "host.docker.internal"].contains(&name)
        || name.ends_with(".localhost")
}

/// Returns the host of an address, written with or without a scheme.
pub(super) fn host(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#', '\\']);
    let authority = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
    authority.rsplit('@').next().unwrap_or(authority)
}

/// Returns whether an address, or the name of a machine, is this machine.
pub(in crate::domain::policy) fn leads_here(address: &str) -> bool {
    !is_vague(address) && is_loopback(host(address))
}
