//! Servers that code talks to, on this machine or on another, and variables it sets for what it starts.

use crate::domain::policy::{
    partial_text::{is_in, is_mark},
    programs::{
        code::{Language, Scanner, fold, lex::Token},
        inspect_variable, leads_here, this_machine,
    },
    rule::EffectKind,
};

impl Scanner<'_, '_, '_> {
    /// Functions that take an address where others take a file.
    pub(super) fn address(&mut self, word: &str, args: &[Option<String>]) {
        const READERS: &str = "read_csv read_json read_html read_table read_parquet read_excel read_xml read_feather open_url loadtxt
            genfromtxt imread open_dataset load_dataset";
        let schemes = ["http://", "https://", "ftp://"];
        let known = || args.iter().flatten();
        let address = known().any(|arg| schemes.iter().any(|scheme| arg.starts_with(scheme)));
        let last = word.rsplit('.').next().unwrap_or(word);
        let elsewhere = known().any(|arg| arg.contains("://") && !leads_here(arg));
        if elsewhere && self.language == Language::Python && is_in(READERS, last) {
            self.shell.reading.does(
                EffectKind::Network,
                format!("{word} talks to another machine"),
            );
        }
        if address
            && [
                "file_get_contents",
                "readfile",
                "fopen",
                "copy",
                "source",
                "read.csv",
                "simplexml_load_file",
            ]
            .contains(&word)
        {
            self.shell.reading.does(
                EffectKind::Network,
                format!("{word} talks to another machine"),
            );
        }
    }

    /// Looks at a variable of the environment that the code sets for what it starts.
    pub(super) fn sets_variable(&mut self, at: usize, word: &str) {
        let rest = self.tokens.get(at + 1..).unwrap_or_default();
        let set = match rest {
            [
                Token::Sign('['),
                Token::Text(name),
                Token::Sign(']'),
                Token::Sign('='),
                Token::Text(value),
                ..,
            ] if ["os.environ", "process.env", "ENV"].contains(&word) => {
                Some((name.clone(), value.clone()))
            }
            [Token::Sign('='), Token::Text(value), ..] => word
                .strip_prefix("process.env.")
                .map(|name| (name.to_owned(), value.clone())),
            _ => None,
        };
        if let Some((name, value)) = set {
            inspect_variable(self.shell, &name, &value);
        }
    }

    /// Returns whether the code may have opened a session with a server, or a call goes to an address.
    pub(super) fn opens_session(&self, args: &[Option<String>]) -> bool {
        const TALKS: &str =
            "requests httpx aiohttp urllib urllib3 http socket importlib __import__ app";
        let mut words = self.tokens.iter().filter_map(|token| match token {
            Token::Word(word) | Token::Text(word) => Some(word),
            Token::Command(_) | Token::Sign(_) | Token::End => None,
        });
        let is_address = |arg: &Option<String>| arg.as_ref().is_some_and(|arg| arg.contains("://"));
        args.iter().any(is_address)
            || words.any(|word| {
                let lower = word.to_lowercase();
                let mut parts = lower.split('.');
                parts.any(|part| {
                    is_in(TALKS, part) || part.ends_with("session") || part.ends_with("client")
                })
            })
    }

    /// Returns whether the code opens a server that nobody but this machine reaches: `….listen(3000, '127.0.0.1')`.
    pub(super) fn listens_here(&self) -> bool {
        let is_listen = |token: &Token| matches!(token, Token::Word(word) if word == "listen" || word.ends_with(".listen"));
        let calls = self.tokens.iter().enumerate();
        let mut calls = calls.filter(|(_, token)| is_listen(token)).peekable();
        let is_server = |token: &Token| match token {
            Token::Word(word) => {
                !word.starts_with("http.")
                    || ["http.createServer", "http.Server", "http.STATUS_CODES"]
                        .contains(&word.as_str())
            }
            Token::Text(_) | Token::Command(_) | Token::Sign(_) | Token::End => true,
        };
        // The host is the second, behind the port.
        let is_here = |at: usize| {
            let args = fold::arguments(self.tokens, at + 1);
            args.get(1)
                .is_some_and(|host| is_own_port(std::slice::from_ref(host)))
        };
        calls.peek().is_some()
            && calls.all(|(at, _)| is_here(at))
            && self.tokens.iter().all(is_server)
    }

    /// Returns whether a call asks the server that the code itself opened on this machine: `fetch("http://127.0.0.1:" + server.address().port)`.
    /// Danger: `80@example.org` behind the colon would be another machine, so nothing in the code may hold such a text.
    pub(super) fn asks_own_server(&self, at: usize) -> bool {
        const STARTS: [&str; 2] = ["http://127.0.0.1:", "http://localhost:"];
        const GIVEN: &str = "argv env stdin readFile readFileSync readdirSync readdir createReadStream exec execSync execFileSync spawnSync prompt question fromCharCode fromCodePoint atob Buffer decodeURIComponent unescape";
        let is_own = |at: usize| {
            matches!(self.tokens.get(at..at + 6), Some([
                Token::Text(start),
                Token::Sign('+'),
                Token::Word(server),
                Token::Sign('('),
                Token::Sign(')'),
                Token::Word(port),
            ]) if STARTS.contains(&start.as_str()) && server.ends_with(".address") && port == ".port")
        };
        let is_tame = |token: &Token| match token {
            Token::Text(text) => {
                STARTS.contains(&text.as_str())
                    || !text.starts_with('.')
                        && !text.contains(['@', '\\', '%'])
                        && !text.contains("//")
                        && !text.contains(is_mark)
            }
            Token::Word(word) => !word.split('.').any(|part| is_in(GIVEN, part)),
            Token::Command(_) => false,
            Token::Sign(_) | Token::End => true,
        };
        let is_asked = match self.tokens.get(at + 2) {
            Some(Token::Text(_)) => is_own(at + 2),
            Some(Token::Word(name)) => {
                let named = |at: &usize| matches!(self.tokens.get(*at), Some(Token::Word(word)) if word == name);
                let gives = |at: &usize| {
                    self.tokens.get(at + 1) == Some(&Token::Sign('='))
                        && self.tokens.get(at + 2) != Some(&Token::Sign('='))
                };
                let mut given = (0..self.tokens.len())
                    .filter(named)
                    .filter(gives)
                    .peekable();
                given.peek().is_some() && given.all(|at| is_own(at + 2))
            }
            Some(Token::Command(_) | Token::Sign(_) | Token::End) | None => false,
        };
        is_asked && self.tokens.iter().all(is_tame) && self.listens_here()
    }

    /// Looks at a client of a server: one that names no other machine talks to this one.
    pub(super) fn connects(&mut self, word: &str, at: usize, args: &[Option<String>]) {
        let end = fold::call_end(self.tokens, at + 1);
        let inside = self.tokens.get(at + 1..end).unwrap_or_default();
        let texts = inside.iter().filter_map(|token| match token {
            Token::Text(text) => Some(text.as_str()),
            Token::Word(_) | Token::Command(_) | Token::Sign(_) | Token::End => None,
        });
        let texts: Vec<&str> = texts
            .chain(args.iter().flatten().map(String::as_str))
            .collect();
        let names_host = |text: &&str| {
            text.contains("host=")
                || text.contains("://")
                || text.contains('.')
                || !text.contains('=')
        };
        let hosts: Vec<&str> = inside.windows(3).filter_map(host_by_name).collect();
        let mut others = texts.into_iter();
        let is_away = if hosts.is_empty() {
            others.filter(names_host).any(|text| !is_own_server(text))
        } else {
            // What else is given says which database, and who asks.
            let is_address = |text: &&str| text.contains("://") || text.contains("host");
            hosts.iter().any(|host| !is_own_server(host))
                || others.any(|text| is_address(&text) && !is_own_server(text))
        };
        if is_away {
            self.shell.reading.does(
                EffectKind::Network,
                format!("{word} talks to another machine"),
            );
        }
    }
}

