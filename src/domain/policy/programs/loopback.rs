//! Whether a program talks to nothing but this machine.

use super::this_machine::{host, is_loopback};
use crate::domain::policy::{partial_text::is_vague, programs::Options};

/// Letters and words of curl's options that take a value.
const CURL: (&str, &[&str]) = (
    "oDcKXHdFuAebTxmrwyYzEQtPC",
    &[
        "output",
        "dump-header",
        "cookie-jar",
        "cookie",
        "output-dir",
        "trace",
        "trace-ascii",
        "stderr",
        "config",
        "data",
        "data-raw",
        "data-binary",
        "data-urlencode",
        "json",
        "header",
        "request",
        "user",
        "user-agent",
        "referer",
        "form",
        "form-string",
        "max-time",
        "connect-timeout",
        "retry",
        "retry-delay",
        "retry-max-time",
        "write-out",
        "range",
        "cacert",
        "cert",
        "key",
        "cert-type",
        "key-type",
        "resolve",
        "connect-to",
        "interface",
        "limit-rate",
        "max-redirs",
        "unix-socket",
        "upload-file",
        "url",
        "proxy",
        "noproxy",
        "max-filesize",
        "keepalive-time",
        "speed-limit",
        "speed-time",
        "aws-sigv4",
        "oauth2-bearer",
        "ciphers",
        "tls-max",
        "parallel-max",
        "rate",
        "preproxy",
        "socks5",
        "socks5-hostname",
        "socks4",
        "socks4a",
        "dns-servers",
        "doh-url",
    ],
);
/// Options with which another machine takes part after all.
const AWAY: &[&str] = &[
    "x",
    "proxy",
    "K",
    "config",
    "resolve",
    "connect-to",
    "preproxy",
    "socks5",
    "socks5-hostname",
    "socks4",
    "socks4a",
    "doh-url",
    "dns-servers",
];

/// Returns whether every address among the arguments of a program leads to this machine, and there is one.
pub(super) fn is_loopback_only(name: &str, args: &[String]) -> bool {
    match name {
        "curl" | "wget" | "wget2" | "http" | "https" | "httpie" | "xh" | "curlie" | "websocat"
        | "grpcurl" => {
            let options = Options::parse(args, CURL.0, CURL.1);
            let values = options.values(&["url"]).map(str::to_owned);
            let verbs = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];
            let words = options.rest.iter().filter(|word| {
                let is_item = !["curl", "wget"].contains(&name)
                    && (verbs.contains(&word.as_str())
                        || word.contains(['=']) && !word.contains("://"));
                !is_item
            });
            // Behind the address stands what the server is asked for.
            let most = if name == "grpcurl" { 1 } else { usize::MAX };
            let addresses: Vec<String> = words.take(most).cloned().chain(values).collect();
            !options.has(AWAY)
                && !addresses.is_empty()
                && !addresses.iter().any(|address| is_ruler(address))
                && addresses.iter().all(|address| {
                    let port_only = address.starts_with(':') && name != "curl";
                    // The shell takes `[::1]` for a pattern.
                    let bare =
                        host(address).trim_start_matches(crate::domain::policy::partial_text::SET);
                    !is_vague(bare) && (port_only || is_loopback(host(address)))
                })
        }
        "nc" | "ncat" | "netcat" | "nc.openbsd" | "nc.traditional" | "telnet" => {
            let options = Options::parse(
                args,
                "ecpwsqiIOTXxWm",
                &["exec", "sh-exec", "lua-exec", "wait", "proxy"],
            );
            let first = options.rest.first();
            !options.has(&["e", "c", "exec", "sh-exec", "lua-exec", "x", "X", "proxy"])
                && (first.is_some_and(|host| is_loopback(host)) && !options.has(&["l"])
                    || options.has(&["h"]))
        }
        "ping" | "ping6" => args.last().is_some_and(|host| is_loopback(host)),
        "mongosh" | "mongo" => {
            // The first word is a database, or a machine with one behind it.
            let first = args
                .first()
                .filter(|arg| !arg.starts_with('-') && !arg.contains("://"));
            let machine = first.filter(|arg| arg.contains(['/', ':', '.']));
            is_local_host(args) && machine.is_none_or(|arg| is_loopback(host(arg)))
        }
        "pg_dump" if args.iter().any(|arg| arg.contains("service=")) => false,
        "redis-cli" | "mysqldump" | "pg_dump" | "grpc_cli" => is_local_host(args),
        _ => false,
    }
}

/// Returns whether a client of a database is told to go to this machine, or to none at all.
pub(super) fn is_local_host(args: &[String]) -> bool {
    let options = Options::parse(
        args,
        "hpUudcPWnaf",
        &[
            "host", "port", "username", "user", "dbname", "command", "password", "uri", "file",
        ],
    );
    let named: Vec<&str> = options.values(&["h", "host", "uri"]).collect();
    let addresses = args.iter().filter(|arg| arg.contains("://"));
    let hosts = named.into_iter().chain(addresses.map(String::as_str));
    hosts
        .map(host)
        .all(|host| host.is_empty() || is_loopback(host) || named_socket(host))
}

/// Returns whether what listens at an address acts with the rights of the machine.
fn is_ruler(address: &str) -> bool {
    [":2375", ":2376", ":10250"]
        .iter()
        .any(|port| address.contains(port))
}

fn named_socket(host: &str) -> bool {
    host.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stays(line: &str) -> bool {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        is_loopback_only(&words[0], &words[1..])
    }

    #[test]
    fn only_addresses_of_this_machine_stay_here() {
        for line in [
            "curl -sf http://localhost:3000/health",
            "curl -X DELETE http://127.0.0.1:8080/api/items/1",
            "curl -s --max-time 5 localhost:8080",
            "curl http://[::1]:80/",
            "nc -z localhost 5432",
            "redis-cli -h 127.0.0.1 ping",
            "http :8000/items name=x",
        ] {
            assert!(stays(line), "{line}");
        }
        for line in [
            "curl http://localhost@example.org/",
            "curl http://localhost.example.org/",
            "curl http://127.0.0.1.example.org/",
            "curl http://localhost http://example.org",
            "curl -x http://example.org http://localhost",
            "curl --resolve localhost:80:203.0.113.7 http://localhost",
            "curl -K f http://localhost",
            "nc -e /bin/sh localhost 1",
            "nc -l 8000",
            "redis-cli -h db.example.org flushall",
            "curl",
        ] {
            assert!(!stays(line), "{line}");
        }
    }
}
