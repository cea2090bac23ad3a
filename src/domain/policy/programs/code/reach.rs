//! What in code leads out of the project, so that a module of the project may do anything with it.

use crate::domain::policy::{
    partial_text::is_in,
    programs::{argument_paths::ROOT_FOLDERS, code::lex::Token, leads_here},
    resolved_path::ResolvedPath,
    shell::ShellInterpreter,
};

/// Values of the code's surroundings.
const GIVEN: [&str; 8] = [
    "sys.argv",
    "process.argv",
    "ARGV",
    "@ARGV",
    "$argv",
    "os.environ",
    "process.env",
    "sys.stdin",
];

/// Returns what in the code leads out of the project: a path, an address, what the command is called with.
pub(super) fn reach(shell: &ShellInterpreter<'_, '_>, tokens: &[Token]) -> Option<String> {
    let inside = |place: &ResolvedPath| matches!(place, ResolvedPath::Inside(_));
    let mut places = tokens.iter().enumerate();
    places.find_map(|(at, token)| match token {
        Token::Text(text) if is_search(tokens, at) && text.starts_with(['/', '~']) => {
            (!shell.resolve_all(text).iter().all(inside)).then(|| text.clone())
        }
        Token::Text(text) if is_search(tokens, at) && !text.starts_with("..") => None,
        Token::Text(text) if is_route(tokens, at, text) => None,
        Token::Text(text) if ["..", ".", "*", ".git"].contains(&text.as_str()) => {
            Some(format!("`{text}`"))
        }
        Token::Text(text) if text.contains("://") => {
            (!is_own_address(text)).then(|| "an address".to_owned())
        }
        Token::Text(text) => shell.leads_away(text),
        Token::Word(word) if GIVEN.iter().any(|given| word.starts_with(given)) => {
            Some(format!("`{word}`"))
        }
        Token::Word(_) | Token::Command(_) | Token::Sign(_) | Token::End => None,
    })
}

/// Returns whether a text says where modules are looked for.
fn is_search(tokens: &[Token], at: usize) -> bool {
    let before = tokens.get(at.saturating_sub(4)..at).unwrap_or_default();
    let adds = |token: &Token| matches!(token, Token::Word(word) if word.starts_with("sys.path."));
    before.iter().any(adds)
}

/// Returns whether a text is what a client asks a server of the project for: `client.get("/health")`.
fn is_route(tokens: &[Token], at: usize, text: &str) -> bool {
    const VERBS: [&str; 7] = [
        ".get", ".post", ".put", ".patch", ".delete", ".head", ".options",
    ];
    let back = at.checked_sub(2).and_then(|at| tokens.get(at));
    let asks =
        matches!(back, Some(Token::Word(word)) if VERBS.iter().any(|verb| word.ends_with(verb)));
    let first = text.trim_start_matches('/').split(['/', '?']).next();
    asks && text.starts_with('/') && !is_in(ROOT_FOLDERS, first.unwrap_or(""))
}

/// Returns whether an address is this machine, or a database in a file of the project.
fn is_own_address(text: &str) -> bool {
    let is_file = text.starts_with("sqlite:///") && !text.starts_with("sqlite:////");
    leads_here(text) || is_file
}
