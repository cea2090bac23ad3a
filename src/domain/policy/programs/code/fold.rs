//! Folds constant expressions of code, and reads the arguments of calls.

use std::collections::BTreeMap;

use crate::domain::policy::{
    partial_text::{TextScanner, UNKNOWN},
    programs::{
        code::{
            Language,
            lex::Token,
            listed::{listed, method_of},
            paths::{self, KnownFolders, beside, text_of},
        },
        printers::{base64_text, hex_text},
    },
};

/// Folds what is constant until nothing changes any more.
pub(super) fn folded(tokens: Vec<Token>, language: Language, known: &KnownFolders) -> Vec<Token> {
    let mut tokens = renamed(tokens);
    for _ in 0..6 {
        let before = tokens.len();
        tokens = once(&tokens, language, known, false);
        follow(&mut tokens);
        if tokens.len() == before {
            break;
        }
    }
    // The name of a module may have been put together.
    once(&renamed(tokens), language, known, true)
}

/// Puts the full names of modules and functions in place of the names they are imported under.
fn renamed(tokens: Vec<Token>) -> Vec<Token> {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let word = |at: usize| match tokens.get(at) {
        Some(Token::Word(word)) => Some(word.as_str()),
        _ => None,
    };
    for at in 0..tokens.len() {
        match word(at) {
            Some("from") if word(at + 2) == Some("import") => {
                imported(&tokens, at + 3, word(at + 1).unwrap_or(""), &mut names);
            }
            Some("import") if at == 0 || word(at - 1).is_none() => {
                if let (Some(module), Some("as"), Some(alias)) =
                    (word(at + 1), word(at + 2), word(at + 3))
                {
                    drop(names.insert(alias.to_owned(), module.to_owned()));
                }
            }
            Some("require") => required(&tokens, at, &mut names),
            Some("from") => script_import(&tokens, at, &mut names),
            _ => {}
        }
    }
    if names.is_empty() {
        return tokens;
    }
    tokens
        .into_iter()
        .map(|token| full_name(token, &names))
        .collect()
}

/// Notes the names behind `from MODULE import`.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything that is not named has no meaning here"
)]
fn imported(tokens: &[Token], start: usize, module: &str, names: &mut BTreeMap<String, String>) {
    let mut last = "";
    for token in tokens.get(start..).unwrap_or_default() {
        match token {
            Token::Word(word) if word == "as" => {}
            Token::Word(word) => {
                let before = names.get(last).cloned();
                let aliased = !last.is_empty() && before.is_some();
                let full = before
                    .filter(|_| aliased)
                    .unwrap_or_else(|| format!("{module}.{word}"));
                drop(names.insert(word.clone(), full));
                last = word;
            }
            Token::Sign(',') => last = "",
            Token::Sign('(' | ')') => {}
            _ => return,
        }
    }
}

/// Notes the name, or the names in braces, to which `require('module')` is assigned.
fn required(tokens: &[Token], at: usize, names: &mut BTreeMap<String, String>) {
    let (Some(Token::Text(module)), Some(Token::Sign(')')), Some(Token::Sign('='))) = (
        tokens.get(at + 2),
        tokens.get(at + 3),
        at.checked_sub(1).and_then(|at| tokens.get(at)),
    ) else {
        return;
    };
    // `x = require('m').member` is the member.
    let whole = !matches!(tokens.get(at + 4), Some(Token::Word(word)) if word.starts_with('.'));
    if let Some(end) = at.checked_sub(2).filter(|_| whole) {
        unpacked(tokens, end, module_name(module), names);
    }
}

/// Notes the names of `import … from 'module'`.
fn script_import(tokens: &[Token], at: usize, names: &mut BTreeMap<String, String>) {
    if let (Some(Token::Text(module)), Some(end)) = (tokens.get(at + 1), at.checked_sub(1)) {
        unpacked(tokens, end, module_name(module), names);
    }
}

