//! Variables of loops over what a folder holds, and methods of variables that hold one path.

use std::collections::BTreeMap;

use crate::domain::policy::{
    partial_text::NAME,
    programs::{
        build_files::{is_build_file, tells_to_run},
        code::lex::Token,
        package_json::is_description,
    },
    shell::ShellInterpreter,
};

/// Takes the method of a variable that holds one constant apart.
pub(super) fn method_of<'v, 'n>(
    values: &'v BTreeMap<String, String>,
    name: &'n str,
) -> Option<(&'v String, &'n str)> {
    let at = name.find('.').filter(|at| *at > 0)?;
    let (head, method) = name.split_at_checked(at)?;
    let is_path =
        |value: &&String| value.contains(['/', '~', NAME]) || method.starts_with(".parent");
    Some((values.get(head).filter(is_path)?, method))
}

/// Returns the variables of loops over what a folder holds, each with the path it stands for: any name there.
pub(super) fn listed(tokens: &[Token]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (at, token) in tokens.iter().enumerate() {
        let is_in = matches!(token, Token::Word(word) if word == "in" || word == "of");
        let back = |steps: usize| at.checked_sub(steps).and_then(|at| tokens.get(at));
        let declares = ["for", "const", "let", "var"];
        let is_loop =
            matches!(back(2), Some(Token::Word(word)) if declares.contains(&word.as_str()));
        if let (true, true, Some(Token::Word(name))) = (is_in, is_loop, back(1))
            && let Some(path) = listing(tokens.get(at + 1..).unwrap_or_default())
        {
            drop(found.insert(name.clone(), path));
        }
        if is_in && let Some((name, folder)) = walked(tokens, at) {
            drop(found.insert(name.to_owned(), folder.to_owned()));
        }
    }
    found
}

/// Returns the variable of a walk that stands for the folders, and where the walk begins: `for base, dirs, files in os.walk(top)`. Inside of the
/// project it may go wherever it likes.
fn walked(tokens: &[Token], at: usize) -> Option<(&str, &str)> {
    let comma = Token::Sign(',');
    let head = tokens.get(at.checked_sub(6)?..at)?;
    let call = tokens.get(at + 1..at + 4)?;
    match (head, call) {
        (
            [
                Token::Word(order),
                Token::Word(base),
                first,
                Token::Word(_),
                second,
                Token::Word(_),
            ],
            [Token::Word(walk), Token::Sign('('), Token::Text(top)],
        ) if order == "for"
            && *first == comma
            && *second == comma
            && walk == "os.walk"
            && top.starts_with(['/', '~', '.']) =>
        {
            Some((base, top))
        }
        _ => None,
    }
}

/// Returns what an expression lists that begins here.
fn listing(tokens: &[Token]) -> Option<String> {
    let named = |pattern: &str| {
        pattern
            .replace("**/", "")
            .replace(['*', '?'], &NAME.to_string())
    };
    match tokens {
        [Token::Word(order), Token::Sign('('), rest @ ..]
            if ["sorted", "list", "reversed", "set"].contains(&order.as_str()) =>
        {
            listing(rest)
        }
        [Token::Word(call), ..]
            if ["os.listdir", "fs.readdirSync", "Deno.readDirSync"].contains(&call.as_str()) =>
        {
            Some(NAME.to_string())
        }
        [
            Token::Word(call),
            Token::Sign('('),
            Token::Text(pattern),
            ..,
        ] if ["glob.glob", "glob.iglob"].contains(&call.as_str()) => Some(named(pattern)),
        [
            Token::Text(folder),
            Token::Word(call),
            Token::Sign('('),
            Token::Text(pattern),
            ..,
        ] if [".glob", ".rglob"].contains(&call.as_str()) => Some(format!(
            "{}/{}",
            folder.trim_end_matches('/'),
            named(pattern)
        )),
        [Token::Text(folder), Token::Word(call), ..] if call == ".iterdir" => {
            Some(format!("{}/{NAME}", folder.trim_end_matches('/')))
        }
        _ => None,
    }
}

/// Records that code writes a file. What it puts in place of a part of a build file is looked at, all else counts as written anew.
pub(super) fn written(shell: &mut ShellInterpreter<'_, '_>, path: &str, tokens: &[Token]) {
    const DECODES: [&str; 6] = ["b64", "decode", "fromhex", "chr", "zlib", "atob"];
    let says = |word: &str, marks: &[&str]| marks.iter().any(|mark| word.contains(mark));
    let named = |marks: &[&str]| {
        let mut words = tokens.iter();
        words.any(|token| matches!(token, Token::Word(word) if says(word, marks)))
    };
    let has = |mark: &str| {
        tokens.iter().any(|token| match token {
            Token::Word(text) | Token::Text(text) => text.contains(mark),
            Token::Command(_) | Token::Sign(_) | Token::End => false,
        })
    };
    let rewrites =
        named(&["json.dump", "JSON.stringify"]) && named(&["json.load", "JSON.parse", "require"]);
    if is_description(path)
        && rewrites
        && !has("script")
        && !named(&DECODES)
        && !shell.has_written(path)
    {
        shell.changes(path);
    } else if is_build_file(path) && named(&[".replace", "re.sub"]) && !named(&DECODES) {
        let texts = tokens.iter().filter_map(|token| match token {
            Token::Text(text) => Some(text.as_str()),
            Token::Word(_) | Token::Command(_) | Token::Sign(_) | Token::End => None,
        });
        let text: Vec<&str> = texts.collect();
        shell.edits_build(path, tells_to_run(&text.join(" ")));
    } else {
        shell.writes(path);
    }
}
