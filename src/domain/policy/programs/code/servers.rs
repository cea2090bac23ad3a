//! Servers that code talks to, on this machine or on another, and variables it sets for what it starts.

use crate::domain::policy::{
    partial_text::is_in,
    programs::{
        code::{Language, Scanner, fold, lex::Token},
        inspect_variable, leads_here,
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
        let here = ["localhost", "127.0.0.1", "::1", "/tmp/", "/var/run/"];
        let names_host = |text: &&str| {
            text.contains("host=")
                || text.contains("://")
                || text.contains('.')
                || !text.contains('=')
        };
        let is_away = texts
            .iter()
            .filter(|text| names_host(text))
            .any(|text| !here.iter().any(|own| text.contains(own)));
        let has_host = inside
            .iter()
            .any(|token| matches!(token, Token::Word(name) if name == "host"));
        let is_named = texts
            .iter()
            .any(|text| here.iter().any(|own| text.contains(own)));
        if is_away && !(has_host && is_named) {
            self.shell.reading.does(
                EffectKind::Network,
                format!("{word} talks to another machine"),
            );
        }
    }
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
    let verbs =
        "fetch urlopen get post put patch delete head options request get_response post_form";
    is_in(verbs, last)
}