/// Notes the name, or the names in braces, that end at `end` and stand for a module or its members.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything that is not named has no meaning here"
)]
fn unpacked(tokens: &[Token], end: usize, module: &str, names: &mut BTreeMap<String, String>) {
    match tokens.get(end) {
        Some(Token::Word(name)) => drop(names.insert(name.clone(), module.to_owned())),
        Some(Token::Sign('}')) => {
            let before = tokens.get(..end).unwrap_or_default();
            let open = before
                .iter()
                .rposition(|token| *token == Token::Sign('{'))
                .unwrap_or(0);
            let mut last = String::new();
            for token in before.get(open..).unwrap_or_default() {
                match token {
                    Token::Word(word) if word == "as" => {}
                    Token::Word(word) => {
                        let full = names.get(&last).cloned().filter(|_| !last.is_empty());
                        let full = full.unwrap_or_else(|| format!("{module}.{word}"));
                        drop(names.insert(word.clone(), full));
                        last.clone_from(word);
                    }
                    Token::Sign(',') => last.clear(),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// Returns the part of a module's name that calls are written with.
fn module_name(module: &str) -> &str {
    let bare = module.strip_prefix("node:").unwrap_or(module);
    bare.rsplit('/').next().unwrap_or(bare)
}

fn full_name(token: Token, names: &BTreeMap<String, String>) -> Token {
    let Token::Word(word) = token else {
        return token;
    };
    let (head, tail) = word
        .split_once('.')
        .map_or((word.as_str(), None), |(head, tail)| (head, Some(tail)));
    match (names.get(head), tail) {
        (Some(full), Some(tail)) => Token::Word(format!("{full}.{tail}")),
        (Some(full), None) => Token::Word(full.clone()),
        (None, _) => Token::Word(word),
    }
}

fn once(tokens: &[Token], language: Language, known: &KnownFolders, is_last: bool) -> Vec<Token> {
    let mut done: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if let Some((above, used)) = paths::above(tokens, at, text_of(done.last())) {
            drop(done.pop());
            done.extend(above);
            at += used;
            continue;
        }
        if let Some((text, used)) = path_at(tokens, at, &mut done, (language, is_last), known) {
            done.push(Token::Text(text));
            at += used;
            continue;
        }
        if let Some((text, used)) = decoded(tokens, at, done.last())
            && used > 0
        {
            if decoded_replaces(tokens, at) {
                drop(done.pop());
            }
            done.push(text);
            at += used;
            continue;
        }
        if let (Token::Text(text), true) = (token, joins(&done, language)) {
            let text = text.clone();
            join(&mut done, &text);
        } else {
            done.push(token.clone());
        }
        at += 1;
    }
    done
}

/// Folds a path that is put together at this place; returns it and the tokens it took.
fn path_at(
    tokens: &[Token],
    at: usize,
    done: &mut Vec<Token>,
    (language, is_last): (Language, bool),
    known: &KnownFolders,
) -> Option<(String, usize)> {
    let next = tokens.get(at + 1);
    match tokens.get(at)? {
        // `Path("a") / "b"`.
        Token::Sign('/') if language == Language::Python => {
            let (before, part) = (text_of(done.last())?, text_of(next)?);
            let path = beside(before, part);
            drop(done.pop());
            Some((path, 2))
        }
        Token::Word(word) => {
            if let Some(method) = word.strip_prefix('.') {
                let path = text_of(done.last())?.to_owned();
                let args = arguments(tokens, at + 1);
                let called = matches!(next, Some(Token::Sign('(')));
                let path = known.of_method(method, &path, &args).filter(|_| called)?;
                drop(done.pop());
                return Some((path, call_end(tokens, at + 1) - at));
            }
            match next {
                Some(Token::Sign('(')) => {
                    let end = call_end(tokens, at + 1);
                    let args = arguments(tokens, at + 1);
                    // What stands inside is folded first.
                    let ready = is_last || args.iter().all(Option::is_some);
                    let path = known.of_call(word, &args).filter(|_| ready)?;
                    Some((path, end - at))
                }
                Some(Token::Sign('[' | '{')) => {
                    let key = match tokens.get(at + 2)? {
                        Token::Text(key) | Token::Word(key) => key,
                        Token::Command(_) | Token::Sign(_) | Token::End => return None,
                    };
                    known.of_element(word, key).map(|path| (path, 4))
                }
                _ => known.of_word(language, word).map(|path| (path, 1)),
            }
        }
        Token::Text(_) | Token::Command(_) | Token::Sign(_) | Token::End => None,
    }
}

/// Returns whether the tokens so far end in a text to which another one is added.
fn joins(done: &[Token], language: Language) -> bool {
    let before = |back: usize| done.len().checked_sub(back).and_then(|at| done.get(at));
    match before(1) {
        Some(Token::Text(_)) => matches!(language, Language::Python | Language::Awk | Language::C),
        Some(Token::Sign('+' | '.' | '~')) => match before(2) {
            Some(Token::Text(_)) => true,
            Some(Token::Sign('.')) => matches!(before(3), Some(Token::Text(_))),
            _ => false,
        },
        _ => false,
    }
}

fn join(done: &mut Vec<Token>, text: &str) {
    while matches!(done.last(), Some(Token::Sign(_))) {
        drop(done.pop());
    }
    if let Some(Token::Text(before)) = done.last_mut() {
        before.push_str(text);
    }
}

/// Returns whether the folded call hangs on the text before it and takes its place.
fn decoded_replaces(tokens: &[Token], at: usize) -> bool {
    match tokens.get(at) {
        Some(Token::Word(word)) => word.starts_with('.'),
        Some(Token::Sign('[')) => true,
        _ => false,
    }
}

/// Folds the call at this place, if it is one with a constant result; returns it and the tokens it took.
fn decoded(tokens: &[Token], at: usize, before: Option<&Token>) -> Option<(Token, usize)> {
    if let (Some(Token::Sign('[')), Some(Token::Text(text))) = (tokens.get(at), before) {
        let rest: String = tokens.get(at..at + 6)?.iter().map(shown).collect();
        let reversed: String = text.chars().rev().collect();
        return rest
            .starts_with("[::-1]")
            .then_some((Token::Text(reversed), 6));
    }
    let Some(Token::Word(word)) = tokens.get(at) else {
        return None;
    };
    if let Some(method) = word.strip_prefix('.') {
        let Some(Token::Text(text)) = before else {
            return None;
        };
        let end = call_end(tokens, at + 1);
        let args = arguments(tokens, at + 1);
        return method_result(method, text, &args).map(|text| (Token::Text(text), end - at));
    }
    if !matches!(tokens.get(at + 1), Some(Token::Sign('('))) {
        return None;
    }
    let end = call_end(tokens, at + 1);
    let args = arguments(tokens, at + 1);
    if let Some(named) = member_of_module(tokens, word, &args, end) {
        return Some((named, end + 1 - at));
    }
    let inner = tokens.get(at + 2..end.checked_sub(1)?)?;
    function_result(word, &args, inner).map(|token| (token, end - at))
}

/// Folds `__import__('module').member` and its like into one name.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything that is not named has no meaning here"
)]
fn member_of_module(
    tokens: &[Token],
    word: &str,
    args: &[Option<String>],
    end: usize,
) -> Option<Token> {
    let last = word.rsplit('.').next().unwrap_or(word);
    if !["__import__", "import_module", "require"].contains(&last) {
        return None;
    }
    let module = args.first()?.as_deref()?;
    match tokens.get(end)? {
        Token::Word(member) if member.starts_with('.') => {
            Some(Token::Word(format!("{}{member}", module_name(module))))
        }
        _ => None,
    }
}

fn shown(token: &Token) -> String {
    match token {
        Token::Word(word) => word.clone(),
        Token::Sign(c) => c.to_string(),
        Token::Text(_) | Token::Command(_) | Token::End => "?".to_owned(),
    }
}

fn method_result(method: &str, text: &str, args: &[Option<String>]) -> Option<String> {
    let arg = |at: usize| args.get(at).cloned().flatten();
    match method {
        "decode" | "encode" | "strip" | "trim" | "toString" | "to_s" | "rstrip" | "chomp" => {
            Some(text.to_owned())
        }
        "replace" | "replaceAll" => Some(text.replace(&arg(0)?, &arg(1)?)),
        "lower" | "toLowerCase" | "downcase" => Some(text.to_lowercase()),
        "upper" | "toUpperCase" | "upcase" => Some(text.to_uppercase()),
        "reverse" => Some(text.chars().rev().collect()),
        "join" => args
            .iter()
            .cloned()
            .collect::<Option<Vec<_>>>()
            .filter(|parts| !parts.is_empty())
            .map(|parts| parts.join(text)),
        "unpack1" | "unpack" => base64_text(text),
        _ => None,
    }
}

fn function_result(word: &str, args: &[Option<String>], inner: &[Token]) -> Option<Token> {
    let first = args.first().cloned().flatten();
    let last = word.rsplit(['.', ':']).next().unwrap_or(word);
    let text = match last {
        "b64decode" | "standard_b64decode" | "urlsafe_b64decode" | "decodebytes" | "atob"
        | "base64_decode" | "decode_base64" | "decode64" | "strict_decode64" => {
            base64_text(&first?)?
        }
        "fromhex" | "unhexlify" | "hex2bin" => hex_text(&first?)?,
        "from" if word.starts_with("Buffer") => match args.get(1).cloned().flatten()?.as_str() {
            "base64" | "base64url" => base64_text(&first?)?,
            "hex" => hex_text(&first?)?,
            _ => first?,
        },
        "chr" | "fromCharCode" | "char" | "bytes" | "bytearray" => characters(inner)?,
        "sprintf" | "format" => sprintf(&first?, inner)?,
        "strrev" => first?.chars().rev().collect(),
        "getattr" => return args.get(1).cloned().flatten().map(Token::Word),
        "str" | "String" => first?,
        _ => return None,
    };
    Some(Token::Text(text))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything that is not named has no meaning here"
)]
fn characters(inner: &[Token]) -> Option<String> {
    let numbers: Vec<u32> = inner
        .iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(number(word)),
            Token::Sign(',' | '[' | ']' | '(' | ')') => None,
            _ => Some(None),
        })
        .collect::<Option<_>>()?;
    (!numbers.is_empty()).then(|| numbers.into_iter().filter_map(char::from_u32).collect())
}

