//! Servers that hand out a folder to every machine, because nothing tells them to listen to this one alone.
//!
//! One that the same command ends again is a moment's work. Danger: what a server is told in a file of settings is not seen.

use crate::domain::policy::{
    interpretation::{CommandEffect, Interpretation, SimpleCommand},
    partial_text::{base_name, is_in},
    programs::this_machine,
    rule::EffectKind,
};

impl Interpretation<'_> {
    /// Looks at the servers that the command leaves running.
    pub(in crate::domain::policy) fn leaves_servers(&mut self) {
        let mut open = Vec::new();
        for (at, act) in self.acts.iter().enumerate() {
            if let Some(name) = open_server(&act.words)
                && !self.acts.get(at..).unwrap_or_default().iter().any(ends)
            {
                open.push((at, name));
            }
        }
        let effect = |name: &str| {
            let words = format!("{name} listens to other machines");
            CommandEffect::Does(EffectKind::Network, words)
        };
        let found = open.into_iter().map(|(at, name)| (at, effect(name)));
        self.effects.extend(found);
    }
}

/// Returns whether a command ends what was started before.
fn ends(act: &SimpleCommand) -> bool {
    let name = act.words.first().map_or("", |name| base_name(name));
    is_in("kill pkill killall", name)
}

/// Returns the server that a command starts without an address of this machine.
fn open_server(words: &[String]) -> Option<&'static str> {
    let (first, args) = words.split_first()?;
    let name = base_name(first);
    if args.iter().any(|arg| is_in("-h --help --version", arg)) {
        return None;
    }
    let (server, options): (_, &[&str]) = match name {
        _ if name.starts_with("python") || name.starts_with("pypy") => {
            let is_module = args.windows(2).any(
                |two| matches!(two, [option, module] if option.ends_with('m') && is_in("http.server SimpleHTTPServer", module)),
            );
            let is_glued = args.iter().any(|arg| arg == "-mhttp.server");
            (is_module || is_glued).then_some(("http.server", ["--bind", "-b"].as_slice()))?
        }
        "http-server" => ("http-server", &["-a", "--address"]),
        "serve" if !first.contains('/') => ("serve", &["-l", "--listen"]),
        "live-server" => ("live-server", &["--host"]),
        _ => return None,
    };
    let mut hosts = options
        .iter()
        .filter_map(|option| told(args, option))
        .peekable();
    let is_here = hosts.peek().is_some() && hosts.all(is_own);
    (!is_here).then_some(server)
}

/// Returns the value of an option, behind it or glued to it.
fn told<'w>(args: &'w [String], option: &str) -> Option<&'w str> {
    args.iter().enumerate().find_map(|(at, arg)| {
        let rest = arg.strip_prefix(option)?;
        match rest.strip_prefix('=') {
            Some(value) => Some(value),
            None if rest.is_empty() => Some(args.get(at + 1).map_or("", String::as_str)),
            None => (!option.starts_with("--")).then_some(rest),
        }
    })
}

/// Returns whether an address is one of this machine.
fn is_own(address: &str) -> bool {
    let host = if address.contains("://") {
        this_machine::host(address)
    } else {
        address
    };
    this_machine::is_loopback(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_open(line: &str) -> bool {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        open_server(&words).is_some()
    }

    #[test]
    fn a_server_is_closed_where_it_is_told_of_this_machine() {
        for line in [
            "python3 -m http.server",
            "python3 -m http.server 8000 --directory dist",
            "python3 -um http.server -b 192.168.1.4",
            "http-server dist -p 80",
            "serve -l 3000 dist",
            "serve dist",
        ] {
            assert!(is_open(line), "{line}");
        }
        for line in [
            "python3 -m http.server 8000 --bind 127.0.0.1",
            "python3 -m http.server -b localhost",
            "python3 -m http.server --bind=::1",
            "python3 -m http.server --help",
            "python3 -m json.tool http.server",
            "http-server -a 127.0.0.1",
            "serve -l tcp://127.0.0.1:3000 dist",
            "./serve dist",
        ] {
            assert!(!is_open(line), "{line}");
        }
    }
}