/// Returns the host that an argument names: `host="localhost"`, `host: "localhost"`.
fn host_by_name(three: &[Token]) -> Option<&str> {
    const NAMES: &str = "host hostname hostaddr server unix_socket unix_socket_path";
    match three {
        [Token::Word(name), Token::Sign('=' | ':'), Token::Text(host)] if is_in(NAMES, name) => {
            Some(host.as_str())
        }
        _ => None,
    }
}

/// Returns whether the address of a server, or the words that say where it is, lead to this machine.
fn is_own_server(text: &str) -> bool {
    const HOSTS: &str = "host hostaddr server address addr unix_socket";
    let named = text.split([' ', ';', '&', '?']).filter_map(|part| {
        let (name, value) = part.split_once('=')?;
        is_in(HOSTS, &name.trim().to_lowercase()).then_some(value.trim())
    });
    let named: Vec<&str> = named.collect();
    let is_own = |host: &str| {
        host.split(',')
            .all(|host| is_socket(host) || leads_here(host))
    };
    if text.contains("://") {
        // Without a host it is a socket, or a file.
        let is_local = this_machine::host(text).is_empty() || leads_here(text);
        return is_local && named.iter().all(|host| is_own(host));
    }
    if !named.is_empty() {
        return named.iter().all(|host| is_own(host));
    }
    is_own(text)
}

/// Returns whether a path is one at which servers of this machine listen.
fn is_socket(path: &str) -> bool {
    ["/tmp/", "/var/run/", "/run/"]
        .iter()
        .any(|folder| path.starts_with(folder))
        || ["/tmp", "/var/run"].contains(&path)
}

/// Returns whether a call is given an address of this machine.
pub(super) fn is_here(args: &[Option<String>]) -> bool {
    let known = args.iter().flatten();
    let mut addresses = known.filter(|arg| arg.contains("://")).peekable();
    addresses.peek().is_some() && addresses.all(|address| leads_here(address))
}

/// Returns whether a function opens a connection, and nothing more.
pub(super) fn opens_port(word: &str) -> bool {
    let last = word.rsplit('.').next().unwrap_or(word);
    is_in(
        "create_connection connect connect_ex open_connection createConnection fsockopen",
        last,
    )
}

/// Returns whether a call names this machine, and nothing else, as the other end of a connection.
pub(super) fn is_own_port(args: &[Option<String>]) -> bool {
    const HERE: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
    let mut known = args.iter().flatten().peekable();
    known.peek().is_some() && known.all(|arg| HERE.contains(&arg.as_str()))
}

/// Returns whether a function asks the address that it is given, and no other.
pub(super) fn asks(word: &str) -> bool {
    let last = word.rsplit('.').next().unwrap_or(word);
    let verbs = "fetch urlopen get post put patch delete head options request get_response post_form WebSocket";
    is_in(verbs, last)
}