fn number(word: &str) -> Option<u32> {
    match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

fn sprintf(format: &str, inner: &[Token]) -> Option<String> {
    let mut values = inner
        .iter()
        .skip(1)
        .filter(|token| **token != Token::Sign(','));
    let mut text = String::new();
    let mut scan = TextScanner::new(format);
    while let Some(c) = scan.bump() {
        if c != '%' {
            text.push(c);
            continue;
        }
        match (scan.bump(), values.next()) {
            (Some('c'), Some(Token::Word(word))) => text.push(char::from_u32(number(word)?)?),
            (Some('s' | 'c'), Some(Token::Text(value))) => text.push_str(value),
            (Some('d'), Some(Token::Word(word))) => text.push_str(word),
            _ => return None,
        }
    }
    Some(text)
}

/// Puts the values of variables that hold one constant in place of their names.
fn follow(tokens: &mut Vec<Token>) {
    let mut values: BTreeMap<String, String> = listed(tokens);
    let mut functions: BTreeMap<String, String> = BTreeMap::new();
    let mut result: Vec<Token> = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.iter().enumerate() {
        let Token::Word(name) = token else {
            result.push(token.clone());
            continue;
        };
        let next = tokens.get(at + 1);
        let assigned = matches!(next, Some(Token::Sign('=')))
            && !matches!(tokens.get(at + 2), Some(Token::Sign('=' | '~')));
        if assigned {
            let whole = matches!(
                tokens.get(at + 3),
                None | Some(Token::End | Token::Sign('}' | ')' | ','))
            );
            match (tokens.get(at + 2), whole) {
                (Some(Token::Text(value)), true) => {
                    drop(values.insert(name.clone(), value.clone()));
                }
                _ => drop(values.remove(name)),
            }
            if let (Some(Token::Word(function)), true) = (tokens.get(at + 2), whole) {
                drop(functions.insert(name.clone(), function.clone()));
            }
        } else if let (Some(function), true) =
            (functions.get(name), matches!(next, Some(Token::Sign('('))))
        {
            result.push(Token::Word(function.clone()));
            continue;
        } else if let (Some(value), false) =
            (values.get(name), matches!(next, Some(Token::Sign('('))))
        {
            result.push(Token::Text(value.clone()));
            continue;
        } else if let Some((value, method)) = method_of(&values, name) {
            result.push(Token::Text(value.clone()));
            result.push(Token::Word(method.to_owned()));
            continue;
        }
        result.push(token.clone());
    }
    *tokens = result;
}

/// Returns the place behind a call whose bracket, or first argument, stands at `at`.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything that is not named has no meaning here"
)]
pub(super) fn call_end(tokens: &[Token], at: usize) -> usize {
    let bracketed = matches!(tokens.get(at), Some(Token::Sign('(')));
    let mut depth = 0_u32;
    for (place, token) in tokens.iter().enumerate().skip(at) {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => {
                if depth == 0 {
                    return place;
                }
                depth -= 1;
                if depth == 0 && bracketed {
                    return place + 1;
                }
            }
            Token::End if depth == 0 => return place,
            _ => {}
        }
    }
    tokens.len()
}

/// Returns the arguments of a call; `None` for one that is not constant. Lists count as several.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything that is not named has no meaning here"
)]
pub(super) fn arguments(tokens: &[Token], at: usize) -> Vec<Option<String>> {
    let end = call_end(tokens, at);
    let bracketed = matches!(tokens.get(at), Some(Token::Sign('(')));
    let (from, to) = if bracketed {
        (at + 1, end.saturating_sub(1))
    } else {
        (at, end)
    };
    let mut found = Vec::new();
    let mut parts: Vec<&Token> = Vec::new();
    for token in tokens.get(from..to).unwrap_or_default() {
        match token {
            Token::Sign(',' | '[' | ']' | '{' | '}') => {
                found.extend(value(&parts));
                parts.clear();
            }
            other => parts.push(other),
        }
    }
    found.extend(value(&parts));
    found
}

/// Returns the value of one argument: nothing when it is empty or named, `None` inside when it is not constant.
#[expect(
    clippy::option_option,
    reason = "three answers: none, not constant, a constant"
)]
fn value(parts: &[&Token]) -> Option<Option<String>> {
    match parts {
        [] => None,
        [Token::Word(_), Token::Sign('='), ..] => None,
        [Token::Word(word), ..]
            if ["glob", "File.join", "File", "STDIN", "F", "FH"].contains(&word.as_str()) =>
        {
            let text: Vec<&str> = parts
                .iter()
                .filter_map(|token| text_of(Some(token)))
                .collect();
            (!text.is_empty()).then(|| Some(text.join("/")))
        }
        _ => {
            let texts: Vec<&str> = parts
                .iter()
                .filter_map(|token| text_of(Some(token)))
                .collect();
            let computed = parts.iter().any(|token| matches!(token, Token::Word(word) if !word.chars().all(|c| c.is_ascii_digit())));
            if texts.is_empty() {
                Some(None)
            } else if computed {
                // A constant with something computed before it or behind it.
                let first = matches!(parts.first(), Some(Token::Text(_)));
                let text = texts.concat();
                Some(first.then(|| format!("{text}{UNKNOWN}")))
            } else {
                Some(Some(texts.concat()))
            }
        }
    }
}
